"""Errors and warnings have the types and texts of scikit-learn's."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import CLASSIFIERS, PROBLEMS, REGRESSORS, Pair, recent
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from fused_dense import DivergenceError

X, LABELS = PROBLEMS["multiclass"].X, PROBLEMS["multiclass"].y
BINARY = PROBLEMS["binary"].y
NUMBERS = PROBLEMS["regression"].y


def outcome(call: Callable[[], Any]) -> tuple[Any, str, list[tuple[type, str]]]:
    """The exception of a call, if any, and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            call()
        except Exception as error:
            # A set of choices is printed in any order.
            kind, text = type(error), re.sub(r"\{(.*?)\}", lambda found: str(sorted(found[1].split(", "))), str(error))
        else:
            kind, text = None, ""
    return kind, text, sorted({(w.category, str(w.message)) for w in caught}, key=str)


def assert_same_outcome(pair: Pair, call: Callable[[type], Any], *, fails: bool = True) -> None:
    """A call ends with scikit-learn's exception and warnings, whichever class it uses."""
    ours, theirs = (outcome(lambda kind=kind: call(kind)) for kind in pair)
    assert ours == theirs
    assert (theirs[0] is not None) == fails


BAD_SETTINGS = {
    "hidden_layer_sizes": ["x", None, 0, -3, 1.5, (4, 0), (4, -1)],
    "activation": ["x", None, 1, "sigmoid"],
    "solver": ["x", None, 1, "rmsprop"],
    "alpha": ["x", None, -1, -1e-9],
    "batch_size": ["x", None, 0, -1, 1.5],
    "learning_rate": ["x", None, 1],
    "learning_rate_init": ["x", None, 0, -1.0],
    "power_t": ["x", None, -1],
    "max_iter": ["x", None, 0, -1, 1.5, np.inf],
    "shuffle": ["x", None, 2],
    "random_state": ["x", -1, 1.5],
    "tol": ["x", None, -1],
    "verbose": ["x", None, -1],
    "warm_start": ["x", None, 2],
    "momentum": ["x", None, -0.1, 1.1],
    "nesterovs_momentum": ["x", None, 2],
    "early_stopping": ["x", None, 2],
    "validation_fraction": ["x", None, -0.1, 1.0],
    "beta_1": ["x", None, -0.1, 1.0],
    "beta_2": ["x", None, -0.1, 1.0],
    "epsilon": ["x", None, 0, -1],
    "n_iter_no_change": ["x", None, 0, 1.5, -np.inf],
    "max_fun": ["x", None, 0, 1.5],
}


@pytest.mark.parametrize("pair", [CLASSIFIERS, REGRESSORS], ids=["classifier", "regressor"])
@pytest.mark.parametrize(("name", "value"), [(name, value) for name, bad in BAD_SETTINGS.items() for value in bad])
def test_bad_settings(pair: Pair, name: str, value: Any) -> None:
    y = LABELS if pair is CLASSIFIERS else NUMBERS
    assert_same_outcome(pair, lambda kind: kind(**{name: value}).fit(X, y))


def test_every_setting_has_a_bad_value() -> None:
    names = set(CLASSIFIERS.theirs().get_params())
    assert names == set(BAD_SETTINGS)


@recent
def test_bad_loss() -> None:
    assert_same_outcome(REGRESSORS, lambda kind: kind("absolute_error").fit(X, NUMBERS))


@pytest.mark.parametrize("n_jobs", ["x", 1.5])
def test_bad_n_jobs(n_jobs: Any) -> None:
    with pytest.raises(ValueError, match="The 'n_jobs' parameter of MLPClassifier must be"):
        CLASSIFIERS.ours(n_jobs=n_jobs).fit(X, LABELS)
    with pytest.raises(ValueError, match="n_jobs == 0"):
        CLASSIFIERS.ours(n_jobs=0).fit(X, LABELS)


def with_value(value: float) -> np.ndarray:
    spoilt = X.copy()
    spoilt[3, 2] = value
    return spoilt


BAD_X = {
    "nan": with_value(np.nan),
    "infinite": with_value(np.inf),
    "nan in single": with_value(np.nan).astype(np.float32),
    "infinite in single": with_value(-np.inf).astype(np.float32),
    "sparse nan": sparse.csr_matrix(with_value(np.nan)),
    "vector": X[:, 0],
    "three axes": X[None],
    "scalar": 3.0,
    "no samples": X[:0],
    "no features": X[:, :0],
    "words": np.full(X.shape, "word"),
    "objects": np.full(X.shape, {}),
    "complex": X + 1j,
    "too few": X[:-1],
    "coo of words": [["a"] * 9] * 130,
    "none": None,
    "word": "word",
}


@pytest.mark.parametrize("pair", [CLASSIFIERS, REGRESSORS], ids=["classifier", "regressor"])
@pytest.mark.parametrize("method", ["fit", "partial_fit", "predict", "score"])
@pytest.mark.parametrize("bad", BAD_X)
def test_bad_inputs(pair: Pair, method: str, bad: str) -> None:
    y = LABELS if pair is CLASSIFIERS else NUMBERS
    is_fine = method == "predict" and bad == "too few"

    def call(kind: type) -> None:
        estimator = kind(max_iter=2, tol=1e9, n_iter_no_change=1, random_state=0)
        if method != "fit":
            estimator.fit(X, y)
        targets = () if method == "predict" else (y,)
        getattr(estimator, method)(BAD_X[bad], *targets)

    assert_same_outcome(pair, call, fails=not is_fine)


