"""Which interpreter the suite's quick part runs on as well."""

from pathlib import Path

import pytest

from tests.newer_python import VERSION, find_interpreter


def make(interpreter: Path, says: str, code: int = 0) -> str:
    interpreter.parent.mkdir(parents=True)
    interpreter.write_text(f"#!/bin/sh\necho {says}\nexit {code}\n", encoding="ascii")
    interpreter.chmod(0o755)
    return str(interpreter)


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With nothing on it but what a test makes."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    return tmp_path


def test_none_is_found_where_there_is_none() -> None:
    assert find_interpreter() is None


def test_the_one_of_the_path_is_taken(machine: Path) -> None:
    make(machine / f"bin/python{VERSION}", f"Python {VERSION}.1")
    assert find_interpreter() == f"python{VERSION}"


@pytest.mark.parametrize(("says", "code"), [("pyenv: not found", 127), ("Python 3.12.1", 0)])
def test_a_shim_without_an_interpreter_is_passed_by(machine: Path, says: str, code: int) -> None:
    make(machine / f"bin/python{VERSION}", says, code)
    assert find_interpreter() is None
    versions = machine / "pyenv/versions"
    found = make(versions / f"{VERSION}.0/bin/python{VERSION}", f"Python {VERSION}.0")
    assert find_interpreter() == found
