//! The sum of binary cross-entropies behind a sigmoid, in double precision.
//!
//! ```text
//! L = wrong · |z| + ln (1 + t)     t = e^-|z|,  wrong = y where z < 0, 1 - y elsewhere
//! ```
//!
//! Element `i` goes to lane `i mod LANES`. A logarithm takes longer than all else, so that a lane multiplies its factors `1 + t`
//! in place of adding logarithms; without the 1, beside which the smallest `t` would be lost:
//!
//! ```text
//! q = Π (1 + t) - 1:   q = q + t·(1 + q)
//! ```
//!
//! The arithmetic is written over arrays of `f64`, of which the compiler makes vectors of the shim's instruction set. No
//! multiply-add is fused, so that the bits are the same everywhere.

use super::one_then_other;
use crate::simd::{MAX_LANES, Simd};

/// Lanes of a sum: two vectors of the widest instruction set, so that one need not wait for the other.
pub(crate) const LANES: usize = MAX_LANES;

/// The most elements of a sum: the product of all `1 + t ≤ 2` is in range.
pub(crate) const MOST: usize = 512;

/// The sums of up to [`MOST`] elements, lane by lane.
pub(crate) struct Lanes {
    wrong: [f64; LANES],
    q: [f64; LANES],
}

impl Lanes {
    pub(crate) const ZERO: Self = Self { wrong: [0.0; LANES], q: [0.0; LANES] };

    /// Adds `wrong · |z|` and, if it is to be multiplied, `1 + t`.
    #[inline(always)]
    pub(crate) fn add(&mut self, lane: usize, wrong: f64, z: f64, t: f64) {
        // `0 · ∞ = 0`
        self.wrong[lane] += if wrong == 0.0 { 0.0 } else { wrong * z.abs() };
        self.q[lane] = multiplied(self.q[lane], t);
    }

    /// The sums of all lanes: lane `l` takes lane `l + 8`, then `l + 4`, `l + 2`, `l + 1`.
    #[inline(always)]
    pub(crate) fn fold(mut self) -> Sums {
        const { assert!(LANES == 16) };
        for half in [8, 4, 2, 1] {
            for l in 0..half {
                self.wrong[l] += self.wrong[l + half];
                self.q[l] = multiplied(self.q[l], self.q[l + half]);
            }
        }
        Sums { wrong: self.wrong[0], q: self.q[0] }
    }
}

/// `(1 + q)·(1 + t) - 1`
#[inline(always)]
pub(crate) fn multiplied(q: f64, t: f64) -> f64 {
    q + t * (1.0 + q)
}

/// The sums of some elements.
pub(crate) struct Sums {
    /// `Σ wrong · |z|`
    pub(crate) wrong: f64,
    /// `Π (1 + t) - 1`
    pub(crate) q: f64,
}

/// Up to [`MOST`] elements of `z` and of the targets `y`, and the place of their sums.
pub(crate) struct CrossEntropy {
    pub(crate) len: usize,
    pub(crate) z: *const f32,
    pub(crate) y: *const f32,
    pub(crate) sums: *mut Sums,
}

/// The addends that make elements that cost nothing of the zeros behind the last one, and change nothing before.
static PADDING_OF_Z: [f32; 2 * LANES] = one_then_other(0.0, f32::INFINITY);
static PADDING_OF_Y: [f32; 2 * LANES] = one_then_other(0.0, 1.0);

/// Makes the sums of the elements.
///
/// # Safety
/// `z` and `y` must be readable at `len` places, `sums` writable.
#[inline(always)]
pub(crate) unsafe fn cross_entropy<S: Simd>(simd: S, call: &CrossEntropy) {
    // SAFETY: the caller's promise; groups of LANES elements where there are so many, else the `rest` that is left.
    unsafe {
        let mut lanes = Lanes::ZERO;
        let whole = call.len / LANES * LANES;
        for i in (0..whole).step_by(LANES) {
            add_group(&mut lanes, &*call.z.add(i).cast(), &*call.y.add(i).cast());
        }
        let rest = call.len - whole;
        if rest > 0 {
            let z = padded(simd, call.z.add(whole), rest, &PADDING_OF_Z);
            let y = padded(simd, call.y.add(whole), rest, &PADDING_OF_Y);
            add_group(&mut lanes, &z, &y);
        }
        *call.sums = lanes.fold();
    }
}

