"""Scores over ten seeds, on data that people know, lie within the spread of scikit-learn's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import CLASSIFIERS, REGRESSORS, Pair, quietly
from sklearn import datasets
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

SEEDS = range(10)


def scaled(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Data with columns of mean 0 and variance 1; targets too, where they are numbers."""
    if y.dtype.kind == "f":
        y = StandardScaler().fit_transform(y.reshape(len(y), -1)).reshape(y.shape)
    return StandardScaler().fit_transform(X), y


def some_digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = datasets.load_digits(return_X_y=True)
    return X[:600], y[:600]


DATA: dict[str, tuple[Pair, Any]] = {
    "digits": (CLASSIFIERS, some_digits),
    "iris": (CLASSIFIERS, lambda: scaled(*datasets.load_iris(return_X_y=True))),
    "wine": (CLASSIFIERS, lambda: scaled(*datasets.load_wine(return_X_y=True))),
    "breast cancer": (CLASSIFIERS, lambda: scaled(*datasets.load_breast_cancer(return_X_y=True))),
    "labels": (CLASSIFIERS, lambda: datasets.make_multilabel_classification(200, 12, random_state=0)),
    "blobs": (CLASSIFIERS, lambda: datasets.make_blobs(300, 6, centers=5, cluster_std=4.0, random_state=0)),
    "diabetes": (REGRESSORS, lambda: scaled(*datasets.load_diabetes(return_X_y=True))),
    "linnerud": (REGRESSORS, lambda: scaled(*datasets.load_linnerud(return_X_y=True))),
    "friedman": (REGRESSORS, lambda: scaled(*datasets.make_friedman1(200, random_state=0))),
}

SETTINGS: dict[str, dict[str, Any]] = {
    "adam": {"max_iter": 40, "learning_rate_init": 0.01},
    "sgd": {"max_iter": 40, "learning_rate_init": 0.05, "solver": "sgd"},
    "early stopping": {"max_iter": 40, "learning_rate_init": 0.01, "early_stopping": True, "validation_fraction": 0.2},
    "lbfgs": {"max_iter": 25, "solver": "lbfgs"},
}


def scores(kind: type, X: np.ndarray, y: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
    """The score of a fifth of the data for each seed, after training on the rest."""
    results = []
    for seed in SEEDS:
        X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=seed)
        estimator = kind(hidden_layer_sizes=(24,), random_state=seed, **settings)
        results.append(quietly(estimator.fit, X_train, y_train).score(X_test, y_test))
    return np.array(results)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("data", DATA)
def test_scores(data: str, settings: str) -> None:
    pair, load = DATA[data]
    X, y = load()
    ours, theirs = (scores(kind, X, y, SETTINGS[settings]) for kind in pair)
    # The same seeds and splits: a difference of means is small against how much the scores of one of them spread.
    assert abs(ours.mean() - theirs.mean()) <= max(theirs.std() / 2, 0.005), (ours, theirs)
