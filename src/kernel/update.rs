//! The update of parameters by their gradient, while it is in the first-level cache: one loop, and a type for each rule.
//!
//! [`reference::update`](crate::reference::update) has the rules in words and scalars. To add one: a type here that
//! implements [`Step`], a variant of [`Kind`] and its type's name in `build.rs`, in the same order.

use crate::simd::{Arithmetic, Group, Simd};

/// The most arrays that a rule keeps beside a parameter.
pub(crate) const MOST_STATE: usize = 2;

/// The formula of a step, without weight decay: a row of the kernel table.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Descent,
    Momentum,
    Nesterov,
    Adam,
}

/// Every kind, in the order of the kernel table's rows.
pub(crate) const KINDS: &[Kind] = &[Kind::Descent, Kind::Momentum, Kind::Nesterov, Kind::Adam];

/// A step's formula and its numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) kind: Kind,
    /// `η`, Adam's divided by `1 - β₁ᵗ`.
    pub(crate) rate: f32,
    /// `λ`, by which the parameter is added to its gradient.
    pub(crate) weight_decay: f32,
    /// `μ`
    pub(crate) momentum: f32,
    pub(crate) moments: Moments,
}

/// The numbers that only Adam has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moments {
    /// `1 - ηλ` with decoupled weight decay, else 1.
    pub(crate) kept: f32,
    /// `1 - β₁`
    pub(crate) first_rate: f32,
    /// `β₂`
    pub(crate) second_kept: f32,
    /// `1 - β₂`
    pub(crate) second_rate: f32,
    /// `1/√(1 - β₂ᵗ)`
    pub(crate) correction: f32,
    /// `ε`
    pub(crate) epsilon: f32,
}

impl Moments {
    /// Of a rule that has none.
    pub(crate) const NONE: Self =
        Self { kept: 1.0, first_rate: 1.0, second_kept: 0.0, second_rate: 1.0, correction: 1.0, epsilon: 0.0 };
}

impl Rule {
    /// Whether it is plain gradient descent, which a product can do as it adds to what stands there.
    pub(crate) fn is_plain_descent(&self) -> bool {
        matches!(self.kind, Kind::Descent) && self.weight_decay == 0.0
    }

    /// The same for a parameter that does not decay.
    pub(crate) fn without_decay(self) -> Self {
        Self { weight_decay: 0.0, moments: Moments { kept: 1.0, ..self.moments }, ..self }
    }
}

/// `rows × cols` parameters to update. All matrices have contiguous rows.
pub(crate) struct Update<'r> {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) gradient: *const f32,
    pub(crate) gradient_row_stride: usize,
    pub(crate) parameter: *mut f32,
    pub(crate) parameter_row_stride: usize,
    /// As many as the rule keeps.
    pub(crate) state: [*mut f32; MOST_STATE],
    pub(crate) state_row_strides: [usize; MOST_STATE],
    pub(crate) rule: &'r Rule,
}

impl Update<'_> {
    /// Rows and columns of the same elements, as one long row where no gaps lie between the rows of any of the arrays. A masked
    /// store at a row's end would hold back the loads of the row behind it.
    #[inline(always)]
    fn flattened(&self, state_arrays: usize) -> (usize, usize) {
        let state = &self.state_row_strides[..state_arrays];
        let others = [self.gradient_row_stride, self.parameter_row_stride];
        let has_gaps = others.iter().chain(state).any(|stride| *stride != self.cols);
        if has_gaps { (self.rows, self.cols) } else { (1, self.rows * self.cols) }
    }
}

/// A rule's formula on vectors.
pub(crate) trait Step {
    /// Arrays that it keeps beside a parameter.
    const STATE: usize;

    /// The parameter and the state behind the step; of the state, only the first `STATE` count.
    fn step<A: Arithmetic>(
        simd: A,
        rule: &Rule,
        parameter: A::V,
        gradient: A::V,
        state: [A::V; MOST_STATE],
    ) -> (A::V, [A::V; MOST_STATE]);
}

/// Gradient descent.
pub(crate) struct Descent;

impl Step for Descent {
    const STATE: usize = 0;

    #[inline(always)]
    fn step<A: Arithmetic>(
        simd: A,
        rule: &Rule,
        parameter: A::V,
        gradient: A::V,
        state: [A::V; MOST_STATE],
    ) -> (A::V, [A::V; MOST_STATE]) {
        (simd.neg_mul_add(simd.splat(rule.rate), gradient, parameter), state)
    }
}

/// Gradient descent along a velocity, with `NESTEROV` by a look ahead along it.
pub(crate) struct Momentum<const NESTEROV: bool>;

impl<const NESTEROV: bool> Step for Momentum<NESTEROV> {
    const STATE: usize = 1;

    #[inline(always)]
    fn step<A: Arithmetic>(
        simd: A,
        rule: &Rule,
        parameter: A::V,
        gradient: A::V,
        [velocity, unused]: [A::V; MOST_STATE],
    ) -> (A::V, [A::V; MOST_STATE]) {
        let momentum = simd.splat(rule.momentum);
        let velocity = simd.mul_add(momentum, velocity, gradient);
        let direction = if NESTEROV { simd.mul_add(momentum, velocity, gradient) } else { velocity };
        (simd.neg_mul_add(simd.splat(rule.rate), direction, parameter), [velocity, unused])
    }
}

