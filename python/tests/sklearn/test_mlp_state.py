"""Attributes, copies and files."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pytest
from conftest import CLASSIFIERS, PROBLEMS, Problem, fit_both, quietly, recent
from sklearn.base import clone
from sklearn.exceptions import NotFittedError


def through_joblib(estimator: Any) -> Any:
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda estimator: pickle.loads(pickle.dumps(estimator)),
    "joblib": through_joblib,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_copies_predict_and_go_on_as_the_original(problem: Problem, solver: str, way: str) -> None:
    original, _ = fit_both(problem, solver=solver, max_iter=3, random_state=np.random.RandomState(0))
    assert original.coefs_ is original.coefs_
    other = COPIES[way](original)
    np.testing.assert_array_equal(original.predict(problem.X), other.predict(problem.X))
    if solver == "lbfgs":
        return
    for estimator in (original, other):
        for _ in range(2):
            estimator.partial_fit(problem.X, problem.y)
    assert original.loss_curve_ == other.loss_curve_
    assert all((a == b).all() for a, b in zip(original.coefs_, other.coefs_))


def test_a_clone_is_new(problem: Problem) -> None:
    fitted, _ = fit_both(problem, max_iter=2)
    other = clone(fitted)
    assert other.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        other.predict(problem.X)
    quietly(other.fit, problem.X, problem.y)
    assert other.loss_curve_ == fitted.loss_curve_


@recent
def test_the_same_attributes_as_scikit_learn(problem: Problem) -> None:
    for settings in ({}, {"early_stopping": True}, {"solver": "lbfgs"}):
        ours, theirs = fit_both(problem, max_iter=2, **settings)
        public = [name for name in vars(theirs) if name.endswith("_") and not name.startswith("_")]
        assert [name for name in public if not hasattr(ours, name)] == []
        for name in public:
            found, expected = getattr(ours, name), getattr(theirs, name)
            if isinstance(expected, (int, str)) and not name.endswith("score_"):
                assert found == expected, name
            elif name == "classes_":
                np.testing.assert_array_equal(found, expected)


def test_nothing_is_there_before_fit() -> None:
    classifier = CLASSIFIERS.ours()
    for name in ("coefs_", "intercepts_", "classes_", "loss_curve_", "n_iter_"):
        assert not hasattr(classifier, name)


def test_parameters_are_read_only(multiclass: Problem) -> None:
    ours, theirs = fit_both(multiclass, max_iter=1)
    assert [w.shape for w in ours.coefs_] == [w.shape for w in theirs.coefs_]
    assert [b.shape for b in ours.intercepts_] == [b.shape for b in theirs.intercepts_]
    with pytest.raises(ValueError, match="read-only"):
        ours.coefs_[0][0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        ours.intercepts_[0] += 1
    with pytest.raises(TypeError):
        ours.coefs_[0] = ours.coefs_[0]


def test_parameters_can_be_set(problem: Problem) -> None:
    ours, theirs = fit_both(problem, max_iter=2)
    random = np.random.RandomState(0)
    coefs = [random.standard_normal(w.shape) / 4 for w in theirs.coefs_]
    intercepts = [random.standard_normal(b.shape) / 4 for b in theirs.intercepts_]
    for estimator in (ours, theirs):
        estimator.coefs_, estimator.intercepts_ = coefs, intercepts
    method = "predict_proba" if hasattr(ours, "predict_proba") else "predict"
    found, expected = getattr(ours, method)(problem.X), getattr(theirs, method)(problem.X)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(ours.coefs_[1], coefs[1].astype(np.float32))


@pytest.mark.parametrize("coefs", [[], [np.zeros((9, 12))] * 3, [np.zeros((9, 12)), np.zeros((12, 7))]])
def test_parameters_of_another_shape_are_refused(multiclass: Problem, coefs: Any) -> None:
    ours, _ = fit_both(multiclass, max_iter=1)
    before = ours.coefs_
    with pytest.raises(ValueError):
        ours.coefs_ = coefs
    assert all((a == b).all() for a, b in zip(before, ours.coefs_))


def test_classes_keep_their_type() -> None:
    X = PROBLEMS["multiclass"].X
    for labels in (["x", "yy"], [2.0, 3.0], [True, False], [np.int8(3), np.int8(5)], ["only"], [4, 9, 12]):
        y = np.array(labels)[np.arange(130) % len(labels)]
        ours, theirs = (quietly(kind(max_iter=2, random_state=0).fit, X, y) for kind in CLASSIFIERS)
        found, expected = ours.predict(X), theirs.predict(X)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
        assert ours.predict_proba(X).shape == theirs.predict_proba(X).shape


def test_warm_start_from_one_rule_of_stopping_to_another(multiclass: Problem) -> None:
    ours, _ = fit_both(multiclass, max_iter=2, warm_start=True)
    ours.set_params(early_stopping=True)
    quietly(ours.fit, multiclass.X, multiclass.y)
    assert len(ours.validation_scores_) == 2
    assert len(ours.loss_curve_) == 4
