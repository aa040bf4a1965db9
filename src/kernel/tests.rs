//! A right operand of other elements goes through the same packing and the same kernels, to the bit; the largest magnitude
//! is found wherever it stands; and the exponentials of costs keep their bound.

use super::axpyf::{Axpyf, axpyf};
use super::chain::{HalfLast, Kind, Lhs, TileKind, Tiles, WholeLast, chain_tiles};
use super::cross_entropy::exp_of_minus;
use super::dot::{DotColumns, DotTile, dot_tile};
use super::dots_by_parts::dots_by_parts;
use super::extent::{Extent, extent};
use super::narrow::{Narrow, narrow};
use super::pack::{self, Panel};
use super::{Finish, Sink, Source, Start};
use crate::isa::{Isa, select};
use crate::simd::{Element, Halves, MAX_LANES, Quads, Simd};

/// The upper half of an `f32`, rounded to the nearest and then to even: bfloat16.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Half(u16);

impl Half {
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }

    /// The first elements of a vector, widened one by one.
    unsafe fn widened(p: *const Self, count: usize, at: usize) -> [f32; MAX_LANES] {
        let mut lanes = [0.0; MAX_LANES];
        for i in 0..count {
            // SAFETY: the caller vouches for `count` elements.
            lanes[at + i] = unsafe { *p.add(i) }.widen();
        }
        lanes
    }
}

/// The lanes that a tail chooses.
fn count<S: Simd>(simd: S, tail: S::Tail) -> usize {
    let mut ones = [0.0f32; MAX_LANES];
    // SAFETY: the array has room for a vector.
    unsafe { simd.store_tail(ones.as_mut_ptr(), simd.splat(1.0), tail) };
    ones.iter().filter(|one| **one == 1.0).count()
}

impl Element for Half {
    fn from_f32(value: f32) -> Self {
        let bits = value.to_bits();
        Self(((bits + 0x7FFF + (bits >> 16 & 1)) >> 16) as u16)
    }

    unsafe fn load<S: Simd>(simd: S, p: *const Self) -> S::V {
        // SAFETY: the caller vouches for a vector of elements; the array holds one of `f32`.
        unsafe { simd.load(Self::widened(p, S::LANES, 0).as_ptr()) }
    }

    unsafe fn load_tail<S: Simd>(simd: S, p: *const Self, tail: S::Tail) -> S::V {
        // SAFETY: as above, for as many as the tail chooses.
        unsafe { simd.load(Self::widened(p, count(simd, tail), 0).as_ptr()) }
    }

    unsafe fn load_half<S: Halves>(simd: S, p: *const Self, tail: S::Tail) -> S::V {
        // SAFETY: as above.
        unsafe { Self::load_tail(simd, p, tail) }
    }

    unsafe fn load_head<S: Simd>(simd: S, p: *const Self, n: usize) -> S::V {
        // SAFETY: as above, for `n < LANES`.
        unsafe { simd.load(Self::widened(p, n, S::LANES - n).as_ptr()) }
    }

    unsafe fn repeat_quad<S: Quads>(simd: S, p: *const Self, tail: S::Tail) -> S::V {
        // SAFETY: as above, for at most four.
        unsafe { simd.repeat_quad(Self::widened(p, count(simd, tail), 0).as_ptr(), tail) }
    }

    unsafe fn store<S: Simd>(simd: S, p: *mut Self, v: S::V) {
        // SAFETY: the caller vouches for a vector of elements.
        unsafe { Self::store_tail(simd, p, v, simd.tail(S::LANES)) };
    }

    unsafe fn store_tail<S: Simd>(simd: S, p: *mut Self, v: S::V, tail: S::Tail) {
        let mut lanes = [0.0; MAX_LANES];
        // SAFETY: the array holds a vector; the caller vouches for as many elements as the tail chooses.
        unsafe {
            simd.store(lanes.as_mut_ptr(), v);
            Self::convert(lanes.as_ptr(), p, count(simd, tail));
        }
    }
}

/// Terms: not a multiple of any vector, and more than the fused axpys read at a time.
const DEPTH: usize = 37;
/// Columns: two vectors of sixteen and a tail, and a stretch of fused axpys.
const COLS: usize = 300;
/// From one row to the next.
const STRIDE: usize = 304;

