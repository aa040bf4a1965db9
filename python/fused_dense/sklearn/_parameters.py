"""The parameters that both estimators have: which values they may take, and how they are described."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, Options, StrOptions

STOCHASTIC_SOLVERS = ("sgd", "adam")


def _from(low: float, kind: type = Real) -> Interval:
    return Interval(kind, low, None, closed="left")


_COUNT = _from(1, Integral)
_BELOW_ONE = Interval(Real, 0, 1, closed="left")
_POSITIVE = Interval(Real, 0, None, closed="neither")

CONSTRAINTS: dict[str, list[Any]] = {
    "hidden_layer_sizes": ["array-like", _COUNT],
    "activation": [StrOptions({"identity", "logistic", "tanh", "relu"})],
    "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
    "alpha": [_from(0)],
    "batch_size": [StrOptions({"auto"}), _COUNT],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": [_POSITIVE],
    "power_t": [_from(0)],
    "max_iter": [_COUNT],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [_from(0)],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [_BELOW_ONE],
    "beta_1": [_BELOW_ONE],
    "beta_2": [_BELOW_ONE],
    "epsilon": [_POSITIVE],
    "n_iter_no_change": [_COUNT, Options(Real, {np.inf})],
    "max_fun": [_COUNT],
    "n_jobs": [None, Integral],
}

DESCRIPTIONS = """
    hidden_layer_sizes : array-like of int, default=(100,)
        Units of each hidden layer. Empty: a linear model.
    activation : {'identity', 'logistic', 'tanh', 'relu'}, default='relu'
        Function of the hidden layers.
    solver : {'lbfgs', 'sgd', 'adam'}, default='adam'
        'sgd' and 'adam' train by batches. 'lbfgs' hands the gradients of the whole data to SciPy's L-BFGS-B, which
        often needs least time on small data.
    alpha : float, default=0.0001
        Strength of the L2 penalty, `alpha / 2 * sum(w ** 2)`, which is divided by the samples of a batch.
    batch_size : int or 'auto', default='auto'
        Samples of a batch; 'auto' is `min(200, n_samples)`. Not used by 'lbfgs'.
    learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
        Of 'sgd' alone. 'invscaling' divides `learning_rate_init` by `(t_ + 1) ** power_t` after each epoch; 'adaptive'
        divides it by 5 each time that training would stop for lack of progress, and stops once it is 1e-6 or less.
    learning_rate_init : float, default=0.001
        Learning rate of 'sgd' and 'adam' at first.
    power_t : float, default=0.5
        Exponent of 'invscaling'.
    max_iter : int, default=200
        Epochs at most; iterations of 'lbfgs'.
    shuffle : bool, default=True
        Whether each epoch takes the samples in a new order.
    random_state : int, RandomState instance or None, default=None
        Source of the initial weights, the split for early stopping and the orders of samples. An int gives the same
        result every time, on any number of threads.
    tol : float, default=1e-4
        The loss (with `early_stopping`: the validation score) has to improve by this much within `n_iter_no_change`
        epochs. 'lbfgs' stops when no element of the gradient is larger.
    verbose : bool or int, default=False
        True or 1 prints the loss of each epoch. 2 shows a progress bar, if tqdm is installed.
    warm_start : bool, default=False
        Whether `fit` starts with the weights that the last call found.
    momentum : float, default=0.9
        Momentum of 'sgd', from 0 to 1.
    nesterovs_momentum : bool, default=True
        Whether the momentum is Nesterov's.
    early_stopping : bool, default=False
        Whether to set `validation_fraction` of the samples aside, to stop when their score no longer improves, and to
        keep the weights that scored best.
    validation_fraction : float, default=0.1
        Share of the samples that `early_stopping` sets aside.
    beta_1 : float, default=0.9
        Decay of the first moment of 'adam'.
    beta_2 : float, default=0.999
        Decay of the second moment of 'adam'.
    epsilon : float, default=1e-8
        Added to the denominator of 'adam'.
    n_iter_no_change : int, default=10
        Epochs without progress that are accepted; `numpy.inf` for any number.
    max_fun : int, default=15000
        Evaluations of the loss by 'lbfgs' at most.
    n_jobs : int or None, default=None
        Threads to compute with, as joblib counts them: None is 1, or what `joblib.parallel_config` says; -1 is every
        core. Within a worker of joblib's it is always 1. Threads share the work of large layers; small ones are
        faster on one. The results do not depend on it, to the bit."""

ATTRIBUTES = """
    loss_ : float
        Loss of the last epoch.
    best_loss_ : float or None
        Least loss of an epoch; None with `early_stopping`.
    loss_curve_ : list of float
        Loss of each epoch. Not there after 'lbfgs'.
    validation_scores_ : list of float or None
        {score} of the samples set aside, for each epoch; None without `early_stopping`.
    best_validation_score_ : float or None
        The best of them.
    t_ : int
        Samples that training went through.
    coefs_ : tuple of ndarray of shape (inputs, outputs)
        Weights of each layer: read-only float32 copies. Assign a list of arrays to set them.
    intercepts_ : tuple of ndarray of shape (outputs,)
        Biases of each layer, likewise.
    n_features_in_ : int
        Features seen by `fit`.
    feature_names_in_ : ndarray of str
        Their names, where all of them are strings.
    n_iter_ : int
        Epochs of the last call; iterations of 'lbfgs'.
    n_layers_ : int
        Layers, inputs and outputs included.
    n_outputs_ : int
        Outputs of the network.
    out_activation_ : str
        Function of the last layer."""

DIFFERENCES = """
    It computes in float32, whatever the type of `X`: data whose values, squares included, leave the range of float32
    is refused, and a loss may differ from scikit-learn's in the seventh digit, more after many epochs. `coefs_` and
    `intercepts_` are tuples of read-only copies. A step whose loss or gradients are not finite is not taken:
    `fit` raises at once the ValueError that scikit-learn raises at its end.
    Sample weights must not be negative, and a batch whose weights sum to zero is passed over."""
