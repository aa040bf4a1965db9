//! A layer's weights, and a bound of their size that lasts while only steps change them.

use super::values::Values;
use core::fmt;
use core::ops::{Deref, DerefMut};

/// Weights that know how large they can be: whoever borrows them to change them takes the bound away.
#[derive(Clone)]
pub(super) struct Weights {
    values: Values,
    largest: Option<Largest>,
}

/// The largest magnitude of weights.
#[derive(Clone, Copy)]
struct Largest {
    /// As it was found.
    measured: f64,
    /// No weight is larger after the steps since then.
    bound: f64,
}

impl Weights {
    /// `rows · cols` zeros; `None` where memory cannot be had.
    pub(super) fn zeros(rows: usize, cols: usize) -> Option<Self> {
        Some(Self { values: Values::zeros(rows, cols)?, largest: None })
    }

    /// No weight has a larger magnitude, as far as that is known.
    pub(super) fn bound(&self) -> Option<f64> {
        self.largest.map(|largest| largest.bound)
    }

    /// The largest magnitude was found.
    pub(super) fn set_measured(&mut self, measured: f64) {
        self.largest = Some(Largest { measured, bound: measured });
    }

    /// Forgets a bound that is far above what was measured: returns whether there was one.
    pub(super) fn forget_loose_bound(&mut self) -> bool {
        let is_loose = self.largest.is_some_and(|Largest { measured, bound }| bound > 2.0 * measured);
        if is_loose {
            self.largest = None;
        }
        is_loose
    }

    /// The weights, for a step that makes a new bound of the old one, if it can.
    pub(super) fn for_step(&mut self, bound_after: impl FnOnce(f64) -> Option<f64>) -> &mut [f32] {
        self.largest =
            self.largest.and_then(|Largest { measured, bound }| Some(Largest { measured, bound: bound_after(bound)? }));
        &mut self.values
    }
}

impl Deref for Weights {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values
    }
}

impl DerefMut for Weights {
    fn deref_mut(&mut self) -> &mut [f32] {
        self.largest = None;
        &mut self.values
    }
}

impl fmt::Debug for Weights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.values.fmt(f)
    }
}