/// Values whose products and sums are rounded.
fn values(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from_bits(0x3F80_0000 | state >> 9) - 1.5
    };
    (0..len).map(next).collect()
}

/// The right operand `DEPTH × COLS` twice: as halves, and as the `f32`s that these stand for.
struct Rights {
    halves: Vec<Half>,
    widened: Vec<f32>,
}

impl Rights {
    fn new(source: &[f32]) -> Self {
        let halves: Vec<Half> = source.iter().map(|value| Half::from_f32(*value)).collect();
        let widened: Vec<f32> = halves.iter().map(|half| half.widen()).collect();
        assert_ne!(widened, source, "no value was rounded");
        Self { halves, widened }
    }
}

/// Runs a kernel over both right operands and compares all that it writes.
fn assert_equal(kernel: &str, isa: &str, run: impl Fn(&mut [f32], bool)) {
    let mut of = [values(16 * STRIDE, 5), values(16 * STRIDE, 5)];
    let before = of[0].clone();
    run(&mut of[0], false);
    run(&mut of[1], true);
    assert_ne!(of[0], before, "{kernel} on {isa} wrote nothing");
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&of[0]), bits(&of[1]), "{kernel} on {isa}");
}

fn packing<S: Simd>(simd: S, isa: &str) {
    let source = values(COLS * STRIDE, 1);
    let expected = |p: usize, j: usize, across: bool| {
        Half::from_f32(if across { source[p * STRIDE + j] } else { source[j * STRIDE + p] })
    };
    for (width, padding) in [(1, 0), (16, 0), (29, 3), (32, 0)] {
        for across in [true, false] {
            let rows = Source::rows(source.as_ptr(), STRIDE);
            let source = if across { rows } else { rows.transposed() };
            let panel = |to: &mut [Half]| Panel {
                source,
                depth: DEPTH,
                width,
                dst: Sink::rows(to.as_mut_ptr(), width + padding),
                padding,
            };
            let mut packed = [vec![Half(1); DEPTH * (width + padding)], vec![Half(1); DEPTH * (width + padding)]];
            // SAFETY: the source has more rows and columns, each panel has room for all rows and their padding.
            unsafe {
                pack::gather(&panel(&mut packed[0]));
                let panel = panel(&mut packed[1]);
                if across { pack::copy(simd, &panel) } else { pack::transpose(simd, &panel) }
            }
            for packed in &packed {
                for p in 0..DEPTH {
                    for j in 0..width {
                        assert_eq!(packed[p * (width + padding) + j], expected(p, j, across), "{isa}: {p}, {j}");
                    }
                }
            }
        }
    }
}

fn tiles<S: Simd>(simd: S, isa: &str) {
    let tails = [1, S::LANES - 1, S::LANES];
    tiles_of::<S, TileKind<Half, WholeLast, true, false>, TileKind<f32, WholeLast, true, false>>(simd, isa, &tails);
    tiles_of::<S, TileKind<Half, WholeLast, false, false>, TileKind<f32, WholeLast, false, false>>(simd, isa, &tails);
}

#[cfg_attr(any(not(target_arch = "x86_64"), miri), allow(dead_code))]
fn tiles_with_half_last<S: Halves>(simd: S, isa: &str) {
    let tails = [1, S::LANES / 2 - 1, S::LANES / 2];
    tiles_of::<S, TileKind<Half, HalfLast, true, false>, TileKind<f32, WholeLast, true, false>>(simd, isa, &tails);
    tiles_of::<S, TileKind<Half, WholeLast, true, false>, TileKind<f32, HalfLast, true, false>>(simd, isa, &tails);
}

