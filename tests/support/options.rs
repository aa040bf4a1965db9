//! Everything that a caller can choose for one call.

use fused_dense::{Adam, Operand, Optimizer, Sgd, Upstream};

/// The options of a forward call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForwardOptions {
    pub(crate) bias: bool,
    pub(crate) keep_z: bool,
}

impl ForwardOptions {
    /// Every combination.
    pub(crate) const ALL: [Self; 4] = [
        Self { bias: true, keep_z: true },
        Self { bias: true, keep_z: false },
        Self { bias: false, keep_z: true },
        Self { bias: false, keep_z: false },
    ];
}

/// The operand that comes down from above.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Above {
    Activation,
    PreActivation,
    Targets,
}

impl Above {
    pub(crate) fn operand(self) -> Operand {
        match self {
            Self::Activation => Operand::DA,
            Self::PreActivation => Operand::DZ,
            Self::Targets => Operand::Targets,
        }
    }

    pub(crate) fn upstream<T>(self, values: T) -> Upstream<T> {
        match self {
            Self::Activation => Upstream::Activation(values),
            Self::PreActivation => Upstream::PreActivation(values),
            Self::Targets => Upstream::Targets(values),
        }
    }
}

/// The saved values of the forward pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kept {
    A,
    Z,
}

/// The fate of a gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Want {
    Nothing,
    Overwrite,
    Add,
}

/// The options of a backward call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BackwardOptions {
    pub(crate) from: Above,
    pub(crate) kept: Kept,
    pub(crate) w: Want,
    pub(crate) b: Want,
    pub(crate) a_prev: Want,
    pub(crate) keep_dz: bool,
    pub(crate) scale: f32,
}

impl BackwardOptions {
    /// Number of combinations.
    pub(crate) const COUNT: usize = 3 * 2 * 3 * 3 * 3 * 2 * 2;

    /// All gradients overwritten, from `dA` and the saved `a`.
    pub(crate) const PLAIN: Self = Self {
        from: Above::Activation,
        kept: Kept::A,
        w: Want::Overwrite,
        b: Want::Overwrite,
        a_prev: Want::Overwrite,
        keep_dz: true,
        scale: 0.125,
    };

    /// Combination `index`, modulo their number.
    pub(crate) fn nth(index: usize) -> Self {
        let mut rest = index;
        let mut digit = |base: usize| {
            let digit = rest % base;
            rest /= base;
            digit
        };
        let wants = [Want::Overwrite, Want::Add, Want::Nothing];
        Self {
            w: wants[digit(3)],
            b: wants[digit(3)],
            a_prev: wants[digit(3)],
            from: [Above::Activation, Above::PreActivation, Above::Targets][digit(3)],
            kept: [Kept::A, Kept::Z][digit(2)],
            keep_dz: digit(2) == 1,
            scale: [1.0, 0.1][digit(2)],
        }
    }

    /// Every combination.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self::nth)
    }
}

/// An optimiser's rule, without learning rate and weight decay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rule {
    Descent,
    Momentum { mu: f32 },
    Nesterov { mu: f32 },
    Adam { betas: (f32, f32), epsilon: f32 },
    DecoupledAdam { betas: (f32, f32), epsilon: f32 },
}

/// The further options of an update.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UpdateOptions {
    pub(crate) rule: Rule,
    pub(crate) learning_rate: f32,
    pub(crate) weight_decay: f32,
    pub(crate) step: u64,
    /// Whether the bias is updated too.
    pub(crate) bias: bool,
}

impl UpdateOptions {
    /// Plain gradient descent.
    const PLAIN: Self = Self { rule: Rule::Descent, learning_rate: 0.3, weight_decay: 0.0, step: 1, bias: false };

    /// Adam with its usual settings.
    const ADAM: Self = Self {
        rule: Rule::Adam { betas: (0.9, 0.999), epsilon: 1e-8 },
        learning_rate: 0.01,
        bias: true,
        ..Self::PLAIN
    };

    /// Every combination of what can be left out of gradient descent, then the other rules.
    pub(crate) const ALL: [Self; 15] = {
        let mut all = [Self::PLAIN; 15];
        let mut index = 0;
        while index < 8 {
            if index & 1 != 0 {
                all[index].bias = true;
            }
            if index & 2 != 0 {
                all[index].rule = Rule::Momentum { mu: 0.9 };
            }
            if index & 4 != 0 {
                all[index].weight_decay = 0.01;
            }
            index += 1;
        }
        let (nesterov, decoupled) =
            (Rule::Nesterov { mu: 0.7 }, Rule::DecoupledAdam { betas: (0.8, 0.95), epsilon: 1e-6 });
        all[8] = Self { rule: nesterov, bias: true, ..Self::PLAIN };
        all[9] = Self { rule: nesterov, weight_decay: 0.1, ..Self::PLAIN };
        all[10] = Self::ADAM;
        all[11] = Self { weight_decay: 0.1, step: 3, ..Self::ADAM };
        all[12] = Self { rule: decoupled, weight_decay: 0.5, step: 1_000_000, ..Self::ADAM };
        all[13] = Self { rule: Rule::Adam { betas: (0.0, 0.0), epsilon: 0.125 }, ..Self::ADAM };
        all[14] = Self { step: 100, bias: false, ..Self::ADAM };
        all
    };

    pub(crate) fn optimizer(&self) -> Optimizer {
        let &Self { rule, learning_rate, weight_decay, .. } = self;
        let adam = |(beta1, beta2), epsilon| Adam::new(learning_rate).betas(beta1, beta2).epsilon(epsilon);
        let sgd = Sgd::new(learning_rate).weight_decay(weight_decay);
        match rule {
            Rule::Descent => sgd.into(),
            Rule::Momentum { mu } => sgd.momentum(mu).into(),
            Rule::Nesterov { mu } => sgd.momentum(mu).nesterov().into(),
            Rule::Adam { betas, epsilon } => adam(betas, epsilon).weight_decay(weight_decay).into(),
            Rule::DecoupledAdam { betas, epsilon } => adam(betas, epsilon).decoupled_weight_decay(weight_decay).into(),
        }
    }
}

/// Walks through all combinations of options, each call with the next one.
#[derive(Default)]
pub(crate) struct Cycle {
    count: usize,
}

impl Cycle {
    pub(crate) fn next(&mut self) -> (ForwardOptions, BackwardOptions) {
        self.count += 1;
        // A stride without common factor with the number of combinations visits them all.
        const STRIDE: usize = 131;
        const { assert!(!BackwardOptions::COUNT.is_multiple_of(STRIDE)) };
        (ForwardOptions::ALL[self.count % 4], BackwardOptions::nth(self.count * STRIDE % BackwardOptions::COUNT))
    }
}
