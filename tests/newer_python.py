"""`make test-newer`: the quick part of the suite on the newest Python that Sitrep supports.

Quick is what starts no processes of the product, on SQLite. Where that Python is not installed, or
is the one that the whole suite runs on, it says so and that is all.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from scripts.service import ROOT

VERSION = "3.13"
VENV = ROOT / f".venv-{VERSION}"
PYTHON = str(VENV / "bin" / "python")
PINNED = ["requirements.txt", "requirements-dev.txt", "constraints.txt"]


def main(arguments: Sequence[str]) -> int:
    if sys.version.startswith(f"{VERSION}."):
        print(f"The whole suite runs on Python {VERSION} already.")
        return 0
    interpreter = find_interpreter()
    if interpreter is None:
        print(f"Not run on Python {VERSION}, which is not installed.")
        return 0
    print(f"Running the quick part on {interpreter} …", flush=True)
    return install(interpreter) or run_tests(arguments)


def find_interpreter() -> str | None:
    return next(filter(works, candidates()), None)


def candidates() -> Iterator[str]:
    yield f"python{VERSION}"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for found in sorted(pyenv.glob(f"versions/{VERSION}.*/bin/python{VERSION}"), reverse=True):
        yield str(found)


def works(interpreter: str) -> bool:
    """A shim of pyenv is there for each version of which it knows, and fails for most."""
    try:
        said = subprocess.run([interpreter, "--version"], capture_output=True, text=True)
    except OSError:
        return False
    return said.returncode == 0 and said.stdout.startswith(f"Python {VERSION}.")


def install(interpreter: str) -> int:
    """What is pinned, if it has changed since it was installed."""
    stamp = VENV / ".installed"
    pinned = max((ROOT / name).stat().st_mtime for name in PINNED)
    if stamp.exists() and stamp.stat().st_mtime > pinned:
        return 0
    pip = [
        VENV / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    for command in (
        [interpreter, "-m", "venv", VENV],
        [*pip, "-r", "requirements-dev.txt", "-c", "constraints.txt"],
    ):
        if code := subprocess.run(command, cwd=ROOT).returncode:
            return code
    stamp.touch()
    return 0


def run_tests(arguments: Sequence[str]) -> int:
    """Not even an import may warn."""
    return subprocess.run(
        [PYTHON, "-W", "error", "-m", "pytest", "--lane=pure", "--lane=rows", *arguments],
        cwd=ROOT,
        env=os.environ | {"TEST_DATABASE": "sqlite"},
    ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
