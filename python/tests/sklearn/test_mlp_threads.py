"""Threads and processes: the results are the same, to the bit."""

from __future__ import annotations

import multiprocessing
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import joblib
import numpy as np
import pytest
from conftest import CLASSIFIERS, PROBLEMS, Problem, quietly
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score

from fused_dense.sklearn._threads import effective_threads

RANDOM = np.random.RandomState(0)
X = RANDOM.standard_normal((800, 200)).astype(np.float32)
Y = X[:, :10].argmax(axis=1)


def trained(n_jobs: int | None, solver: str = "adam", **settings: Any) -> Any:
    """A classifier whose layers are large enough for several threads."""
    settings = {"batch_size": 400, "max_iter": 2, "random_state": 0, **settings}
    return quietly(CLASSIFIERS.ours((300, 200), solver=solver, n_jobs=n_jobs, **settings).fit, X, Y)


def bits(estimator: Any) -> tuple[Any, ...]:
    """All that training found."""
    return [estimator.loss_] + [array.tobytes() for array in estimator.coefs_ + estimator.intercepts_]


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_bits_do_not_depend_on_n_jobs(solver: str) -> None:
    alone = trained(1, solver)
    for n_jobs in (None, 2, 3, -1):
        other = trained(n_jobs, solver)
        assert bits(other) == bits(alone)
        np.testing.assert_array_equal(other.predict_proba(X), alone.predict_proba(X))


def test_n_jobs_counts_as_joblib_does() -> None:
    assert effective_threads(None) == 1
    assert effective_threads(3) == 3
    assert effective_threads(-1) == joblib.cpu_count()
    with joblib.parallel_config(n_jobs=5):
        assert effective_threads(None) == 5
        assert effective_threads(1) == 1
    for backend in ("loky", "threading"):
        found = joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(effective_threads)(4) for _ in range(2))
        assert found == [1, 1]


def test_n_jobs_reaches_the_network() -> None:
    classifier = trained(2)
    assert classifier._network.threads == 2
    classifier.n_jobs = 1
    classifier.partial_fit(X, Y)
    assert classifier._network.threads == 1


def predicted(classifier: Any) -> tuple[Any, int]:
    result = classifier.predict_proba(X)
    return result, classifier._network.threads


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_in_workers_of_joblib(backend: str) -> None:
    classifier = trained(2)
    here = classifier.predict_proba(X)
    workers = joblib.Parallel(n_jobs=2, backend=backend)
    for there, threads in workers(joblib.delayed(predicted)(classifier) for _ in range(3)):
        np.testing.assert_array_equal(there, here)
        assert threads == 1
    for there in workers(joblib.delayed(trained)(2) for _ in range(2)):
        assert bits(there) == bits(classifier)


def test_within_estimators_that_use_joblib() -> None:
    problem = PROBLEMS["multiclass"]
    classifier = CLASSIFIERS.ours((6,), random_state=0, max_iter=5, n_jobs=2)
    alone = quietly(cross_val_score, classifier, problem.X, problem.y, cv=3)
    for n_jobs in (1, 2):
        np.testing.assert_array_equal(
            quietly(cross_val_score, classifier, problem.X, problem.y, cv=3, n_jobs=n_jobs), alone
        )
    search = GridSearchCV(classifier, {"alpha": [1e-4, 1.0]}, cv=2, n_jobs=2)
    assert np.isfinite(quietly(search.fit, problem.X, problem.y).cv_results_["mean_test_score"]).all()
    bags = [BaggingClassifier(classifier, 3, n_jobs=n_jobs, random_state=0) for n_jobs in (1, 2)]
    found = [quietly(bag.fit, problem.X, problem.y).predict_proba(problem.X) for bag in bags]
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_threads_share_an_estimator(n_jobs: int) -> None:
    classifier = trained(n_jobs)
    here = classifier.predict_proba(X)
    with ThreadPoolExecutor(4) as pool:
        for there in pool.map(lambda _: classifier.predict_proba(X), range(16)):
            np.testing.assert_array_equal(there, here)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_threads_train_estimators_of_their_own(n_jobs: int) -> None:
    alone = bits(trained(1))
    with ThreadPoolExecutor(4) as pool:
        assert all(found == alone for found in pool.map(lambda _: bits(trained(n_jobs)), range(4)))


def test_an_estimator_may_be_read_while_it_is_trained() -> None:
    problem = PROBLEMS["multiclass"]
    classifier = CLASSIFIERS.ours((6,), random_state=0, warm_start=True, max_iter=300, tol=0.0)
    quietly(classifier.fit, problem.X, problem.y)
    with ThreadPoolExecutor(3) as pool:
        training = pool.submit(quietly, classifier.fit, problem.X, problem.y)
        while not training.done():
            assert np.isfinite(classifier.predict_proba(problem.X)).all()
        training.result()


def _after_fork(classifier: Any, expected: list[Any], answers: Any) -> None:
    classifier_here = trained(2)
    answers.put(bits(classifier_here) == expected and bool((classifier.predict(X) == classifier.predict(X)).all()))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:This process")
def test_after_fork() -> None:
    classifier = trained(2)
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_after_fork, args=(classifier, bits(classifier), answers))
    child.start()
    assert answers.get(timeout=300)
    child.join(timeout=300)
    assert child.exitcode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="the seeds of processes are tested where it is quick")
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_in_new_processes(method: str) -> None:
    classifier = trained(2)
    with multiprocessing.get_context(method).Pool(1) as pool:
        np.testing.assert_array_equal(pool.apply(classifier.predict_proba, (X,)), classifier.predict_proba(X))


def test_problem_sets_are_small_enough_for_one_thread(multiclass: Problem) -> None:
    found = [
        quietly(CLASSIFIERS.ours((6,), random_state=0, max_iter=3, n_jobs=n).fit, multiclass.X, multiclass.y).loss_curve_
        for n in (1, 2)
    ]
    assert found[0] == found[1]
