//! Several vectors as one, so that a long computation on each of them is written down, and compiled, side by side.

use super::Arithmetic;

/// `N` vectors of `S`, operation by operation.
///
/// One activation is a chain of some 25 dependent operations. A core looks far enough ahead to overlap a few such
/// chains that follow one another, but not enough of them to fill its units; interleaved in program order, they do.
#[derive(Clone, Copy)]
pub(crate) struct Group<S, const N: usize>(pub(crate) S);

/// Forwards operations to each vector. Loops, because a closure would not be inlined into target features.
macro_rules! lanewise {
    ($($name:ident($($operand:ident: $type:ident),*) -> $result:ident = $initial:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, $($operand: Self::$type),*) -> Self::$result {
            let mut out = [$initial(self.0); N];
            for i in 0..N {
                out[i] = self.0.$name($($operand[i]),*);
            }
            out
        }
    )*};
}

/// Where a loop's results start from; never seen.
#[inline(always)]
fn zero<S: Arithmetic>(simd: S) -> S::V {
    simd.splat(0.0)
}

/// As [`zero`].
#[inline(always)]
fn no<S: Arithmetic>(simd: S) -> S::Mask {
    simd.lt(zero(simd), zero(simd))
}

impl<S: Arithmetic, const N: usize> Arithmetic for Group<S, N> {
    type V = [S::V; N];
    type Mask = [S::Mask; N];

    #[inline(always)]
    fn splat(self, x: f32) -> Self::V {
        [self.0.splat(x); N]
    }

    lanewise! {
        add(a: V, b: V) -> V = zero;
        sub(a: V, b: V) -> V = zero;
        mul(a: V, b: V) -> V = zero;
        div(a: V, b: V) -> V = zero;
        sqrt(a: V) -> V = zero;
        mul_add(a: V, b: V, c: V) -> V = zero;
        neg_mul_add(a: V, b: V, c: V) -> V = zero;
        max(a: V, b: V) -> V = zero;
        min(a: V, b: V) -> V = zero;
        neg_abs(a: V) -> V = zero;
        copysign(magnitude: V, sign: V) -> V = zero;
        lt(a: V, b: V) -> Mask = no;
        select(mask: Mask, a: V, b: V) -> V = zero;
        add_bits(a: V, b: V) -> V = zero;
    }

    #[inline(always)]
    fn shift_bits_left<const BITS: u32>(self, a: Self::V) -> Self::V {
        let mut out = a;
        for i in 0..N {
            out[i] = self.0.shift_bits_left::<BITS>(a[i]);
        }
        out
    }

    #[inline(always)]
    fn lookup(self, table: &[f32; 8], index: Self::V) -> Self::V {
        let mut out = index;
        for i in 0..N {
            out[i] = self.0.lookup(table, index[i]);
        }
        out
    }
}
