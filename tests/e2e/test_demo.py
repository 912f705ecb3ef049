"""`make demo` in a tree of its own: it runs the main job, and stops what it started."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
import pytest

from scripts import service
from tests.e2e.stack import PASSWORD, START_TIMEOUT, StackClient
from tests.e2e.test_main_job import QUERY

pytestmark = pytest.mark.timeout(180)

LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "var", ".env", "__pycache__")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(
        service.ROOT, tmp_path_factory.mktemp("demo") / "sitrep", ignore=LEFT_OUT
    )


@contextmanager
def demo(tree: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The demo once it serves, and its address; everything it printed is in tree/output.txt."""
    port = service.free_port()
    cleared = {"APP_ENV", "DATABASE_URL", "DJANGO_SECRET_KEY", "DJANGO_SETTINGS_MODULE"}
    inherited = {name: value for name, value in os.environ.items() if name not in cleared}
    with (tree / "output.txt").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "scripts.demo"],
            cwd=tree,
            env=inherited | {"PORT": str(port)} | environment,
            stdout=output,
            stderr=output,
            text=True,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/healthz", process)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def wait_for(url: str, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + START_TIMEOUT
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx2.get(url).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.1)
    state = "is still starting" if process.poll() is None else f"ended with {process.returncode}"
    raise AssertionError(f"The demo did not start at {url}: it {state}")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    ("protocol", "password"),
    [("responses", PASSWORD), ("assistants", "")],
    ids=["responses", "assistants-random-passwords"],
)
def test_the_demo_runs_the_main_job_and_stops_all_it_started(
    tree: Path, protocol: str, password: str
) -> None:
    with demo(tree, OPENAI_PROTOCOL=protocol, DEMO_PASSWORD=password) as (process, url):
        printed = printed_passwords(tree)
        if not password:
            assert len(set(printed.values())) == 3
            assert min(map(len, printed.values())) >= 12
        with closing(StackClient(url, "analyst", password or printed["analyst"])) as client:
            simulation = client.wait(client.submit(QUERY).headers["Location"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert simulation["status"] == "COMPLETED"
    assert "Sitrep's offline demo assistant" in simulation["answer"]
    output = (tree / "output.txt").read_text()
    assert url in output
    assert PASSWORD not in output
    pids = [int(pid) for pid in re.findall(r"started \(pid=(\d+)\)", output)]
    assert len(pids) == 3
    assert not [pid for pid in pids if is_alive(pid)]


def printed_passwords(tree: Path) -> dict[str, str]:
    """By username."""
    output = (tree / "output.txt").read_text()
    return dict(re.findall(r"^  (\w+) +(?:ADMIN|ANALYST) +password: (\S+)$", output, re.MULTILINE))


@pytest.mark.parametrize("port", ["taken", "zero", "70000"])
def test_a_port_that_cannot_be_used_is_a_clear_error(tree: Path, port: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        if port == "taken":
            port = str(taken.getsockname()[1])
        result = subprocess.run(
            [sys.executable, "-m", "scripts.demo"],
            cwd=tree,
            env=os.environ | {"PORT": port},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert result.returncode == 1
    assert f"PORT={port}" in result.stderr
    assert "Traceback" not in result.stderr
