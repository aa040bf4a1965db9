//! The exponentials of a softmax.
//!
//! ```text
//! e^-d of d = max - z ≥ 0, in units of RAISED = 2^128 · UNIT, about 2^64.6
//! ```
//!
//! In these units `e^-104` is a normal number, so that nothing is lost below before the division by the sum of a row, which
//! takes the unit out again; and above there is room for a sum of 2⁶³ terms.

use super::coefficients::UNIT;
use super::exp::exp_of_minus;
use crate::simd::Arithmetic;

/// The unit of [`exp_of_difference`]: the sigmoid's, with 128 added to its exponent.
pub(crate) const RAISED: f32 = f32::from_bits(UNIT.to_bits() + 128 * ONE_OCTAVE);

/// One in the exponent of a bit pattern.
const ONE_OCTAVE: u32 = 1 << 23;

/// From here on `e^-d` is 0: `e^-104 < 2^-150` is nearer to 0 than to the least subnormal.
pub(crate) const MOST: f32 = 104.0;

/// `e^-d` for `d ≥ 0`, in units of [`RAISED`]; 0 where `d` exceeds [`MOST`], NaN where it is NaN. Within 0.6 ULP.
#[inline(always)]
pub(crate) fn exp_of_difference<S: Arithmetic>(simd: S, d: S::V) -> S::V {
    let exp = exp_of_minus(simd, d);
    let power = simd.add_bits(exp.power, simd.splat(f32::from_bits(128 * ONE_OCTAVE)));
    let value = simd.mul_add(simd.mul(power, exp.t), exp.q, power);
    // NaN compares false and so passes through.
    simd.select(simd.lt(simd.splat(MOST), d), simd.splat(0.0), value)
}
