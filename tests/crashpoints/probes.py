"""Numbers the boundaries that a worker process passes, and kills it before or after one of them.

A boundary is an SQL statement (in autocommit it is its own commit), a COMMIT or ROLLBACK, an HTTP
request sent or an HTTP answer received. It is named by what it is and by which of its kind it is
in the life of its process, since statements and calls of two threads interleave freely.
"""

import os
import re
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import httpx2
from django.db import connection

from simulations.providers.client import build_client

ROOT = Path(__file__).resolve().parents[2]
APPS = ("accounts", "knowledge", "simulations")
TABLE = re.compile(r'(?:FROM|INTO|UPDATE)\s+"(\w+)"')
IDENTIFIER = re.compile(r"\b(conv|resp|thread|run|msg)_\w+")

SENT = "http11.send_request_body.complete"
ANSWERED = "http11.receive_response_headers.complete"
READ = "http11.receive_response_body.complete"


@dataclass(frozen=True)
class Boundary:
    name: str
    ordinal: int

    def __str__(self) -> str:
        return f"{self.name} #{self.ordinal}"


@dataclass(frozen=True)
class Kill:
    side: Literal["before", "after"]
    boundary: Boundary

    def __str__(self) -> str:
        return f"{self.side} {self.boundary}"


class Probes:
    """Of one process; `install` them once its database connection is open."""

    def __init__(self, kill: Kill | None = None) -> None:
        self.kill = kill
        self.passed: list[Boundary] = []
        self.counts: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.paused = False
        self.last_statement = ""

    def install(self) -> None:
        connection.execute_wrappers.append(self._around_statement)
        connection._commit = self._crossing("COMMIT", connection._commit)
        connection._rollback = self._crossing("ROLLBACK", connection._rollback)
        transport = build_client()._client._transport
        transport.handle_request = self._around_request(transport.handle_request)

    @contextmanager
    def pause(self) -> Iterator[None]:
        """What the harness itself asks the database is no boundary."""
        self.paused = True
        try:
            yield
        finally:
            self.paused = False

    def reach(self, name: str) -> Boundary:
        with self.lock:
            self.counts[name] += 1
            boundary = Boundary(name, self.counts[name])
            self.passed.append(boundary)
        self._kill_if(Kill("before", boundary))
        return boundary

    def leave(self, boundary: Boundary) -> None:
        self._kill_if(Kill("after", boundary))

    def _kill_if(self, here: Kill) -> None:
        if here == self.kill:
            os.kill(os.getpid(), signal.SIGKILL)

    def _around_statement(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        name = f"{describe(sql)} in {caller()}"
        if self.paused or self._repeats(name):
            return execute(sql, params, many, context)
        boundary = self.reach(name)
        result = execute(sql, params, many, context)
        self.leave(boundary)
        return result

    def _repeats(self, name: str) -> bool:
        """Asking the same again and again, as idle ticks do, is one boundary: nothing changes."""
        repeated = name == self.last_statement and name.startswith("SQL SELECT")
        self.last_statement = name
        return repeated

    def _crossing(self, name: str, action: Callable[[], Any]) -> Callable[[], None]:
        def crossed() -> None:
            if self.paused:
                action()
                return
            self.last_statement = name
            boundary = self.reach(f"{name} in {caller()}")
            action()
            self.leave(boundary)

        return crossed

    def _around_request(
        self, handle: Callable[[httpx2.Request], httpx2.Response]
    ) -> Callable[[httpx2.Request], httpx2.Response]:
        def handle_request(request: httpx2.Request) -> httpx2.Response:
            name = f"HTTP {request.method} {IDENTIFIER.sub('…', request.url.path)}"
            crossed = {"sent": self.reach(f"{name} sent")}

            def trace(event: str, info: dict[str, Any]) -> None:
                if event == SENT:
                    self.leave(crossed["sent"])
                elif event == ANSWERED:
                    crossed["answered"] = self.reach(f"{name} answered")
                elif event == READ:
                    self.leave(crossed["answered"])

            request.extensions = {**request.extensions, "trace": trace}
            return handle(request)

        return handle_request


def describe(sql: str) -> str:
    verb = sql.split(maxsplit=1)[0]
    table = TABLE.search(sql)
    return f"SQL {verb} {table[1]}" if table else f"SQL {verb}"


def caller() -> str:
    """The product's function that is nearest to the statement."""
    frame = sys._getframe(1)
    while frame is not None:
        if is_ours(frame.f_code.co_filename):
            return frame.f_code.co_name
        frame = frame.f_back
    return "?"


@cache
def is_ours(filename: str) -> bool:
    return filename.startswith(tuple(f"{ROOT}/{app}/" for app in APPS))
