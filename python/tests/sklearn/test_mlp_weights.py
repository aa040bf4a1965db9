"""Weights of samples and of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import CLASSIFIERS, PROBLEMS, Problem, fit_both, quietly
from sklearn.utils import compute_class_weight, compute_sample_weight

SETTINGS: dict[str, Any] = {"hidden_layer_sizes": (8,), "random_state": 0, "max_iter": 4, "batch_size": 20}


@pytest.mark.parametrize("name", ["multiclass", "binary", "multilabel"])
@pytest.mark.parametrize("sample_weight", [None, np.linspace(0.5, 2, 130)], ids=["plain", "weighted"])
def test_class_weights_are_sample_weights(name: str, sample_weight: Any) -> None:
    problem = PROBLEMS[name]
    by_hand: Any = {"multiclass": {"a": 3.0, "c": 0.5}, "binary": {5: 2.0, -3: 0.25}, "multilabel": 4 * [{0: 1.0, 1: 3.0}]}[name]
    for class_weight in ("balanced", by_hand):
        by_class = CLASSIFIERS.ours(**SETTINGS, class_weight=class_weight)
        by_sample = CLASSIFIERS.ours(**SETTINGS)
        weights = compute_sample_weight(class_weight, problem.y)
        quietly(by_class.fit, problem.X, problem.y, sample_weight=sample_weight)
        quietly(by_sample.fit, problem.X, problem.y, weights if sample_weight is None else weights * sample_weight)
        assert by_class.loss_curve_ == by_sample.loss_curve_


def test_class_weights_in_partial_fit() -> None:
    problem = PROBLEMS["multiclass"]
    classifier = CLASSIFIERS.ours(**SETTINGS, class_weight={"a": 3.0})
    other = CLASSIFIERS.ours(**SETTINGS)
    rows = problem.y != "b"
    X, y = problem.X[rows], problem.y[rows]
    classifier.partial_fit(X, y, classes=list("abcd")).partial_fit(X, y)
    weights = np.where(y == "a", 3.0, 1.0)
    other.partial_fit(X, y, weights, classes=list("abcd")).partial_fit(X, y, weights)
    assert classifier.loss_curve_ == other.loss_curve_
    with pytest.raises(ValueError, match="class_weight 'balanced' is not supported for partial_fit"):
        classifier.set_params(class_weight="balanced").partial_fit(X, y)


def test_class_weights_of_unknown_classes() -> None:
    problem = PROBLEMS["multiclass"]
    with pytest.raises(ValueError):
        CLASSIFIERS.ours(class_weight={"z": 3.0}).fit(problem.X, problem.y)
    with pytest.raises(ValueError, match="The 'class_weight' parameter of MLPClassifier must be"):
        CLASSIFIERS.ours(class_weight="even").fit(problem.X, problem.y)


def test_balanced_weights_help_a_rare_class() -> None:
    random = np.random.RandomState(0)
    X = random.standard_normal((600, 4))
    y = (X[:, 0] + 0.7 * random.standard_normal(600) > 1.9).astype(int)
    found = {}
    for class_weight in (None, "balanced"):
        classifier = CLASSIFIERS.ours((8,), random_state=0, class_weight=class_weight)
        found[class_weight] = quietly(classifier.fit, X, y).predict(X)[y == 1].mean()
    assert found["balanced"] > found[None] + 0.1
    assert compute_class_weight("balanced", classes=np.array([0, 1]), y=y)[1] > 5


@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_whole_weights_are_repetitions(problem: Problem, solver: str) -> None:
    """Scikit-learn checks the same to the seventh digit; single precision has six."""
    weights = np.random.RandomState(2).randint(0, 4, 130)
    settings: dict[str, Any] = {"solver": solver, "max_iter": 5, "batch_size": 400, "shuffle": False}
    settings |= {"hidden_layer_sizes": (8,), "random_state": 0, **problem.settings}
    weighted, repeated = (problem.pair.ours(**settings) for _ in range(2))
    X, y = problem.X.repeat(weights, axis=0), problem.y.repeat(weights, axis=0)
    with pytest.warns():
        weighted.fit(problem.X, problem.y, weights)
        repeated.fit(X, y)
    np.testing.assert_allclose(weighted.loss_, repeated.loss_, rtol=1e-4)
    for found, expected in zip(weighted.coefs_, repeated.coefs_):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_a_batch_without_weight_is_passed_over(problem: Problem) -> None:
    weights = np.ones(130)
    weights[20:40] = 0
    estimator, _ = problem.pair.ours(**SETTINGS | problem.settings, shuffle=False), None
    quietly(estimator.fit, problem.X, problem.y, weights)
    assert np.isfinite(estimator.loss_curve_).all()
    rest = problem.pair.ours(**SETTINGS | problem.settings, shuffle=False)
    keep = weights > 0
    quietly(rest.fit, problem.X[keep], problem.y[keep], np.ones(110))
    assert all((a == b).all() for a, b in zip(estimator.coefs_, rest.coefs_))


def test_early_stopping_scores_with_weights(problem: Problem) -> None:
    weights = np.random.RandomState(3).uniform(0, 2, 130)
    ours, theirs = fit_both(problem, None, weights, early_stopping=True, max_iter=3, validation_fraction=0.3)
    np.testing.assert_allclose(ours.validation_scores_, theirs.validation_scores_, rtol=1e-3, atol=1e-3)
