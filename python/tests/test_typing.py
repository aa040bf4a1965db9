"""The types that the package declares: they are those that it has, and programs that use them check strictly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

HERE = Path(__file__).parent


def run(*arguments, cwd):
    found = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, cwd=cwd)
    assert found.returncode == 0, found.stdout + found.stderr


def test_stubs_say_what_the_native_module_has(tmp_path):
    run("mypy.stubtest", "fused_dense._native", cwd=tmp_path)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Mypy's cache of libraries, for one check after the other."""
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.parametrize("program", sorted(HERE.glob("typing_*.py")), ids=lambda path: path.stem)
def test_programs_check_strictly(program, cache, tmp_path):
    if "torch" in program.stem:
        pytest.importorskip("torch")
    if "sklearn" in program.stem:
        pytest.importorskip("sklearn")
    run("mypy", "--strict", "--cache-dir", str(cache), str(program), cwd=tmp_path)


def test_the_package_checks_strictly(cache, tmp_path):
    # All that it builds on, or their types are missing.
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    settings = str(HERE.parent / "pyproject.toml")
    run("mypy", "--config-file", settings, "--cache-dir", str(cache), "--package", "fused_dense", cwd=tmp_path)