/// Adds an element to each lane.
#[inline(always)]
fn add_group(lanes: &mut Lanes, z: &[f32; LANES], y: &[f32; LANES]) {
    for l in 0..LANES {
        let (z, y) = (f64::from(z[l]), f64::from(y[l]));
        let wrong = if z < 0.0 { y } else { 1.0 - y };
        lanes.add(l, wrong, z, exp_of_minus(z.abs()));
    }
}

/// The first `len` elements from `p`, and padding behind them.
///
/// # Safety
/// As many must be readable.
#[inline(always)]
unsafe fn padded<S: Simd>(simd: S, p: *const f32, len: usize, padding: &[f32; 2 * LANES]) -> [f32; LANES] {
    let mut group = [0.0; LANES];
    for l in (0..LANES).step_by(S::LANES) {
        // SAFETY: no more than `len` elements are read; LANES - len + l + S::LANES is at most the padding's length, as LANES is a
        // multiple of S::LANES.
        unsafe {
            let v = match len.saturating_sub(l) {
                0 => simd.splat(0.0),
                width if width >= S::LANES => simd.load(p.add(l)),
                width => simd.load_tail(p.add(l), simd.tail(width)),
            };
            let v = simd.add(v, simd.load(padding.as_ptr().add(LANES - len + l)));
            simd.store(group.as_mut_ptr().add(l), v);
        }
    }
    group
}

/// `e^-x` for `x ≥ 0`, within 1 ULP; 0 above 708, where it would be smaller than all normal numbers.
///
/// ```text
/// e^-x = 2^n · e^r     n = round(-x / ln 2),  r = -x - n · ln2,  |r| ≤ ln2/2
/// e^r  = 1 + r + r²·P(r)
/// ```
///
/// `P` is Taylor's series up to `r¹³`, which leaves out less than `2⁻⁵⁷` of the result. `ln 2` in two parts, of which the first has
/// 32 bits, so that its multiples are exact: FreeBSD's `e_exp.c`.
#[inline(always)]
pub(crate) fn exp_of_minus(x: f64) -> f64 {
    /// A number to which others are added to be rounded to integers, which then stand in the low bits.
    const ROUND: f64 = (3_u64 << 51) as f64;
    const LN2_HIGH: f64 = f64::from_bits(0x3FE6_2E42_FEE0_0000);
    const LN2_LOW: f64 = f64::from_bits(0x3DEA_39EF_3579_3C76);
    /// `1/k!` from `k = 2` on.
    const TAYLOR: [f64; 12] = {
        let (mut inverse, mut factorial, mut k) = ([0.0; 12], 1.0, 2);
        while k - 2 < inverse.len() {
            factorial *= k as f64;
            inverse[k - 2] = 1.0 / factorial;
            k += 1;
        }
        inverse
    };

    let rounded = ROUND - x * core::f64::consts::LOG2_E;
    let n = rounded - ROUND;
    let (high, low) = (-x - n * LN2_HIGH, n * LN2_LOW);
    let r = high - low;
    let lost = (high - r) - low;
    let power = f64::from_bits(rounded.to_bits().wrapping_add(1023) << 52);

    // Pair by pair: a shorter chain than one by one.
    let pair = |k: usize| TAYLOR[k] + r * TAYLOR[k + 1];
    let r2 = r * r;
    let r4 = r2 * r2;
    let p = (pair(0) + r2 * pair(2)) + r4 * (pair(4) + r2 * pair(6)) + (r4 * r4) * (pair(8) + r2 * pair(10));
    let e = 1.0 + (r + (r2 * p + lost));
    // NaN compares false and so passes through.
    if x > 708.0 { 0.0 } else { e * power }
}
