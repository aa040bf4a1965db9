"""The script that times the estimators runs, and writes what it says."""

from __future__ import annotations

import gzip
import os
import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("threadpoolctl")

SCRIPT = Path(__file__).parents[2] / "bench" / "sklearn_times.py"


def write_idx(path: Path, values: np.ndarray) -> None:
    header = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(gzip.compress(header + values.tobytes()) if path.suffix else header + values.tobytes())


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", env={**os.environ, "PYTHONUTF8": "1"})


def test_table_picture_and_page(tmp_path: Path) -> None:
    random = np.random.RandomState(0)
    write_idx(tmp_path / "train-images-idx3-ubyte", random.randint(0, 256, (60, 28, 28)).astype(np.uint8))
    write_idx(tmp_path / "train-labels-idx1-ubyte.gz", (np.arange(60) % 10).astype(np.uint8))
    page, svg = tmp_path / "page.md", tmp_path / "times.svg"
    page.write_text("before\n<!-- times -->\nold\n<!-- /times -->\nafter\n")
    options = ["--rounds", 1, "--epochs", 1, "--mnist", tmp_path, "--only", "784-", "--readme", page, "--svg", svg]
    done = run(*options)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| `")]
    assert len(rows) == 4 and all("×" in row for row in rows)
    text = page.read_text(encoding="utf-8")
    bars = [line for line in text.splitlines() if line.rstrip().endswith("×")]
    assert len(bars) == 3 and all(line.startswith("MNIST") for line in bars)
    assert text.startswith("before\n<!-- times -->\n```text\n") and text.endswith("<!-- /times -->\nafter\n")
    assert "old" not in text and all(row in text for row in rows)
    root = ElementTree.parse(svg).getroot()
    assert len(root.findall("{http://www.w3.org/2000/svg}rect")) == 1 + len(rows)


def test_a_page_without_markers_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")
    done = run("--rounds", 1, "--samples", 50, "--only", "1 row of float32", "--readme", page)
    assert done.returncode != 0 and "<!-- times -->" in done.stderr
    assert page.read_text() == "nothing"
