"""Times of the estimators beside scikit-learn's: whole calls by wall time, in one process, on one core.

    pip install 'fused-dense[sklearn]' threadpoolctl
    python sklearn_times.py --mnist FOLDER

FOLDER has MNIST's four IDX files, packed by gzip or not; without it, data of the same shape is made. Each round runs both
implementations in the order A B B A on the same data with the same settings and random state, so that a machine that
slows down meanwhile slows both; a ratio is that of the sums of a round, and the table has the median of the rounds.
"""

from __future__ import annotations

import argparse
import gzip
import os
import platform
import re
import statistics
import struct
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    # Before numpy starts its threads.
    os.environ.setdefault(_variable, "1")

import numpy as np
import sklearn
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier as TheirClassifier
from threadpoolctl import threadpool_limits

from fused_dense.sklearn import MLPClassifier as OurClassifier

START, END = "<!-- times -->", "<!-- /times -->"

Data = tuple[np.ndarray, np.ndarray]
Timed = Callable[[], Any]


class Case(NamedTuple):
    """Something to be timed: `prepare` makes a call of an implementation, which is repeated `calls` times."""

    name: str
    prepare: Callable[[type], Timed]
    calls: int = 1


class Result(NamedTuple):
    """Medians over the rounds of one case, in seconds for one call."""

    name: str
    theirs: float
    ours: float
    ratio: float
    least: float
    most: float


def read_idx(folder: Path, name: str) -> np.ndarray:
    """An array of bytes from a file in MNIST's format."""
    plain, packed = folder / name, folder / f"{name}.gz"
    data = plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())
    axes = data[3]
    shape = struct.unpack_from(f">{axes}I", data, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)


def load_mnist(folder: Path) -> Data:
    """MNIST's training digits, in double precision from 0 to 1, as people pass them."""
    images = read_idx(folder, "train-images-idx3-ubyte")
    labels = read_idx(folder, "train-labels-idx1-ubyte")
    return images.reshape(len(images), -1) / 255.0, labels.astype(np.int64)


def made_digits(samples: int = 60000) -> Data:
    """Data of MNIST's shape: ten patterns in noise, four fifths of it zero."""
    random = np.random.RandomState(0)
    labels = random.randint(0, 10, samples)
    X = random.uniform(size=(10, 784))[labels] + 0.4 * random.standard_normal((samples, 784))
    X[random.uniform(size=X.shape) < 0.8] = 0
    return X.clip(0, 1), labels


def fitting(data: Data, **settings: Any) -> Callable[[type], Timed]:
    """A whole `fit`."""
    return lambda kind: lambda: kind(random_state=0, **settings).fit(*data)


def fitted(kind: type, data: Data, **settings: Any) -> Any:
    return kind(random_state=0, max_iter=1, **settings).fit(*data)


def updating(data: Data, rows: int, **settings: Any) -> Callable[[type], Timed]:
    """`partial_fit` with a few rows."""

    def prepare(kind: type) -> Timed:
        estimator = fitted(kind, data, **settings)
        X, y = data[0][:rows].copy(), data[1][:rows].copy()
        return lambda: estimator.partial_fit(X, y)

    return prepare


def predicting(data: Data, rows: int, dtype: type, method: str) -> Callable[[type], Timed]:
    """A prediction for a few rows."""

    def prepare(kind: type) -> Timed:
        predict = getattr(fitted(kind, (data[0].astype(dtype), data[1])), method)
        X = data[0][:rows].astype(dtype)
        return lambda: predict(X)

    return prepare


def cases(mnist: Data, digits: Data, epochs: int) -> list[Case]:
    """All that is timed."""
    small = {"solver": "sgd", "activation": "logistic", "batch_size": 10, "learning_rate_init": 0.1}
    large = {"hidden_layer_sizes": (512, 512), "batch_size": 128}
    some = (mnist[0][:2000], mnist[1][:2000])
    return [
        Case(
            f"`fit`, MNIST, 784-30-10, batch 10, sgd, logistic, {epochs} epochs",
            fitting(mnist, hidden_layer_sizes=(30,), max_iter=epochs, **small),
        ),
        Case("`fit`, digits, defaults", fitting(digits)),
        Case(f"`fit`, MNIST, defaults (784-100-10), {epochs} epochs", fitting(mnist, max_iter=epochs)),
        Case(f"`fit`, MNIST, 784-512-512-10, batch 128, {epochs} epochs", fitting(mnist, max_iter=epochs, **large)),
        Case("`partial_fit`, 10 rows, 784-30-10", updating(some, 10, hidden_layer_sizes=(30,), **small), 300),
        Case("`partial_fit`, 10 rows, digits, defaults", updating(digits, 10), 300),
        Case("`predict_proba`, 1 row of float64, digits", predicting(digits, 1, np.float64, "predict_proba"), 1000),
        Case("`predict_proba`, 1 row of float32, digits", predicting(digits, 1, np.float32, "predict_proba"), 1000),
        Case("`predict`, 2000 rows, MNIST, defaults", predicting(some, 2000, np.float64, "predict"), 10),
    ]


