"""Reports of training, and Ctrl-C."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import types
from typing import Any

import numpy as np
import pytest
from conftest import CLASSIFIERS, PROBLEMS, REGRESSORS, Problem, both, fit_both, quietly, recent
from fused_dense.sklearn._course import Course

NUMBER = re.compile(r"(?<=loss = )[\d.]+|(?<=score: )[-\d.]+")


@recent
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"early_stopping": True},
        {"tol": 0.2, "n_iter_no_change": 2},
        {"early_stopping": True, "tol": 0.2, "n_iter_no_change": 2},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.3, "n_iter_no_change": 1, "max_iter": 60},
        {"solver": "lbfgs"},
    ],
)
def test_lines_are_those_of_scikit_learn(
    problem: Problem, settings: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = both(problem, **{"max_iter": 8, "verbose": True, **settings})
    printed = []
    for estimator in (ours, theirs):
        quietly(estimator.fit, problem.X, problem.y)
        printed.append(capfd.readouterr().out)
    assert NUMBER.sub("#", printed[0]) == NUMBER.sub("#", printed[1])
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in printed]
    np.testing.assert_allclose(*numbers, rtol=2e-3, atol=2e-3)


def test_partial_fit_prints_its_epoch(multiclass: Problem, capsys: pytest.CaptureFixture[str]) -> None:
    ours, _ = fit_both(multiclass, max_iter=1)
    ours.set_params(verbose=True).partial_fit(multiclass.X, multiclass.y)
    assert re.fullmatch(r"Iteration 1, loss = \d\.\d{8}\n", capsys.readouterr().out)


@pytest.mark.parametrize("settings", [{}, {"early_stopping": True}, {"solver": "lbfgs"}])
def test_a_bar_of_tqdm(multiclass: Problem, settings: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    ours, _ = both(multiclass, max_iter=4, verbose=2, **settings)
    quietly(ours.fit, multiclass.X, multiclass.y)
    captured = capsys.readouterr()
    assert "4/4" in captured.err and "loss=" in captured.err
    assert ("validation=" in captured.err) == bool(settings.get("early_stopping"))
    assert "Iteration" not in captured.out


def test_lines_where_there_is_no_tqdm(
    multiclass: Problem, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", types.ModuleType("tqdm"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    ours, _ = both(multiclass, max_iter=2, verbose=2)
    quietly(ours.fit, multiclass.X, multiclass.y)
    assert capsys.readouterr().out.count("Iteration") == 2


ENDLESS: dict[str, Any] = {"max_iter": 10**9, "tol": 0.0, "n_iter_no_change": np.inf, "random_state": 0}


class Interrupter(threading.Thread):
    """Presses Ctrl-C once training is under way."""

    def __init__(self, is_under_way: Any) -> None:
        super().__init__(daemon=True)
        self.is_under_way = is_under_way
        self.is_over = threading.Event()

    def run(self) -> None:
        while not self.is_under_way():
            if self.is_over.wait(0.001):
                return
        os.kill(os.getpid(), signal.SIGINT)

    def __enter__(self) -> Interrupter:
        self.former = signal.getsignal(signal.SIGINT)
        if self.former is signal.SIG_IGN:
            # A shell has started the tests in the background.
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.is_over.set()
        self.join()
        signal.signal(signal.SIGINT, self.former)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_ctrl_c_leaves_a_usable_estimator(problem: Problem, early_stopping: bool) -> None:
    estimator = problem.pair.ours(hidden_layer_sizes=(9,), **ENDLESS, **problem.settings, early_stopping=early_stopping)
    with pytest.warns(UserWarning, match="Training interrupted by user."):
        with Interrupter(lambda: len(getattr(estimator, "loss_curve_", ())) > 2):
            estimator.fit(problem.X, problem.y)
    assert estimator.n_iter_ == len(estimator.loss_curve_) > 2
    assert np.isfinite(estimator.predict(problem.X)).all() if problem.y.dtype.kind != "U" else True
    if not early_stopping:
        estimator.partial_fit(problem.X, problem.y)
    again = problem.pair.ours(hidden_layer_sizes=(9,), max_iter=3, random_state=0, **problem.settings, early_stopping=early_stopping)
    assert quietly(again.fit, problem.X, problem.y).loss_curve_ == estimator.loss_curve_[:3]


def test_ctrl_c_within_a_long_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """An epoch of very many batches: the signal is heard between two of them."""
    X, y = np.zeros((2_000_000, 2), dtype=np.float32), np.zeros(2_000_000)
    has_begun = threading.Event()
    next_order = Course._next_order

    def begin(course: Course, loss: float | None) -> Any:
        has_begun.set()
        return next_order(course, loss)

    monkeypatch.setattr(Course, "_next_order", begin)
    regressor = REGRESSORS.ours(hidden_layer_sizes=(2,), **ENDLESS, batch_size=1, shuffle=False)
    with pytest.warns(UserWarning, match="Training interrupted by user."):
        with Interrupter(has_begun.is_set):
            regressor.fit(X, y)
    assert regressor.predict(X[:2]).shape == (2,)


def test_ctrl_c_while_python_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = []

    class Screen:
        def write(self, text: str) -> None:
            lines.append(text)
            if text.startswith("Iteration 3"):
                raise KeyboardInterrupt

        def flush(self) -> None:
            pass

    problem = PROBLEMS["multiclass"]
    results = []
    for kind in CLASSIFIERS:
        estimator = kind((5,), **ENDLESS, verbose=True)
        with monkeypatch.context() as patch, pytest.warns(UserWarning, match="Training interrupted by user."):
            patch.setattr(sys, "stdout", Screen())
            estimator.fit(problem.X, problem.y)
        results.append((estimator.n_iter_, len(estimator.loss_curve_), estimator.t_))
    assert results[0] == results[1]


def test_other_exceptions_of_handlers_are_raised(multiclass: Problem) -> None:
    def handler(*_: Any) -> None:
        raise ZeroDivisionError("of the handler")

    classifier = CLASSIFIERS.ours((5,), **ENDLESS)
    former = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(ZeroDivisionError, match="of the handler"):
            with Interrupter(lambda: len(getattr(classifier, "loss_curve_", ())) > 2):
                classifier.fit(multiclass.X, multiclass.y)
    finally:
        signal.signal(signal.SIGINT, former)
    assert classifier.predict(multiclass.X).shape == (130,)