BAD_LABELS = {
    "numbers": NUMBERS,
    "outputs": PROBLEMS["outputs"].y,
    "too few": LABELS[:-1],
    "nan": np.where(np.arange(130) == 3, np.nan, 1.0),
    "none": None,
    "scalar": 1,
    "mixed": np.array(["a", 1] * 65, dtype=object),
    "several columns": np.stack([LABELS, LABELS], axis=1),
}


@pytest.mark.parametrize("bad", BAD_LABELS)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_labels(method: str, bad: str) -> None:
    def call(kind: type) -> None:
        estimator = kind(max_iter=2, tol=1e9, n_iter_no_change=1)
        if method == "partial_fit":
            estimator.fit(X, LABELS)
        getattr(estimator, method)(X, BAD_LABELS[bad])

    assert_same_outcome(CLASSIFIERS, call)


@pytest.mark.parametrize("bad", ["nan", "infinite", "too few", "none"])
def test_bad_numbers(bad: str) -> None:
    y = {
        "nan": np.full(130, np.nan),
        "infinite": np.full(130, np.inf),
        "too few": NUMBERS[:-1],
        "none": None,
    }[bad]
    assert_same_outcome(REGRESSORS, lambda kind: kind().fit(X, y))


@recent
@pytest.mark.parametrize("pair", [CLASSIFIERS, REGRESSORS], ids=["classifier", "regressor"])
@pytest.mark.parametrize("weights", [np.ones(129), np.ones((130, 2)), np.full(130, np.nan), np.zeros(130), ["a"] * 130])
def test_bad_weights(pair: Pair, weights: Any) -> None:
    y = LABELS if pair is CLASSIFIERS else NUMBERS
    assert_same_outcome(pair, lambda kind: kind().fit(X, y, sample_weight=weights))


def test_negative_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        CLASSIFIERS.ours().fit(X, LABELS, sample_weight=-np.ones(130))


CALLS: dict[str, Callable[[Any], Any]] = {
    "predict before fit": lambda kind: kind().predict(X),
    "predict_proba before fit": lambda kind: kind().predict_proba(X),
    "partial_fit of lbfgs": lambda kind: kind(solver="lbfgs").partial_fit(X, LABELS),
    "first partial_fit without classes": lambda kind: kind().partial_fit(X, LABELS),
    "partial_fit of an unknown class": lambda kind: kind().partial_fit(X, LABELS, classes=["a", "b"]),
    "partial_fit with other classes": lambda kind: (
        kind().partial_fit(X, LABELS, classes=list("abcd")).partial_fit(X, LABELS, classes=list("abc"))
    ),
    "unknown class later": lambda kind: (
        kind().partial_fit(X, LABELS, classes=list("abcd")).partial_fit(X[:2], np.array(["a", "e"]))
    ),
    "unknown number later": lambda kind: (
        kind().partial_fit(X[:4], [1, 2, 3, 4], classes=[1, 2, 3, 4]).partial_fit(X[:2], np.array([4, 5]))
    ),
    "other features later": lambda kind: (
        kind().partial_fit(X, LABELS, classes=list("abcd")).partial_fit(X[:, 1:], LABELS)
    ),
    "several labels later": lambda kind: (
        kind().partial_fit(X, LABELS, classes=list("abcd")).partial_fit(X, PROBLEMS["multilabel"].y)
    ),
    "partial_fit with early stopping": lambda kind: (
        kind(early_stopping=True).partial_fit(X, LABELS, classes=list("abcd"))
    ),
    "warm start with other classes": lambda kind: (
        kind(warm_start=True, max_iter=1).fit(X, LABELS).fit(X, np.where(LABELS == "a", "b", LABELS))
    ),
    "warm start with other features": lambda kind: (
        kind(warm_start=True, max_iter=1).fit(X, LABELS).fit(X[:, 1:], LABELS)
    ),
    "fewer features": lambda kind: kind(max_iter=1).fit(X, LABELS).predict(X[:, 1:]),
    "more features": lambda kind: kind(max_iter=1).fit(X, LABELS).predict_proba(np.hstack([X, X])),
    "nothing to validate": lambda kind: kind(early_stopping=True, validation_fraction=0.0).fit(X, LABELS),
    "too little to validate": lambda kind: kind(early_stopping=True, validation_fraction=0.001).fit(X, LABELS),
    "a class too small to split": lambda kind: kind(early_stopping=True).fit(X, np.arange(130) == 3),
    "a hidden layer of a broken size": lambda kind: kind((3, 2.5)).fit(X, LABELS),
}


@recent
@pytest.mark.parametrize("name", CALLS)
def test_bad_calls(name: str) -> None:
    assert_same_outcome(CLASSIFIERS, CALLS[name])