def seconds(call: Timed, calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def run(case: Case, rounds: int) -> Result:
    """Times both implementations, in turn."""
    ours, theirs = (case.prepare(kind) for kind in (OurClassifier, TheirClassifier))
    if case.calls > 1:
        # Something short is timed once it has run.
        seconds(ours, 3)
        seconds(theirs, 3)
    times: list[tuple[float, float]] = []
    for _ in range(rounds):
        first = seconds(ours, case.calls)
        both = seconds(theirs, case.calls) + seconds(theirs, case.calls)
        times.append(((first + seconds(ours, case.calls)) / 2, both / 2))
    ratios = [theirs / ours for ours, theirs in times]
    return Result(
        case.name,
        statistics.median(theirs for _, theirs in times),
        statistics.median(ours for ours, _ in times),
        statistics.median(ratios),
        min(ratios),
        max(ratios),
    )


def written(duration: float) -> str:
    """A time with three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if duration >= size:
            return f"{duration / size:.3g} {unit}"
    return f"{duration * 1e6:.3g} µs"


def table(results: list[Result], note: str) -> str:
    """The results in Markdown."""
    lines = ["| | scikit-learn | fused-dense | ratio | range |", "|---|--:|--:|--:|--:|"]
    for result in results:
        times = f"{written(result.theirs)} | {written(result.ours)}"
        lines.append(f"| {result.name} | {times} | **{result.ratio:.1f}×** | {result.least:.1f}–{result.most:.1f} |")
    return "\n".join([*lines, "", note])


def bars(results: list[Result]) -> str:
    """The ratios of whole fits as bars, in text that every page shows."""
    fits = [result for result in results if result.name.startswith("`fit`")]
    names = [result.name.removeprefix("`fit`, ") for result in fits]
    width = max(map(len, names), default=0)
    lines = [f"{name:<{width}}  {'█' * round(2 * result.ratio)} {result.ratio:.1f}×" for name, result in zip(names, fits)]
    return "\n".join(["```text", "whole fit: scikit-learn's time by ours", *lines, "```"])


def page_part(results: list[Result], note: str) -> str:
    """That which stands between a page's markers."""
    return f"{bars(results)}\n\n{table(results, note)}"


def picture(results: list[Result], note: str) -> str:
    """The ratios as bars, in SVG."""
    height, top, left, width = 28, 40, 400, 280
    longest = max(result.ratio for result in results)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 80} {top + height * len(results) + 30}"'
        ' font-family="sans-serif" font-size="13" role="img">',
        "<title>Times of scikit-learn's MLPClassifier by those of fused-dense's</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="12" y="22" font-weight="bold">scikit-learn {sklearn.__version__}, time by ours: longer is faster</text>',
    ]
    for at, result in enumerate(results):
        y, bar = top + at * height, max(2.0, width * result.ratio / longest)
        name = result.name.replace("`", "").replace("&", "&amp;").replace("<", "&lt;")
        parts += [
            f'<text x="{left - 10}" y="{y + 18}" text-anchor="end">{name}</text>',
            f'<rect x="{left}" y="{y + 4}" width="{bar:.1f}" height="{height - 8}" rx="3" fill="#2f6fb2"/>',
            f'<text x="{left + bar + 6:.1f}" y="{y + 18}">{result.ratio:.1f}×</text>',
        ]
    foot = re.sub(r"[`*]", "", note).replace("&", "&amp;").replace("<", "&lt;")
    parts.append(f'<text x="12" y="{top + height * len(results) + 20}" font-size="10" fill="#555555">{foot}</text>')
    return "\n".join([*parts, "</svg>", ""])


def with_times(text: str, times: str) -> str:
    """A page with what stands between its markers replaced."""
    before, found, rest = text.partition(START)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise SystemExit(f"expected the lines {START} and {END} in the page, found no such pair")
    return f"{before}{START}\n{times}\n{END}{after}"


@contextmanager
def one_core() -> Iterator[str]:
    """Keeps this process and its libraries on one core, where the system lets it."""
    place = "one thread"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        place = "one core"
    with threadpool_limits(1):
        yield place


def cpu() -> str:
    """The name of the processor, as the system calls it."""
    try:
        names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def arguments(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path, metavar="FOLDER", help="folder of MNIST's IDX files")
    parser.add_argument("--samples", type=int, help="take this many of MNIST's samples alone")
    parser.add_argument("--epochs", type=int, default=3, help="epochs over MNIST (default: 3)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of A B B A (default: 5)")
    parser.add_argument("--only", metavar="WORD", help="cases whose name has this in it alone")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="write the table between its markers, too")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write the picture there")
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> None:
    options = arguments(given)
    # Training that ends after a few epochs is what is asked for here.
    warnings.simplefilter("ignore")
    with one_core() as place:
        X, y = load_mnist(options.mnist) if options.mnist else made_digits()
        mnist = X[: options.samples], y[: options.samples]
        results = []
        for case in cases(mnist, load_digits(return_X_y=True), options.epochs):
            if options.only is None or options.only in case.name:
                results.append(run(case, options.rounds))
                print(results[-1], file=sys.stderr)
    if not results:
        raise SystemExit(f"no case has {options.only!r} in its name")
    data = "" if options.mnist else " In place of MNIST: made data of its shape."
    note = (
        f"{cpu()}, {place}; scikit-learn {sklearn.__version__}, numpy {np.__version__}, Python"
        f" {platform.python_version()}. Medians of {options.rounds} rounds.{data}"
    )
    print(table(results, note))
    if options.readme:
        page = options.readme.read_text(encoding="utf-8")
        options.readme.write_text(with_times(page, page_part(results, note)), encoding="utf-8")
    if options.svg:
        options.svg.write_text(picture(results, note), encoding="utf-8")


if __name__ == "__main__":
    main()
