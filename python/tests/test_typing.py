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


@pytest.mark.parametrize("program", sorted(HERE.glob("typing_*.py")), ids=lambda path: path.stem)
def test_programs_check_strictly(program, tmp_path):
    if "torch" in program.stem:
        pytest.importorskip("torch")
    if "sklearn" in program.stem:
        pytest.importorskip("sklearn")
    run("mypy", "--strict", "--cache-dir", str(tmp_path), str(program), cwd=tmp_path)


def test_the_package_checks_strictly(tmp_path):
    package = Path(__import__("fused_dense").__file__).parent
    files = [str(file) for file in sorted(package.glob("*.py*")) if file.suffix in (".py", ".pyi")]
    run("mypy", "--strict", "--cache-dir", str(tmp_path), *files, cwd=tmp_path)
