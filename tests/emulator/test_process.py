"""Starting and stopping, as a person at a terminal does it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys

import pytest

from emulator.app import create_app
from emulator.profiles import PROFILES
from emulator.state import State
from tests.emulator.process import ROOT, EmulatorProcess


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number):
    with EmulatorProcess() as emulator:
        emulator.process.send_signal(number)
        assert emulator.process.wait(5) == 0


def test_a_taken_port_is_one_clear_line(emulator):
    port = emulator.url.rpartition(":")[2]
    second = subprocess.run(
        [sys.executable, "-m", "emulator", "--port", port],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert second.returncode == 1
    assert second.stderr == f"Cannot listen on 127.0.0.1:{port}: in use.\n"
    assert second.stdout == ""


def test_it_imports_nothing_of_the_project():
    code = "import sys, emulator.__main__; print([n for n in sys.modules if n in PROJECT])"
    code = code.replace("PROJECT", "('django', 'config', 'accounts', 'knowledge', 'simulations')")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def test_a_client_that_dies_while_it_sends_is_no_error():
    sent = []

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message["type"])

    app = create_app(State(PROFILES["openai"], 0.1))
    headers = [(b"authorization", b"Bearer sk-test"), (b"content-length", b"100")]
    scope = {"type": "http", "method": "POST", "path": "/v1/responses", "headers": headers}
    asyncio.run(app({**scope, "query_string": b"", "root_path": ""}, receive, send))
    assert sent == ["http.response.start", "http.response.body"]