def frame(columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(X, columns=columns)


NAMES = [f"f{i}" for i in range(9)]


@pytest.mark.parametrize("other", [X, frame(NAMES[::-1]), frame([*NAMES[:-1], "g"]), frame(NAMES)[NAMES[1:]]])
@pytest.mark.parametrize("method", ["predict", "partial_fit"])
def test_names_of_features(other: Any, method: str) -> None:
    def call(kind: type) -> None:
        estimator = kind(max_iter=1).fit(frame(NAMES), LABELS)
        getattr(estimator, method)(*((other,) if method == "predict" else (other, LABELS)))

    assert_same_outcome(CLASSIFIERS, call, fails=other is not X)


WARNINGS: dict[str, tuple[Pair, Callable[[Any], Any]]] = {
    "not converged": (CLASSIFIERS, lambda kind: kind(max_iter=1).fit(X, LABELS)),
    "batch too large": (CLASSIFIERS, lambda kind: kind(max_iter=1, batch_size=131).fit(X, LABELS)),
    "column of labels": (CLASSIFIERS, lambda kind: kind(max_iter=1).fit(X, LABELS[:, None])),
    "column of numbers": (REGRESSORS, lambda kind: kind(max_iter=1).fit(X, NUMBERS[:, None])),
    "names of features where there were none": (
        CLASSIFIERS,
        lambda kind: kind(max_iter=1).fit(X, LABELS).predict(frame(NAMES)),
    ),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_warnings(name: str) -> None:
    pair, call = WARNINGS[name]
    assert_same_outcome(pair, call, fails=False)
    assert outcome(lambda: call(pair.ours))[2]


def test_what_float32_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Input X contains infinity or a value too large for dtype\('float32'\)"):
        CLASSIFIERS.ours().fit(with_value(1e200), LABELS)
    classifier = CLASSIFIERS.ours(max_iter=1).fit(X, LABELS)
    for method in (classifier.predict, classifier.predict_proba, lambda data: classifier.partial_fit(data, LABELS)):
        with pytest.raises(ValueError, match=r"Input X contains infinity or a value too large for dtype\('float32'\)"):
            method(with_value(1e200))
    with pytest.raises(ValueError, match=r"Input y contains infinity or a value too large for dtype\('float32'\)"):
        REGRESSORS.ours().fit(X, NUMBERS * 1e200)


@pytest.mark.parametrize("rate", [1e10, 1e300])
def test_divergence_is_an_error(rate: float) -> None:
    settings = {"solver": "sgd", "learning_rate_init": rate, "max_iter": 20, "random_state": 0}
    expected = outcome(lambda: REGRESSORS.theirs(**settings).fit(X, NUMBERS))
    found = outcome(lambda: REGRESSORS.ours(**settings).fit(X, NUMBERS))
    assert issubclass(found[0], expected[0])
    assert found[1] == expected[1] != ""
    regressor = REGRESSORS.ours(**{**settings, "learning_rate_init": 1e-3}).fit(X, NUMBERS)
    regressor._schedule.rate = regressor._network.learning_rate = 1e38
    with pytest.raises(DivergenceError, match="Solver produced non-finite parameter weights"):
        for _ in range(3):
            regressor.partial_fit(X[:5], NUMBERS[:5])


def test_divergence_with_early_stopping_keeps_what_scored_best() -> None:
    regressor = REGRESSORS.ours(solver="sgd", learning_rate_init=1e10, random_state=0, early_stopping=True)
    with pytest.warns(ConvergenceWarning, match="The parameters that scored best on the validation set are kept"):
        regressor.fit(X, NUMBERS)
    assert np.isfinite(regressor.predict(X)).all()


def test_outputs_have_to_stay_as_many() -> None:
    regressor = REGRESSORS.ours().partial_fit(X, PROBLEMS["outputs"].y)
    before = regressor.coefs_
    with pytest.raises(ValueError, match="y has 1 outputs, but MLPRegressor is expecting 3 outputs"):
        regressor.partial_fit(X, NUMBERS)
    assert all((a == b).all() for a, b in zip(before, regressor.coefs_))


def test_words_are_no_numbers() -> None:
    # Scikit-learn fails later, of a subtraction.
    with pytest.raises(ValueError, match="could not convert string to float"):
        REGRESSORS.ours().fit(X, LABELS)


def test_poisson_asks_for_counts() -> None:
    with pytest.raises(ValueError, match="out of the valid range of the loss 'poisson'"):
        REGRESSORS.ours("poisson").fit(X, NUMBERS)


def test_a_refused_partial_fit_changes_nothing() -> None:
    classifier = CLASSIFIERS.ours(random_state=0).fit(X, LABELS)
    curve, coefs, steps = list(classifier.loss_curve_), classifier.coefs_, classifier.t_
    for data, labels in [(with_value(np.nan), LABELS), (X, np.full(130, "z")), (X[:, :2], LABELS)]:
        with pytest.raises(ValueError):
            classifier.partial_fit(data, labels)
    assert (classifier.loss_curve_, classifier.t_) == (curve, steps)
    assert all((a == b).all() for a, b in zip(coefs, classifier.coefs_))
