"""Uses of the estimators that a type checker has to understand: checked, never run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fused_dense.sklearn import MLPClassifier, MLPRegressor

X: NDArray[np.float64] = np.zeros((3, 4))

classifier = MLPClassifier((30, 20), "tanh", solver="sgd", batch_size="auto", n_jobs=-1, class_weight={0: 1.0, 1: 2.0})
classifier.fit(X, [0, 1, 0]).predict(X)
classifier.partial_fit(X, [0, 1, 0], classes=[0, 1]).predict_proba(X)
weights: list[NDArray[np.float32]] = [w * 2 for w in classifier.coefs_]
classifier.coefs_ = weights

regressor = MLPRegressor("poisson", random_state=0, verbose=2)
regressor.fit(X, [1.0, 2.0, 3.0], sample_weight=np.ones(3))
MLPRegressor(activation=3)  # type: ignore[arg-type]
