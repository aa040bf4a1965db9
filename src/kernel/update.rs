//! The update of parameters by their gradient, while it is in the first-level cache.
//!
//! ```text
//! g = gradient                               or fma(weight_decay, parameter, gradient), where there is decay
//! velocity = fma(momentum, velocity, g)      where there is a velocity, which then takes the place of g
//! parameter = fma(-learning_rate, g, parameter)
//! ```

use crate::simd::Simd;

/// The numbers of one step of gradient descent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) learning_rate: f32,
    pub(crate) weight_decay: f32,
    pub(crate) momentum: f32,
}

/// `rows × cols` parameters to update. All matrices have contiguous rows.
pub(crate) struct Update {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) gradient: *const f32,
    pub(crate) gradient_row_stride: usize,
    pub(crate) parameter: *mut f32,
    pub(crate) parameter_row_stride: usize,
    pub(crate) velocity: Option<*mut f32>,
    pub(crate) velocity_row_stride: usize,
    pub(crate) rule: Rule,
}

/// Vectors of a row that are updated together.
const GROUP: usize = 4;

/// Updates the parameters, and their velocities where there are any.
///
/// # Safety
/// `gradient` must be readable, `parameter` and `velocity` readable and writable at all `rows × cols` places; none
/// overlaps another.
#[inline(always)]
pub(crate) unsafe fn update<S: Simd>(simd: S, update: &Update) {
    // SAFETY: the caller's promise.
    unsafe {
        match (update.rule.weight_decay != 0.0, update.velocity.is_some()) {
            (false, false) => rows::<S, false, false>(simd, update),
            (false, true) => rows::<S, false, true>(simd, update),
            (true, false) => rows::<S, true, false>(simd, update),
            (true, true) => rows::<S, true, true>(simd, update),
        }
    }
}

/// # Safety
/// As [`update`], where there is a velocity with `MOMENTUM`.
#[inline(always)]
unsafe fn rows<S: Simd, const DECAY: bool, const MOMENTUM: bool>(simd: S, update: &Update) {
    let velocity = update.velocity.unwrap_or(core::ptr::null_mut());
    for i in 0..update.rows {
        let gradient = update.gradient.wrapping_add(i * update.gradient_row_stride);
        let parameter = update.parameter.wrapping_add(i * update.parameter_row_stride);
        let velocity = velocity.wrapping_add(i * update.velocity_row_stride);
        let mut j = 0;
        while j < update.cols {
            let left = update.cols - j;
            let at = (gradient.wrapping_add(j), parameter.wrapping_add(j), velocity.wrapping_add(j));
            // SAFETY: columns of row i, for which the caller vouches: whole vectors where they fit, else what is left.
            unsafe {
                if left >= GROUP * S::LANES {
                    group::<S, GROUP, DECAY, MOMENTUM>(simd, &update.rule, at, S::LANES);
                    j += GROUP * S::LANES;
                } else {
                    group::<S, 1, DECAY, MOMENTUM>(simd, &update.rule, at, left.min(S::LANES));
                    j += S::LANES;
                }
            }
        }
    }
}

/// `NV` vectors of one row, the last cut to `tail` columns.
///
/// # Safety
/// As [`rows`], for these columns.
#[inline(always)]
unsafe fn group<S: Simd, const NV: usize, const DECAY: bool, const MOMENTUM: bool>(
    simd: S,
    rule: &Rule,
    (gradient, parameter, velocity): (*const f32, *mut f32, *mut f32),
    tail: usize,
) {
    let is_whole = tail == S::LANES;
    let tail = simd.tail(tail);
    // SAFETY: the caller's promise; the velocity is touched with MOMENTUM only.
    unsafe {
        let load = |p: *const f32, v: usize| match is_whole || v + 1 < NV {
            true => simd.load(p.add(v * S::LANES)),
            false => simd.load_tail(p.add(v * S::LANES), tail),
        };
        let store = |p: *mut f32, v: usize, value: S::V| match is_whole || v + 1 < NV {
            true => simd.store(p.add(v * S::LANES), value),
            false => simd.store_tail(p.add(v * S::LANES), value, tail),
        };
        let mut old = [simd.splat(0.0); NV];
        let mut g = old;
        for v in 0..NV {
            (old[v], g[v]) = (load(parameter, v), load(gradient, v));
        }
        for v in 0..NV {
            if DECAY {
                g[v] = simd.mul_add(simd.splat(rule.weight_decay), old[v], g[v]);
            }
            if MOMENTUM {
                g[v] = simd.mul_add(simd.splat(rule.momentum), load(velocity, v), g[v]);
            }
        }
        for v in 0..NV {
            if MOMENTUM {
                store(velocity, v, g[v]);
            }
            store(parameter, v, simd.neg_mul_add(simd.splat(rule.learning_rate), g[v], old[v]));
        }
    }
}
