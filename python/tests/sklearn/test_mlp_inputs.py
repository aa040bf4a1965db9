"""Forms of data: sparse, pandas, lists; types of the results."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import CLASSIFIERS, PROBLEMS, REGRESSORS, Problem, fit_both, quietly
from scipy import sparse

FORMS = {
    "fortran": np.asfortranarray,
    "strided": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "backwards": lambda X: X[::-1].copy()[::-1],
    "read-only": lambda X: _read_only(X),
    "big-endian": lambda X: X.astype(X.dtype.newbyteorder(">")),
    "list": lambda X: X.tolist(),
    "frame": lambda X: pd.DataFrame(X),
    "csr": sparse.csr_matrix,
    "csc": sparse.csc_array,
    "coo": sparse.coo_matrix,
    "wide indices": lambda X: _with_wide_indices(sparse.csr_matrix(X)),
    "repeated entries": lambda X: _with_repeated_entries(sparse.csr_matrix(X)),
}


def _read_only(X: np.ndarray) -> np.ndarray:
    X = X.copy()
    X.flags.writeable = False
    return X


def _with_wide_indices(X: Any) -> Any:
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


def _with_repeated_entries(X: Any) -> Any:
    """Each entry as two halves, in falling order of the columns."""
    data, indices = np.repeat(X.data / 2, 2), np.repeat(X.indices, 2)
    starts = 2 * X.indptr
    for start, end in zip(starts[:-1], starts[1:]):
        data[start:end], indices[start:end] = data[start:end][::-1].copy(), indices[start:end][::-1].copy()
    return sparse.csr_matrix((data, indices, starts), shape=X.shape)


@pytest.mark.parametrize("form", FORMS)
def test_forms_give_the_same_bits(problem: Problem, form: str) -> None:
    # Sixteenths: exact in every type.
    X = np.round(problem.X * 8) / 8
    plain, other = (problem.pair.ours(hidden_layer_sizes=(8,), random_state=0, max_iter=3, **problem.settings) for _ in range(2))
    data = FORMS[form](X)
    quietly(plain.fit, X, problem.y)
    quietly(other.fit, data, problem.y)
    assert plain.loss_curve_ == other.loss_curve_
    np.testing.assert_array_equal(plain.predict(X), other.predict(data))


def test_a_sparse_matrix_is_never_made_dense_as_a_whole() -> None:
    # 400 MB, were it dense in single precision.
    X = sparse.random_array((20000, 5000), density=0.0005, format="csr", random_state=np.random.RandomState(0))
    y = np.arange(20000) % 3
    classifier = CLASSIFIERS.ours((4,), max_iter=1, batch_size=100)
    tracemalloc.start()
    quietly(classifier.fit, X, y)
    classifier.predict(X)
    classifier.set_params(early_stopping=True)
    quietly(classifier.fit, X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6


def test_sparse_targets_give_sparse_predictions() -> None:
    problem = PROBLEMS["multilabel"]
    sparse_y = problem._replace(y=sparse.csr_matrix(problem.y))
    ours, theirs = fit_both(sparse_y, max_iter=3)
    dense, _ = fit_both(problem, max_iter=3)
    found = ours.predict(problem.X)
    assert sparse.issparse(found) == sparse.issparse(theirs.predict(problem.X))
    np.testing.assert_array_equal(found.toarray(), dense.predict(problem.X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int64, np.int8, bool])
def test_types_of_results(problem: Problem, dtype: type) -> None:
    ours, _ = fit_both(problem, max_iter=2)
    X = (problem.X * 4).astype(dtype)
    expected = np.float32 if dtype is np.float32 else np.float64
    method = "predict_proba" if hasattr(ours, "predict_proba") else "predict"
    for data in (X, sparse.csr_matrix(X.astype(dtype if dtype is not np.float16 else np.float64))):
        found = getattr(ours, method)(data)
        assert found.dtype == expected
        np.testing.assert_allclose(found, getattr(ours, method)(X.astype(np.float64)), rtol=1e-5, atol=1e-6)


def test_probabilities_add_up_in_double_precision() -> None:
    for name in ("multiclass", "binary"):
        problem = PROBLEMS[name]
        ours, theirs = fit_both(problem, max_iter=30, learning_rate_init=0.01)
        for data in (problem.X, pd.DataFrame(problem.X).to_numpy().tolist(), sparse.csr_matrix(problem.X)):
            p = ours.predict_proba(data)
            np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-14)
        far = problem.X * 1000
        assert ours.predict_log_proba(far).shape == theirs.predict_log_proba(far).shape


def test_pandas_targets(problem: Problem) -> None:
    y = pd.Series(problem.y) if problem.y.ndim == 1 else pd.DataFrame(problem.y)
    X = pd.DataFrame(problem.X, columns=[f"f{i}" for i in range(9)])
    plain, _ = fit_both(problem, max_iter=3)
    framed, _ = fit_both(problem._replace(X=X, y=y), max_iter=3)
    assert plain.loss_curve_ == framed.loss_curve_
    assert framed.feature_names_in_.tolist() == X.columns.tolist()
    np.testing.assert_array_equal(framed.predict(X), plain.predict(problem.X))


def test_data_is_left_alone(problem: Problem) -> None:
    X, y = problem.X.copy(), problem.y.copy()
    weights = np.random.RandomState(0).uniform(size=130)
    kept = weights.copy()
    estimator, _ = fit_both(problem, X, weights, max_iter=2)
    estimator.partial_fit(X, y)
    estimator.predict(X)
    np.testing.assert_array_equal(X, problem.X)
    np.testing.assert_array_equal(y, problem.y)
    np.testing.assert_array_equal(weights, kept)


@pytest.mark.parametrize("hidden", [(), 5, [6], (3, 4, 5), np.array([4, 2])])
def test_hidden_layers(hidden: Any) -> None:
    for name, kinds in (("multiclass", CLASSIFIERS), ("regression", REGRESSORS)):
        problem = PROBLEMS[name]
        shapes = []
        for kind in kinds:
            estimator = quietly(kind(hidden_layer_sizes=hidden, max_iter=2).fit, problem.X, problem.y)
            shapes.append([w.shape for w in estimator.coefs_])
        assert shapes[0] == shapes[1]


LARGE_SETTINGS: dict[str, dict[str, Any]] = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.01},
    "early stopping": {"early_stopping": True, "tol": 0.01},
    "lbfgs": {"solver": "lbfgs"},
    "without shuffling": {"shuffle": False},
}


def _are_equal(one: Any, other: Any) -> bool:
    pairs = zip([*one.coefs_, *one.intercepts_], [*other.coefs_, *other.intercepts_])
    return all(np.array_equal(a, b) for a, b in pairs) and one.loss_ == other.loss_


@pytest.mark.parametrize("name", LARGE_SETTINGS)
@pytest.mark.parametrize("kind", [CLASSIFIERS, REGRESSORS], ids=["classifier", "regressor"])
def test_large_arrays_are_read_where_they_are(kind: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.RandomState(3)
    X = random.standard_normal((130, 9))
    y = random.randint(0, 3, 130) if kind is CLASSIFIERS else X @ random.standard_normal(9)
    settings = {"hidden_layer_sizes": (6,), "max_iter": 12, "random_state": 1, **LARGE_SETTINGS[name]}
    ours = kind[0]
    copied = quietly(lambda: ours(**settings).fit(X, y))
    seen = []
    monkeypatch.setattr("fused_dense.sklearn._data._LARGE", 0)
    monkeypatch.setattr("fused_dense.sklearn._data._FEW_EPOCHS", np.inf)
    monkeypatch.setattr(
        "fused_dense.sklearn._data._are_finite_singles", lambda rows: seen.append(rows) or np.isfinite(rows).all()
    )
    for form in (X, np.asfortranarray(X), X[:, ::1]):
        in_place = quietly(lambda: ours(**settings).fit(form, y))
        assert _are_equal(copied, in_place)
    assert len(seen) == 3 and seen[0] is X and seen[0].dtype == np.float64


def test_large_arrays_are_copied_for_many_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = np.linspace(-1, 1, 60).reshape(20, 3), np.arange(20) % 2
    calls = []
    monkeypatch.setattr("fused_dense.sklearn._data._LARGE", 0)
    monkeypatch.setattr("fused_dense.sklearn._data._are_finite_singles", lambda rows: calls.append(rows) or True)
    ours = CLASSIFIERS[0]
    quietly(lambda: ours(max_iter=9).fit(X, y))
    quietly(lambda: ours(solver="lbfgs", max_iter=2).fit(X, y))
    assert not calls
    quietly(lambda: ours(max_iter=8).fit(X, y))
    quietly(lambda: ours(max_iter=99).partial_fit(X, y, classes=[0, 1]))
    assert len(calls) == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39, -3.5e38])
def test_large_arrays_are_checked_as_others_are(bad: float, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = np.linspace(-1, 1, 60).reshape(20, 3), np.arange(20) % 2
    X[7, 1] = bad
    messages = []
    for least in (1 << 40, 0):
        monkeypatch.setattr("fused_dense.sklearn._data._LARGE", least)
        with pytest.raises(ValueError) as caught:
            CLASSIFIERS[0](max_iter=2).fit(X, y)
        messages.append(str(caught.value))
    assert messages[0] == messages[1] and "Input X contains" in messages[0]
