"""The quick ways through `partial_fit` and `predict` do what the slow ones do."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from conftest import CLASSIFIERS, PROBLEMS, Problem, both, quietly

from fused_dense.sklearn import _base

BATCHES = [slice(start, start + 10) for start in range(0, 130, 10)]


def begun(problem: Problem, **settings: Any) -> Any:
    """An estimator that has seen all classes."""
    ours, _ = both(problem, max_iter=1, **settings)
    return quietly(ours.fit, problem.X, problem.y)


def slowly(estimator: Any, X: Any, y: Any) -> None:
    """`partial_fit` without the quick way."""
    with mock.patch.object(_base, "serves", lambda *_: False):
        estimator.partial_fit(X, y)


QUICK = ["multiclass", "binary", "regression", "outputs"]


@pytest.mark.parametrize("name", QUICK)
@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_partial_fit_gives_the_same_bits(name: str, solver: str, dtype: type) -> None:
    problem = PROBLEMS[name]
    settings: dict[str, Any] = {"solver": solver, "batch_size": 5, "learning_rate": "invscaling"}
    quick, slow = (begun(problem, **settings) for _ in range(2))
    X = problem.X.astype(dtype)
    with mock.patch.object(type(quick), "_slow_partial_fit", side_effect=AssertionError("the slow way was taken")):
        for rows in BATCHES:
            quick.partial_fit(X[rows], problem.y[rows])
    for rows in BATCHES:
        slowly(slow, X[rows], problem.y[rows])
    assert quick.loss_curve_ == slow.loss_curve_
    assert (quick.t_, quick.n_iter_, quick.best_loss_) == (slow.t_, slow.n_iter_, slow.best_loss_)
    assert quick._no_improvement_count == slow._no_improvement_count
    assert all((a == b).all() for a, b in zip(quick.coefs_ + quick.intercepts_, slow.coefs_ + slow.intercepts_))


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_generator_is_drawn_from_as_often(shuffle: bool) -> None:
    problem = PROBLEMS["multiclass"]
    states = []
    for way in (lambda estimator, X, y: estimator.partial_fit(X, y), slowly):
        random = np.random.RandomState(4)
        estimator = begun(problem, random_state=random, shuffle=shuffle)
        for rows in BATCHES:
            way(estimator, problem.X[rows], problem.y[rows])
        states.append((random.randint(1 << 30), estimator.loss_curve_))
    assert states[0] == states[1]


@pytest.mark.parametrize(
    "change",
    [
        {"verbose": True},
        {"warm_start": True},
        {"class_weight": {"a": 2.0}},
        {"alpha": 0.5},
        {"shuffle": False},
        {"tol": 0.5},
        {"batch_size": 4},
    ],
)
def test_a_setting_that_changes_is_heeded(change: dict[str, Any]) -> None:
    problem = PROBLEMS["multiclass"]
    quick, slow = (begun(problem) for _ in range(2))
    for estimator, way in ((quick, lambda estimator, X, y: estimator.partial_fit(X, y)), (slow, slowly)):
        for rows in BATCHES[:3]:
            way(estimator, problem.X[rows], problem.y[rows])
        estimator.set_params(**change)
        for _ in range(3):
            way(estimator, problem.X, problem.y)
    assert quick.loss_curve_ == slow.loss_curve_


def test_a_bad_setting_is_an_error() -> None:
    problem = PROBLEMS["multiclass"]
    estimator = begun(problem)
    estimator.partial_fit(problem.X, problem.y)
    estimator.alpha = -1.0
    with pytest.raises(ValueError, match="The 'alpha' parameter of MLPClassifier must be"):
        estimator.partial_fit(problem.X, problem.y)


@pytest.mark.parametrize(
    "form",
    [
        lambda X: X.tolist(),
        lambda X: pd.DataFrame(X).to_numpy(dtype=object),
        lambda X: np.asfortranarray(X),
        lambda X: X[::-1][::-1],
        lambda X: X.astype(np.float16).astype(np.float64),
        lambda X: np.ma.masked_array(X),
        lambda X: X.view(np.matrix)[:].A if hasattr(np, "matrix") else X,
    ],
)
def test_forms_of_predictions(form: Any) -> None:
    problem = PROBLEMS["multiclass"]
    X = np.round(problem.X * 8) / 8
    estimator = begun(problem)
    np.testing.assert_array_equal(estimator.predict_proba(form(X)), estimator.predict_proba(X))


def test_one_row_at_a_time(problem: Problem) -> None:
    estimator = begun(problem)
    method = "predict_proba" if hasattr(estimator, "predict_proba") else "predict"
    whole = getattr(estimator, method)(problem.X)
    rows = [getattr(estimator, method)(problem.X[at : at + 1])[0] for at in range(130)]
    np.testing.assert_allclose(np.array(rows), whole, rtol=1e-5, atol=1e-6)


def test_names_of_features_take_the_slow_way() -> None:
    problem = PROBLEMS["multiclass"]
    frame = pd.DataFrame(problem.X, columns=[f"f{i}" for i in range(9)])
    classifier = quietly(CLASSIFIERS.ours((5,), max_iter=1).fit, frame, problem.y)
    for call in (
        lambda: classifier.predict(problem.X),
        lambda: classifier.predict_proba(problem.X),
        lambda: classifier.partial_fit(problem.X, problem.y),
    ):
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            call()
