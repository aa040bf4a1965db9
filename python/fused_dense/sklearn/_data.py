"""Data as the native network takes it: checked as scikit-learn checks it, in float32, or large and in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils.validation import _check_sample_weight, check_non_negative, validate_data

from fused_dense._native import _are_finite_singles

# A matrix that `validate_data` returned: an array, or a sparse matrix in CSR format.
Matrix = Any

_ACCEPTED = ["csr", "csc"]

# Bytes from which on rows of float64 are read where they are, and rounded batch by batch, if they are gone through a few times
# only. A copy in float32 makes each epoch some 8 % faster, but memory for a large one has to come from the system first.
_LARGE = 32 << 20
_FEW_EPOCHS = 8


def checked_with_targets(
    estimator: Any, X: Any, y: Any, *, reset: bool, y_numeric: bool, epochs: float
) -> tuple[Matrix, Any]:
    """`X` in float32, or in float64 where it is large and the epochs are few, and `y`; or scikit-learn's error."""
    options = {"accept_sparse": _ACCEPTED, "multi_output": True, "y_numeric": y_numeric, "reset": reset}
    is_large = isinstance(X, np.ndarray) and X.dtype == np.float64 and X.nbytes >= _LARGE
    if is_large and epochs <= _FEW_EPOCHS:
        rows, targets = validate_data(estimator, X, y, dtype=np.float64, order="C", ensure_all_finite=False, **options)
        if _are_finite_singles(rows):
            return rows, targets
    try:
        # A value too large becomes infinite, and is found then.
        with np.errstate(over="ignore"):
            X, y = validate_data(estimator, X, y, dtype=np.float32, order="C", **options)
    except (TypeError, ValueError):
        # Scikit-learn's error names the type that it asks for; only what float32 cannot hold is left to the one of ours.
        validate_data(estimator, X, y, dtype=(np.float64, np.float32), **options)
        raise
    return _in_rows(X), y


def checked(estimator: Any, X: Any) -> tuple[Matrix, np.dtype[Any]]:
    """`X` in float32 and the type of the results, or scikit-learn's error."""
    try:
        with np.errstate(over="ignore"):
            rows = validate_data(estimator, X, accept_sparse=_ACCEPTED, dtype=np.float32, order="C", reset=False)
    except (TypeError, ValueError):
        validate_data(estimator, X, accept_sparse=_ACCEPTED, reset=False)
        raise
    is_single = getattr(X, "dtype", None) == np.float32
    return _in_rows(rows), np.dtype(np.float32 if is_single else np.float64)


def _in_rows(X: Matrix) -> Matrix:
    if not sparse.issparse(X):
        return X
    X = X.tocsr()
    if not X.has_canonical_format:
        # The caller's matrix stays as it is.
        X = X.copy()
        X.sum_duplicates()
    return X


def native_rows(X: Matrix) -> Any:
    """The form in which the native network takes a matrix."""
    if sparse.issparse(X):
        return (X.data, X.indices, X.indptr, X.shape)
    return X


def single_column(y: Any) -> bool:
    """Whether targets are a column, which is a vector in disguise."""
    return y.ndim == 2 and y.shape[1] == 1


def in_float32(y: NDArray[Any]) -> NDArray[np.float32]:
    """Targets in float32, contiguous."""
    with np.errstate(over="ignore"):
        targets = np.ascontiguousarray(y, dtype=np.float32)
    if not np.isfinite(targets).all():
        raise ValueError("Input y contains infinity or a value too large for dtype('float32').")
    return targets


def checked_weights(sample_weight: Any, X: Matrix) -> NDArray[Any]:
    """Sample weights, or scikit-learn's error."""
    weights = _check_sample_weight(sample_weight, X)
    check_non_negative(weights, "`sample_weight`")
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights


def weights_in_float32(weights: NDArray[Any]) -> NDArray[np.float32]:
    """Sample weights as the native network takes them."""
    with np.errstate(over="ignore"):
        weights = np.ascontiguousarray(weights, dtype=np.float32)
    if not np.isfinite(weights).all():
        raise ValueError("Input sample_weight contains infinity or a value too large for dtype('float32').")
    return weights