/// Tiles over halves, and over the `f32`s that these stand for.
fn tiles_of<S, H, F>(simd: S, isa: &str, tails: &[usize])
where
    S: Simd,
    H: Kind<S, Element = Half>,
    F: Kind<S, Element = f32>,
{
    let (a, right) = (values(8 * STRIDE, 2), Rights::new(&values(DEPTH * STRIDE, 3)));
    fn call<E>(a: &[f32], b: &[E], c: &mut [f32], tail: usize) -> Tiles<'static, E> {
        Tiles {
            panels: 1,
            tiles: 2,
            depth: DEPTH,
            a: Lhs::in_place(Source::rows(a.as_ptr(), STRIDE), 3, false),
            prefetch: &[],
            b: Source::rows(b.as_ptr(), STRIDE),
            c: Sink::rows(c.as_mut_ptr(), STRIDE),
            tail,
            start: Start::Zero,
            finish: Finish::add(0.5),
        }
    }
    for &tail in tails {
        // SAFETY: both operands have rows of more than two vectors, the left one more than six rows and the output too.
        assert_equal("chain", isa, |c, halves| unsafe {
            match halves {
                true => chain_tiles::<S, H, 3, 2>(simd, &call(&a, &right.halves, c, tail)),
                false => chain_tiles::<S, F, 3, 2>(simd, &call(&a, &right.widened, c, tail)),
            }
        });
    }
}

fn dots<S: Simd, const H: usize, const FOLDED: usize>(simd: S, isa: &str) {
    let (a, right) = (values(8 * STRIDE, 2), Rights::new(&values(8 * STRIDE, 3)));
    fn call<E>(a: &[f32], b: &[E], c: &mut [f32], (depth, first): (usize, usize)) -> DotTile<E> {
        DotTile {
            depth,
            a: Source::rows(a[first..].as_ptr(), STRIDE),
            b: Source { ptr: b[first..].as_ptr(), row_stride: 1, col_stride: STRIDE },
            is_far: true,
            is_aligned: true,
            c: Sink::rows(c.as_mut_ptr(), STRIDE),
            is_interleaved: false,
            start: Start::Zero,
            finish: Finish::overwrite(1.0),
        }
    }
    // Whole vectors from no cache line on, a tail, and a whole stretch.
    for reach in [(48, 3), (DEPTH, 0), (288, 0)] {
        // SAFETY: both operands have more than two rows, of more terms behind the first.
        assert_equal("dots", isa, |c, halves| unsafe {
            match halves {
                true => dot_tile::<S, Half, 1, 2, H, FOLDED>(simd, &call(&a, &right.halves, c, reach)),
                false => dot_tile::<S, f32, 1, 2, H, FOLDED>(simd, &call(&a, &right.widened, c, reach)),
            }
        });
    }
}

fn dots_of_parts<S: Simd, const H: usize, const FOLDED: usize>(simd: S, isa: &str) {
    // Parts of more columns than are folded at a time, and one left over.
    const DOTS: usize = 19;
    let (a, right) = (values(2 * STRIDE, 2), Rights::new(&values(DOTS * STRIDE, 3)));
    fn call<E>(a: &[f32], b: &[E], c: &mut [f32], (depth, first): (usize, usize)) -> DotColumns<E> {
        let b = Source { ptr: b[first..].as_ptr(), row_stride: 1, col_stride: STRIDE };
        let (a, c) = (Source::rows(a[first..].as_ptr(), STRIDE), Sink::rows(c.as_mut_ptr(), STRIDE));
        let (start, finish) = (Start::Zero, Finish::overwrite(1.0));
        DotColumns {
            first: DotTile { depth, a, b, is_far: true, is_aligned: true, c, is_interleaved: false, start, finish },
            cols: DOTS,
        }
    }
    // Whole vectors from no cache line on, a tail, and stretches of both lengths.
    for reach in [(48, 3), (DEPTH, 0), (288, 0), (240, 0)] {
        // SAFETY: the left operand has two rows of more terms behind the first, the right one as many columns of them as are computed.
        assert_equal("dotparts", isa, |c, halves| unsafe {
            match halves {
                true => dots_by_parts::<S, Half, H, FOLDED, 2, 2>(simd, &call(&a, &right.halves, c, reach)),
                false => dots_by_parts::<S, f32, H, FOLDED, 2, 2>(simd, &call(&a, &right.widened, c, reach)),
            }
        });
    }
}

