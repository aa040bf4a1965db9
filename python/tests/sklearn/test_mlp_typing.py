"""The estimators' own code checks strictly, but for what scikit-learn leaves open."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

PACKAGE = Path(__file__).parents[2]


def test_the_estimators_check_strictly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path), "fused_dense/sklearn"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=PACKAGE)
    assert found.returncode == 0, found.stdout + found.stderr
