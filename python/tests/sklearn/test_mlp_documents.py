"""Examples in the front page and in the classes' documentation run, and the documentation names every parameter."""

from __future__ import annotations

import doctest
import inspect
import re
from pathlib import Path

import pytest
from conftest import CLASSIFIERS, REGRESSORS, Pair, recent

PAGE = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_front_page(block: str) -> None:
    if "torch" in block:
        pytest.importorskip("torch")
    exec(compile(block, "README.md", "exec"), {})


def test_the_front_page_has_examples_and_a_place_for_times() -> None:
    assert len(BLOCKS) >= 2
    assert re.search(r"<!-- times -->.*<!-- /times -->", PAGE, flags=re.DOTALL)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("pair", [CLASSIFIERS, REGRESSORS], ids=["classifier", "regressor"])
def test_documentation(pair: Pair) -> None:
    (example,) = doctest.DocTestFinder(recurse=False).find(pair.ours)
    assert len(example.examples) >= 4
    assert doctest.DocTestRunner().run(example).failed == 0
    described = re.findall(r"^    (\w+) : ", inspect.cleandoc(pair.ours.__doc__ or "").replace("\n", "\n    "), re.MULTILINE)
    assert set(pair.ours().get_params()) <= set(described)


@recent
@pytest.mark.parametrize("pair", [CLASSIFIERS, REGRESSORS], ids=["classifier", "regressor"])
def test_parameters_are_those_of_scikit_learn_and_come_in_its_order(pair: Pair) -> None:
    ours, theirs = (inspect.signature(kind).parameters for kind in pair)
    assert list(ours)[: len(theirs)] == list(theirs)
    for name, parameter in theirs.items():
        assert (ours[name].default, ours[name].kind) == (parameter.default, parameter.kind), name
    extras = set(ours) - set(theirs)
    assert extras == ({"n_jobs", "class_weight"} if pair is CLASSIFIERS else {"n_jobs"})
    assert all(ours[name].kind is inspect.Parameter.KEYWORD_ONLY for name in extras)


@recent
@pytest.mark.parametrize("pair", [CLASSIFIERS, REGRESSORS], ids=["classifier", "regressor"])
def test_methods_are_those_of_scikit_learn(pair: Pair) -> None:
    ours, theirs = ({name for name in dir(kind) if not name.startswith("_")} for kind in pair)
    assert theirs <= ours
    for name in theirs:
        if inspect.isfunction(method := getattr(pair.theirs, name)):
            found = inspect.signature(getattr(pair.ours, name)).parameters
            assert list(found) == list(inspect.signature(method).parameters), name