fn rows<S: Simd, const NV: usize>(simd: S, isa: &str) {
    let (a, right) = (values(DEPTH, 2), Rights::new(&values(DEPTH * STRIDE, 3)));
    fn call<E>(a: &[f32], b: &[E], c: &mut [f32], sums: &mut [f32]) -> Axpyf<E> {
        Axpyf {
            depth: DEPTH,
            blocks: 1,
            group: 8,
            cols: COLS,
            is_aligned: true,
            a: Source::rows(a.as_ptr(), DEPTH),
            b: Source::rows(b.as_ptr(), STRIDE),
            sums: sums.as_mut_ptr(),
            c: Sink::rows(c.as_mut_ptr(), STRIDE),
            start: Start::Zero,
            finish: Finish::overwrite(1.0),
        }
    }
    // SAFETY: the right operand has `DEPTH` rows, which are longer than `COLS`, as are the output and the sums.
    assert_equal("axpyf", isa, |c, halves| unsafe {
        let mut sums = vec![0.0; COLS];
        match halves {
            true => axpyf::<S, Half, NV>(simd, &call(&a, &right.halves, c, &mut sums)),
            false => axpyf::<S, f32, NV>(simd, &call(&a, &right.widened, c, &mut sums)),
        }
    });
}

#[cfg_attr(any(not(target_arch = "x86_64"), miri), allow(dead_code))]
fn quads<S: Quads>(simd: S, isa: &str) {
    let (a, right) = (values(16 * STRIDE, 2), Rights::new(&values(DEPTH * STRIDE, 3)));
    fn call<E>(a: &[f32], b: &[E], c: &mut [f32]) -> Narrow<E> {
        Narrow {
            rows: 13,
            cols: 3,
            depth: DEPTH,
            a: Source::rows(a.as_ptr(), STRIDE),
            b: Source::rows(b.as_ptr(), STRIDE),
            c: Sink::rows(c.as_mut_ptr(), STRIDE),
            finish: Finish::overwrite(1.0),
        }
    }
    // SAFETY: the left operand and the output have more than 13 rows, the right one `DEPTH`.
    assert_equal("quads", isa, |c, halves| unsafe {
        match halves {
            true => narrow::<S, Half, 5>(simd, &call(&a, &right.halves, c)),
            false => narrow::<S, f32, 5>(simd, &call(&a, &right.widened, c)),
        }
    });
}

#[test]
fn kernels_on_every_instruction_set() {
    for isa in Isa::available() {
        match isa {
            #[cfg(fused_dense_isa = "portable")]
            Isa::Portable => {
                // SAFETY: the CPU has the instruction set; vectors may pass through memory here.
                let simd = unsafe { crate::simd::Portable::assume() };
                all::<_, 2, 8, 8>(simd, isa.name());
            }
            #[cfg(fused_dense_isa = "neon")]
            Isa::Neon => {
                // SAFETY: the CPU has the instruction set; vectors may pass through memory here.
                let simd = unsafe { crate::simd::Neon::assume() };
                all::<_, 4, 4, 16>(simd, isa.name());
            }
            #[cfg(fused_dense_isa = "avx2")]
            Isa::Avx2 => {
                // SAFETY: the CPU has the instruction set; vectors may pass through memory here.
                let simd = unsafe { crate::simd::Avx2::assume() };
                all::<_, 2, 8, 8>(simd, isa.name());
                quads(simd, isa.name());
            }
            #[cfg(fused_dense_isa = "avx512")]
            Isa::Avx512 => {
                // SAFETY: the CPU has the instruction set; vectors may pass through memory here.
                let simd = unsafe { crate::simd::Avx512::assume() };
                all::<_, 1, 8, 16>(simd, isa.name());
                quads(simd, isa.name());
                tiles_with_half_last(simd, isa.name());
            }
            #[allow(unreachable_patterns)]
            other => panic!("{other} has no token here"),
        }
    }
}

fn all<S: Simd, const H: usize, const FOLDED: usize, const NV: usize>(simd: S, isa: &str) {
    packing(simd, isa);
    tiles(simd, isa);
    dots::<S, H, FOLDED>(simd, isa);
    dots_of_parts::<S, H, FOLDED>(simd, isa);
    rows::<S, NV>(simd, isa);
    largest(simd, isa);
}

