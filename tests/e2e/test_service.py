"""How the processes of `make demo` and `make run` are stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts import service

# Takes longer to stop than the process manager's own patience.
SLOW = """
import pathlib, signal, sys, time

def stop(*_):
    time.sleep(7)
    pathlib.Path(sys.argv[1]).write_text("stopped in order")
    sys.exit()

signal.signal(signal.SIGTERM, stop)
pathlib.Path(sys.argv[1]).write_text("started")
time.sleep(60)
"""


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_process_may_finish_what_it_is_doing(tmp_path: Path, sent: signal.Signals) -> None:
    state = tmp_path / "state"
    command = [sys.executable, "-c", SLOW, str(state)]
    code = f"from scripts.service import serve; serve({{'slow': {command!r}}}, {{}})"
    serving = subprocess.Popen(
        [sys.executable, "-c", code], cwd=service.ROOT, stdout=subprocess.DEVNULL
    )
    while not state.exists():
        time.sleep(0.05)
    os.kill(serving.pid, sent)
    serving.wait(30)
    assert state.read_text() == "stopped in order"
