"""Training by L-BFGS."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import PROBLEMS, Problem, assert_same_course, fit_both
from scipy import sparse

WEIGHTS = np.random.RandomState(1).uniform(0, 3, 130)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_first_iterations(problem: Problem, weights: Any, activation: str) -> None:
    ours, theirs = fit_both(problem, None, weights, solver="lbfgs", activation=activation, max_iter=3, alpha=0.1)
    assert_same_course(ours, theirs, rtol=2e-3)
    assert not hasattr(ours, "loss_curve_")


def test_sparse(problem: Problem) -> None:
    ours, theirs = fit_both(problem, sparse.csr_array(problem.X), solver="lbfgs", max_iter=3)
    assert_same_course(ours, theirs, rtol=2e-3)


def test_many_iterations_end_as_low(problem: Problem) -> None:
    # Paths part after many iterations; where they end has much the same loss.
    ours, theirs = fit_both(problem, solver="lbfgs", activation="tanh", max_iter=60, alpha=0.5)
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=0.05)


def test_it_converges_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    problem = PROBLEMS["regression"]
    ours = problem.pair.ours(hidden_layer_sizes=(6,), solver="lbfgs", activation="identity", random_state=0, alpha=1.0, max_iter=2000)
    ours.fit(problem.X, problem.y)
    assert ours.n_iter_ < 2000
    assert not [str(w.message) for w in recwarn]


def test_more_samples_than_go_through_the_network_at_once() -> None:
    random = np.random.RandomState(0)
    X = random.standard_normal((3000, 5))
    problem = PROBLEMS["regression"]._replace(X=X, y=np.sin(X).sum(axis=1))
    assert_same_course(*fit_both(problem, solver="lbfgs", max_iter=4), rtol=2e-3)


def test_max_fun() -> None:
    problem = PROBLEMS["multiclass"]
    ours, theirs = fit_both(problem, solver="lbfgs", max_fun=4)
    assert ours.n_iter_ == theirs.n_iter_


def test_partial_fit_may_follow() -> None:
    problem = PROBLEMS["multiclass"]
    ours, _ = fit_both(problem, solver="lbfgs", max_iter=3)
    before = ours.coefs_
    ours.set_params(solver="adam").partial_fit(problem.X, problem.y)
    assert len(ours.loss_curve_) == 1
    assert not np.array_equal(before[0], ours.coefs_[0])
