"""scikit-learn's multi-layer perceptrons on the kernels of fused-dense.

`MLPClassifier` and `MLPRegressor` take the parameters of the estimators of the same names in `sklearn.neural_network`,
and with the same `random_state` they train along the same path, up to the rounding of float32.
"""

try:
    import sklearn as _sklearn  # noqa: F401
except ImportError as error:
    raise ImportError(
        "fused_dense.sklearn needs scikit-learn 1.6 or later: pip install 'fused-dense[sklearn]'"
    ) from error

from ._classifier import MLPClassifier
from ._regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