/// Every length from none to two vectors and a tail, and a turn of the loop with some vectors behind it, from several places of a
/// cache line on, a value of either sign at each place.
fn largest<S: Simd>(simd: S, isa: &str) {
    let find = |values: &[f32]| {
        let mut largest = -1.0;
        let call =
            Extent { rows: 1, cols: values.len(), src: values.as_ptr(), row_stride: 0, largest: &raw mut largest };
        // SAFETY: one row of the slice's elements is readable, and the answer's place is writable.
        unsafe { extent(simd, &call) };
        largest
    };
    assert_eq!(find(&[]).to_bits(), 0, "{isa}");
    let lens = (1..=2 * S::LANES + 3).map(|len| (len, 0)).chain([(16 * S::LANES, 5), (18 * S::LANES + 3, 11)]);
    for (len, from) in lens {
        let mut room = values(from + len, 7);
        let values = &mut room[from..];
        assert_eq!(find(values), values.iter().fold(0.0, |most, value| value.abs().max(most)), "{isa}: {len}");
        for at in 0..len {
            let before = values[at];
            for (value, expected) in [(3.0, 3.0), (-3.0, 3.0), (f32::MAX, f32::MAX)] {
                values[at] = value;
                assert_eq!(find(values), expected, "{isa}: {value} at {at} of {len}");
            }
            for value in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN, f32::from_bits(0xFF80_0001)] {
                values[at] = value;
                assert!(find(values).is_nan(), "{isa}: {value} at {at} of {len}");
            }
            values[at] = before;
        }
    }
}

/// Every instance of the table whose last vector is half a one against the one of the same size whose last vector is whole,
/// whatever the CPU's tuning row takes.
#[test]
fn tiles_with_half_a_last_vector_equal_those_with_a_whole_one() {
    let (a, b, bias) = (values(16 * STRIDE, 2), values(DEPTH * STRIDE, 3), values(2 * STRIDE, 4));
    for kernels in Isa::available().into_iter().map(|isa| select(isa).expect("it is available").kernels) {
        let Some(half) = kernels.half_last_tiles else { continue };
        for (vectors, height) in (1..=half.len()).flat_map(|v| (1..=half[v - 1].len()).map(move |rows| (v, rows))) {
            // The widest tiles, of one row, are wider than the stride.
            let stride = STRIDE.max(vectors * kernels.lanes);
            let depth = (b.len() / stride).min(DEPTH);
            for tail in 1..=kernels.lanes / 2 {
                let starts = [Start::Zero, Start::Columns(bias.as_ptr()), Start::Rows(bias.as_ptr())];
                let finishes = [Finish::overwrite(1.0), Finish::add(0.5)];
                for (start, finish) in starts.into_iter().zip(finishes.into_iter().cycle()) {
                    let call = |c: &mut [f32]| Tiles {
                        panels: 1,
                        tiles: 1,
                        depth,
                        a: Lhs::in_place(Source::rows(a.as_ptr(), STRIDE), height, false),
                        prefetch: &[],
                        b: Source::rows(b.as_ptr(), stride),
                        c: Sink::rows(c.as_mut_ptr(), STRIDE),
                        tail,
                        start,
                        finish,
                    };
                    let name = format!("{height} rows, {vectors} vectors of which the last has {tail} columns");
                    // SAFETY: the CPU has the instruction set; operands have the rows and columns, the bias as many.
                    assert_equal(&name, kernels.isa.name(), |c, is_half| unsafe {
                        let table = if is_half { half } else { kernels.tiles };
                        table[vectors - 1][height - 1](&call(c));
                    });
                }
            }
        }
    }
}

/// Against the platform's, which is itself within 1 ULP.
#[test]
#[cfg_attr(miri, ignore = "its exponentials are off at random")]
fn exponentials_of_double_precision() {
    let steps = 200_000_u32;
    for i in 0..=steps {
        let fraction = f64::from(i) / f64::from(steps);
        for x in [fraction, 40.0 * fraction, 708.0 * fraction, 2.0_f64.powf(-60.0 * fraction)] {
            let (found, expected) = (exp_of_minus(x), (-x).exp());
            assert!(found.to_bits().abs_diff(expected.to_bits()) <= 1, "{x}: {found:e} and {expected:e}");
        }
    }
    assert_eq!(exp_of_minus(0.0), 1.0);
    for x in [708.0_f64.next_up(), 745.0, f64::from(f32::MAX), f64::INFINITY] {
        assert_eq!(exp_of_minus(x).to_bits(), 0, "{x}");
    }
    assert!(exp_of_minus(f64::NAN).is_nan());
}
