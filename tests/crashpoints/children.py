"""Work in a forked child: it starts with everything imported and may be killed at any moment."""

import json
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn


@dataclass(frozen=True)
class Ending:
    """How a child ended. `code` as in subprocess: negative for a signal."""

    code: int
    value: Any
    timed_out: bool = False

    @property
    def was_killed(self) -> bool:
        return self.code == -signal.SIGKILL and not self.timed_out


def run_in_child(work: Callable[[], Any], log: Path, limit: float) -> Ending:
    """Forks, and waits up to `limit` seconds for the child's result, which JSON must carry."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _work_and_exit(work, log, writing)
    os.close(writing)
    text, timed_out = _read(reading, time.monotonic() + limit)
    os.close(reading)
    if timed_out:
        os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return Ending(code, json.loads(text) if code == 0 else None, timed_out)


def _read(pipe: int, end: float) -> tuple[bytes, bool]:
    """What comes until the other side is closed, and whether time ran out before."""
    text = b""
    while select.select([pipe], [], [], max(0.0, end - time.monotonic()))[0]:
        chunk = os.read(pipe, 65_536)
        if not chunk:
            return text, False
        text += chunk
    return text, True


def _work_and_exit(work: Callable[[], Any], log: Path, pipe: int) -> NoReturn:
    """Never returns into the parent's code, and runs none of its clean-up."""
    code = 1
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, sys.stdout.fileno())
        os.dup2(descriptor, sys.stderr.fileno())
        text = json.dumps(work()).encode()
        while text:
            text = text[os.write(pipe, text) :]
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
