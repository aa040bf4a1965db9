"""The same random state takes the same course as scikit-learn's estimators, up to the rounding of float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import PROBLEMS, Problem, assert_same_course, both, fit_both, quietly, recent
from scipy import sparse

WEIGHTS = np.random.RandomState(1).uniform(0, 3, 130)

pytestmark = pytest.mark.filterwarnings("ignore:Training interrupted")


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_activations(problem: Problem, solver: str, activation: str) -> None:
    settings: dict[str, Any] = {"solver": solver, "activation": activation, "max_iter": 6, "batch_size": 32}
    assert_same_course(*fit_both(problem, **settings, learning_rate_init=0.01))


@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
@pytest.mark.parametrize("nesterovs_momentum", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_schedules(problem: Problem, learning_rate: str, nesterovs_momentum: bool, momentum: float) -> None:
    # Progress of less than a half does not count, so that the rate of 'adaptive' falls every few epochs.
    settings: dict[str, Any] = {"tol": 0.5, "n_iter_no_change": 2, "max_iter": 14, "learning_rate_init": 0.02}
    ours, theirs = fit_both(
        problem,
        solver="sgd",
        learning_rate=learning_rate,
        nesterovs_momentum=nesterovs_momentum,
        momentum=momentum,
        power_t=0.3,
        **settings,
    )
    assert_same_course(ours, theirs)
    assert ours._schedule.rate == pytest.approx(theirs._optimizer.learning_rate)


@pytest.mark.parametrize("batch_size", ["auto", 1, 13, 130])
@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_batches(problem: Problem, solver: str, shuffle: bool, batch_size: Any) -> None:
    assert_same_course(*fit_both(problem, solver=solver, shuffle=shuffle, batch_size=batch_size, max_iter=4))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 20.0])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_penalty(problem: Problem, solver: str, alpha: float) -> None:
    assert_same_course(*fit_both(problem, solver=solver, alpha=alpha, batch_size=20, max_iter=5))


def test_an_epoch_of_many_batches_takes_the_penalty_at_some_of_them(problem: Problem) -> None:
    settings: dict[str, Any] = {"solver": "sgd", "alpha": 0.05, "batch_size": 1, "max_iter": 3}
    assert_same_course(*fit_both(problem, **settings, learning_rate_init=0.003), rtol=2e-3)


@pytest.mark.parametrize("betas", [(0.0, 0.9), (0.5, 0.99), (0.9, 0.9999999999)])
@pytest.mark.parametrize("epsilon", [1e-60, 1e-8, 0.1])
def test_settings_of_adam(multiclass: Problem, betas: tuple[float, float], epsilon: float) -> None:
    beta_1, beta_2 = betas
    assert_same_course(*fit_both(multiclass, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, max_iter=4), rtol=5e-3)


@pytest.mark.parametrize("form", ["dense", "csr", "csc", "fortran", "single"])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_forms_of_data(problem: Problem, solver: str, weights: Any, form: str) -> None:
    X = {
        "dense": np.asarray,
        "csr": sparse.csr_matrix,
        "csc": sparse.csc_array,
        "fortran": np.asfortranarray,
        "single": lambda X: X.astype(np.float32),
    }[form](problem.X)
    assert_same_course(*fit_both(problem, X, weights, solver=solver, batch_size=17, max_iter=4))


@recent
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_early_stopping(problem: Problem, solver: str, weights: Any) -> None:
    settings: dict[str, Any] = {"early_stopping": True, "n_iter_no_change": 3, "max_iter": 12, "validation_fraction": 0.2}
    ours, theirs = fit_both(problem, None, weights, solver=solver, learning_rate_init=0.01, **settings)
    assert_same_course(ours, theirs)
    assert ours.best_loss_ is None
    np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(ours.best_validation_score_, theirs.best_validation_score_, rtol=1e-3, atol=1e-3)


@recent
@pytest.mark.parametrize("early_stopping", [False, True])
def test_warm_start(problem: Problem, early_stopping: bool) -> None:
    ours, theirs = both(problem, warm_start=True, max_iter=3, early_stopping=early_stopping)
    for _ in range(3):
        for estimator in (ours, theirs):
            quietly(estimator.fit, problem.X, problem.y)
    assert_same_course(ours, theirs)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("random_state", ["seed", "generator", "global"])
def test_partial_fit(problem: Problem, solver: str, random_state: str) -> None:
    curves = []
    for estimator in both(problem, solver=solver, batch_size=10):
        np.random.seed(5)
        estimator.random_state = {"seed": 3, "generator": np.random.RandomState(3), "global": None}[random_state]
        classes = np.unique(problem.y) if problem.y.ndim == 1 else np.arange(problem.y.shape[1])
        first = {"classes": classes} if hasattr(estimator, "predict_proba") else {}
        for start in (0, 10, 40, 70, 100):
            rows = slice(start, start + 30)
            estimator.partial_fit(problem.X[rows], problem.y[rows], **first)
            first = {}
        curves.append(estimator)
    assert_same_course(*curves)


def test_partial_fit_goes_on_with_fit(problem: Problem) -> None:
    ours, theirs = fit_both(problem, solver="sgd", learning_rate="invscaling", max_iter=3)
    for _ in range(3):
        for estimator in (ours, theirs):
            estimator.partial_fit(problem.X, problem.y)
    assert_same_course(ours, theirs)


@pytest.mark.parametrize("name", PROBLEMS)
def test_predictions(name: str) -> None:
    problem = PROBLEMS[name]
    ours, theirs = fit_both(problem, max_iter=5)
    if hasattr(theirs, "predict_proba"):
        np.testing.assert_allclose(ours.predict_proba(problem.X), theirs.predict_proba(problem.X), rtol=1e-3, atol=1e-4)
        found, expected = ours.predict_log_proba(problem.X), theirs.predict_log_proba(problem.X)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
        agree = ours.predict(problem.X) == theirs.predict(problem.X)
        assert agree.mean() > 0.98
        assert ours.predict(problem.X).dtype == theirs.predict(problem.X).dtype
    else:
        np.testing.assert_allclose(ours.predict(problem.X), theirs.predict(problem.X), rtol=1e-3, atol=1e-3)
    assert ours.score(problem.X, problem.y) == pytest.approx(theirs.score(problem.X, problem.y), abs=0.01)
