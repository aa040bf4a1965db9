//! Shared by the integration tests: operands in memory of any layout, a layer's calls on them, and what the calls
//! must return, to the bit (the crate's reference) or to a bound (`oracle`).

#![allow(dead_code)] // every test binary uses a part of this

pub(crate) mod compare;
#[cfg(all(unix, not(miri)))]
pub(crate) mod guarded;
pub(crate) mod isas;
pub(crate) mod options;
pub(crate) mod oracle;
pub(crate) mod problem;
pub(crate) mod random;
pub(crate) mod stored;
pub(crate) mod sweep;

/// `len` values, uniform in `[-2, 2)`, the same for the same seed.
pub(crate) fn values(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 22) as f32 - 2.0
    };
    (0..len).map(|_| next()).collect()
}

/// Sizes just below, at and above the edges of tiles, vectors and blocks of the sum.
pub(crate) fn edges() -> impl Iterator<Item = usize> + Clone {
    (1..=17).chain([32, 48, 64, 128, 256, 512].into_iter().flat_map(|edge| edge - 1..=edge + 1))
}