/// Adam.
pub(crate) struct Adam;

impl Step for Adam {
    const STATE: usize = 2;

    #[inline(always)]
    fn step<A: Arithmetic>(
        simd: A,
        rule: &Rule,
        parameter: A::V,
        gradient: A::V,
        [first, second]: [A::V; MOST_STATE],
    ) -> (A::V, [A::V; MOST_STATE]) {
        let Moments { kept, first_rate, second_kept, second_rate, correction, epsilon } = rule.moments;
        let first = simd.mul_add(simd.splat(first_rate), simd.sub(gradient, first), first);
        let square = simd.mul(gradient, gradient);
        let second = simd.mul_add(simd.splat(second_rate), square, simd.mul(simd.splat(second_kept), second));
        let denominator = simd.mul_add(simd.sqrt(second), simd.splat(correction), simd.splat(epsilon));
        let direction = simd.div(first, denominator);
        // A factor of 1 changes nothing, and costs less than a kernel of its own.
        let parameter = simd.mul(simd.splat(kept), parameter);
        (simd.neg_mul_add(simd.splat(rule.rate), direction, parameter), [first, second])
    }
}

/// A rule behind weight decay, which adds to the gradient.
pub(crate) struct WithDecay<R>(R);

impl<R: Step> Step for WithDecay<R> {
    const STATE: usize = R::STATE;

    #[inline(always)]
    fn step<A: Arithmetic>(
        simd: A,
        rule: &Rule,
        parameter: A::V,
        gradient: A::V,
        state: [A::V; MOST_STATE],
    ) -> (A::V, [A::V; MOST_STATE]) {
        let gradient = simd.mul_add(simd.splat(rule.weight_decay), parameter, gradient);
        R::step(simd, rule, parameter, gradient, state)
    }
}

/// Vectors of a row that are updated together, each with its state in registers.
const GROUP: usize = 4;

/// The same where a rule keeps so much that more would want more registers than AVX2 has.
const SMALL_GROUP: usize = 2;

/// Updates the parameters and the state by the rule `R`.
///
/// # Safety
/// `gradient` must be readable, `parameter` and the first `R::STATE` of `state` readable and writable at all
/// `rows × cols` places; none overlaps another.
#[inline(always)]
pub(crate) unsafe fn update<S: Simd, R: Step>(simd: S, update: &Update) {
    // A copy, which no store to the parameters can change: its numbers are read once.
    let rule = *update.rule;
    let (rows, cols) = update.flattened(R::STATE);
    for i in 0..rows {
        let gradient = update.gradient.wrapping_add(i * update.gradient_row_stride);
        let parameter = update.parameter.wrapping_add(i * update.parameter_row_stride);
        let mut state = update.state;
        for s in 0..R::STATE {
            state[s] = state[s].wrapping_add(i * update.state_row_strides[s]);
        }
        let group = if R::STATE < MOST_STATE { GROUP } else { SMALL_GROUP };
        let mut j = 0;
        while j < cols {
            let left = cols - j;
            let at = (gradient.wrapping_add(j), parameter.wrapping_add(j), state.map(|state| state.wrapping_add(j)));
            // SAFETY: columns of row i, for which the caller vouches: whole vectors where they fit, else what is left.
            unsafe {
                if left < group * S::LANES {
                    columns::<S, R, 1>(simd, &rule, at, left.min(S::LANES));
                    j += S::LANES;
                } else if group == GROUP {
                    columns::<S, R, GROUP>(simd, &rule, at, S::LANES);
                    j += GROUP * S::LANES;
                } else {
                    columns::<S, R, SMALL_GROUP>(simd, &rule, at, S::LANES);
                    j += SMALL_GROUP * S::LANES;
                }
            }
        }
    }
}

/// `NV` vectors of one row, the last cut to `tail` columns.
///
/// # Safety
/// As [`update`], for these columns.
#[inline(always)]
unsafe fn columns<S: Simd, R: Step, const NV: usize>(
    simd: S,
    rule: &Rule,
    (gradient, parameter, state): (*const f32, *mut f32, [*mut f32; MOST_STATE]),
    tail: usize,
) {
    let is_whole = tail == S::LANES;
    let tail = simd.tail(tail);
    // SAFETY: the caller's promise.
    unsafe {
        let load = |p: *const f32| {
            let mut values = [simd.splat(0.0); NV];
            for v in 0..NV {
                values[v] = match is_whole || v + 1 < NV {
                    true => simd.load(p.add(v * S::LANES)),
                    false => simd.load_tail(p.add(v * S::LANES), tail),
                };
            }
            values
        };
        let store = |p: *mut f32, values: [S::V; NV]| {
            for v in 0..NV {
                match is_whole || v + 1 < NV {
                    true => simd.store(p.add(v * S::LANES), values[v]),
                    false => simd.store_tail(p.add(v * S::LANES), values[v], tail),
                }
            }
        };
        let mut old = [[simd.splat(0.0); NV]; MOST_STATE];
        for s in 0..R::STATE {
            old[s] = load(state[s]);
        }
        let (new_parameter, new) = R::step(Group::<S, NV>(simd), rule, load(parameter), load(gradient), old);
        for s in 0..R::STATE {
            store(state[s], new[s]);
        }
        store(parameter, new_parameter);
    }
}
