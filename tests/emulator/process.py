"""Starts and steers the emulator as its own process; for any test that needs a provider."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT = 15.0


class EmulatorProcess:
    """`with EmulatorProcess(latency=0.1) as emulator:` or `.stop()` it yourself.

    `url` is the server's root (ledger, control, faults), `base_url` what the SDK gets.
    """

    def __init__(self, latency: float = 0.1, profile: str = "openai", port: int = 0) -> None:
        command = [sys.executable, "-m", "emulator", "--port", str(port)]
        command += ["--latency", str(latency), "--profile", profile]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self._defaults = {
            "latency": latency,
            "profile": profile,
            "poll_after_ms": None,
            "webhook_url": None,
            "webhook_secret": None,
        }
        try:
            self.url = self._read_url()
            self._wait_until_healthy()
        except BaseException:
            self.stop()
            raise
        self.base_url = f"{self.url}/v1"

    def _read_url(self) -> str:
        line = self.process.stdout.readline()
        found = re.search(r"http://[^/\s]+", line)
        if found is None:
            raise RuntimeError(f"The emulator did not start: {line!r}")
        return found[0]

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            try:
                self.request("GET", "/healthz")
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def ledger(self) -> dict[str, list[dict[str, Any]]]:
        return self.request("GET", "/ledger")

    def runs(self, **metadata: str) -> list[dict[str, Any]]:
        """The ledger's runs whose metadata has these pairs."""
        return [run for run in self.ledger()["runs"] if metadata.items() <= run["metadata"].items()]

    def counts(self) -> dict[str, int]:
        """Calls received since the last reset, by operation."""
        return self.request("GET", "/counts")

    def webhooks(self) -> list[dict[str, Any]]:
        """The deliveries since the last reset, oldest first."""
        return self.request("GET", "/webhooks")["deliveries"]

    def hits(self) -> list[dict[str, Any]]:
        """The calls that met a fault since the last reset; see `emulator.faults.Hit`."""
        return self.request("GET", "/faults")["hits"]

    def arm(self, kind: str, operation: str = "any", **options: float) -> None:
        """The next `count` calls of the operation fail; see `emulator.faults.Fault`."""
        self.request("POST", "/faults", {"kind": kind, "operation": operation, **options})

    def control(self, **settings: Any) -> dict[str, Any]:
        """Changes settings; see `emulator.control.change_settings`."""
        return self.request("POST", "/control", settings)

    def release(self) -> None:
        """Every run in flight is over at once."""
        self.control(release=True)

    def reset(self) -> None:
        """As freshly started: no conversations, runs or faults, the first settings."""
        self.request("DELETE", "/ledger")
        self.control(**self._defaults)

    def kill(self) -> None:
        self.process.kill()
        self.stop()

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        self.process.stdout.close()

    def __enter__(self) -> EmulatorProcess:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()
