//! The constants behind the activations, data only.
//!
//! `cargo xtask coefficients` derives all of them anew, reads this file and compares.

/// 1.5 · 2²³: adding it rounds to an integer, ties to even, and leaves the integer in the low bits of the sum.
pub(crate) const ROUND: f32 = 12_582_912.0;

/// `8 / ln 2`: the table of powers has eight steps in an octave. An error here only moves the points where steps end.
pub(crate) const STEPS_LOG2_E: f32 = f32::from_bits(0x4138_aa3b);
/// `ln 2 / 8` to 12 bits: times a number of steps (11 bits), it is exact even where multiply-add is not fused.
pub(crate) const STEP_HIGH: f32 = f32::from_bits(0x3db1_7000);
/// `ln 2 / 8 - STEP_HIGH`
pub(crate) const STEP_LOW: f32 = f32::from_bits(0x3685_fdf4);
/// `Q(t)` for `e^-t = 1 + t · Q(t)` on `|t| ≤ ln 2 / 16`, lowest power first: minimax for the relative error of
/// `e^-t`, 2^-32.4.
pub(crate) const EXP: [f32; 4] = [
    f32::from_bits(0xbf80_0000),
    f32::from_bits(0x3f00_0000),
    f32::from_bits(0xbe2a_ae37),
    f32::from_bits(0x3d2a_ab32),
];
/// Stands for 1 in `1 + e^-x`: 1.54 · 2⁻⁶⁴. The exponent makes room for `e^104`; the significand is the one of all
/// 2²³ for which the eight numbers `UNIT · 2^(j/8)` lie nearest to floats, 2^-28.2 of their value from them at most. So
/// the table below needs no second part.
pub(crate) const UNIT: f32 = f32::from_bits(0x1fc4_e5be);
/// `UNIT · 2^(j/8)` for `j` in `0..8`; the bit patterns are less by `j << 20`, for what [`EXPONENT_SHIFT`] adds too much.
pub(crate) const POWERS: [f32; 8] = [
    f32::from_bits(0x1fc4_e5be),
    f32::from_bits(0x1fc6_b7da),
    f32::from_bits(0x1fca_26de),
    f32::from_bits(0x1fcf_5829),
    f32::from_bits(0x1fcb_3a3e),
    f32::from_bits(0x1fc7_d424),
    f32::from_bits(0x1fc5_9202),
    f32::from_bits(0x1fc4_8e45),
];
/// Brings `8n + j` to where `n` counts in the exponent, and `j` in the highest bits of the significand.
pub(crate) const EXPONENT_SHIFT: u32 = 20;

/// `1 / ln 2`
pub(crate) const LOG2_E: f32 = f32::from_bits(0x3fb8_aa3b);
/// `ln 2` to 16 bits: times an integer below 2⁸, it is exact.
pub(crate) const LN2_HIGH: f32 = f32::from_bits(0x3f31_7200);
/// `ln 2 - LN2_HIGH`
pub(crate) const LN2_LOW: f32 = f32::from_bits(0x35bf_be8e);
/// `P(r)` for `e^r = 1 + r + r² · P(r)` on `|r| ≤ ln 2 / 2`, lowest power first: minimax for the relative error that it
/// makes in `tanh`, 2^-31.8.
pub(crate) const EXPM1: [f32; 6] = [
    f32::from_bits(0x3f00_0000),
    f32::from_bits(0x3e2a_aaa9),
    f32::from_bits(0x3d2a_aa73),
    f32::from_bits(0x3c08_8abd),
    f32::from_bits(0x3ab6_a787),
    f32::from_bits(0x394d_8ec2),
];

/// Keeps results above the subnormal numbers until the last step: 2²⁴.
pub(crate) const TAIL_SCALE: f32 = 16_777_216.0;
/// `P(w)` for `ln((1+s)/(1-s)) = 2s · (1 + w · P(w))`, `w = s²`, on `0 ≤ s ≤ 1/3`, lowest power first: minimax for the
/// relative error of the logarithm, 2^-33.0.
pub(crate) const LOG1P: [f32; 5] = [
    f32::from_bits(0x3eaa_aaac),
    f32::from_bits(0x3e4c_cb6d),
    f32::from_bits(0x3e12_825f),
    f32::from_bits(0x3ddb_99fc),
    f32::from_bits(0x3df8_348c),
];
/// `P(t)` for `Φ(-x) · e^(x²/2) · (x + 5/4) = 1/2 + P(t)`, `t = (4 - 3/2·x) / (x + 4)`, on `0 ≤ x ≤ 14.75`, lowest power
/// first: minimax for the relative error of `Φ(-x)`, 2^-28.7.
pub(crate) const MILLS: [f32; 11] = [
    f32::from_bits(0x3cce_5be2),
    f32::from_bits(0x3dfe_2ebb),
    f32::from_bits(0x3ca4_cf19),
    f32::from_bits(0xbc9c_a2f4),
    f32::from_bits(0xbc90_a750),
    f32::from_bits(0xbbe4_318a),
    f32::from_bits(0xba86_e378),
    f32::from_bits(0x3986_7efc),
    f32::from_bits(0x38e7_7819),
    f32::from_bits(0xb716_03d5),
    f32::from_bits(0xb6fb_d531),
];
/// `1 / √(2π)`, and the rest of it.
pub(crate) const DENSITY: [f32; 2] = [f32::from_bits(0x3ecc_422a), f32::from_bits(0xb242_bc9b)];
/// `a`, its rest, `b`, its rest, for `y = z · (a + b · z²) = 2√(2/π) · (z + 0.044715 z³)`.
pub(crate) const CUBIC: [f32; 4] = [
    f32::from_bits(0x3fcc_422a),
    f32::from_bits(0xb342_bc9b),
    f32::from_bits(0x3d92_2279),
    f32::from_bits(0x3124_d8b5),
];
/// The same for `z · y'`.
pub(crate) const CUBIC_SLOPE: [f32; 4] = [
    f32::from_bits(0x3fcc_422a),
    f32::from_bits(0xb342_bc9b),
    f32::from_bits(0x3e5b_33b6),
    f32::from_bits(0xaf8b_af10),
];
