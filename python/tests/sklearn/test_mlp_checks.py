"""Scikit-learn's own checks of estimators."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from fused_dense.sklearn import MLPClassifier, MLPRegressor

ESTIMATORS = [
    MLPClassifier(max_iter=100),
    MLPClassifier(solver="sgd", learning_rate="adaptive", learning_rate_init=0.05),
    MLPClassifier(solver="lbfgs"),
    MLPClassifier(early_stopping=True, validation_fraction=0.3, n_jobs=2),
    MLPRegressor(max_iter=100),
    MLPRegressor(solver="sgd", learning_rate="invscaling", n_jobs=2),
    MLPRegressor(solver="lbfgs"),
    MLPRegressor(loss="poisson", learning_rate_init=0.01),
]


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(ESTIMATORS)
def test_check(estimator: Any, check: Any) -> None:
    check(estimator)
