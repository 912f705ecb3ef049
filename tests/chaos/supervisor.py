"""Starts what died again after a random pause, as systemd would."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.service import ROOT

# Seconds between a death and the start that follows it.
PAUSES = (0.5, 4.0)
STOP_SECONDS = 20.0


@dataclass
class Unit:
    """One service: a process, and the group of all that it started."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    options: dict[str, Any] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None
    up: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def pid(self) -> int:
        return self.process.pid

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.command,
                cwd=ROOT,
                env=self.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self.options,
            )
        self.up.set()

    def kill(self) -> None:
        self.up.clear()
        with suppress(ProcessLookupError):
            self.process.kill()

    def kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def children(self) -> list[int]:
        tasks = Path(f"/proc/{self.pid}/task")
        with suppress(FileNotFoundError):
            return [int(pid) for task in tasks.iterdir() for pid in read_children(task)]
        return []

    async def stop(self) -> None:
        """In order, and if that takes too long, not."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        self.kill_group()
        await self.process.wait()


def read_children(task: Path) -> list[str]:
    return (task / "children").read_text().split()


class Supervisor:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.keepers: dict[str, tuple[Unit, asyncio.Task[None]]] = {}

    async def start(self, unit: Unit) -> None:
        await unit.start()
        self.keepers[unit.name] = unit, asyncio.create_task(self._keep(unit))

    async def stop(self, *names: str) -> None:
        """Those named, side by side."""
        await asyncio.gather(*(self._stop(name) for name in names if name in self.keepers))

    async def _keep(self, unit: Unit) -> None:
        while True:
            await unit.process.wait()
            unit.up.clear()
            await asyncio.sleep(self.rng.uniform(*PAUSES))
            unit.kill_group()
            await unit.start()

    async def _stop(self, name: str) -> None:
        unit, keeper = self.keepers.pop(name)
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper
        await unit.stop()
