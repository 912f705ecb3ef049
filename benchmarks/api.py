"""What requests to the API cost: `python -m benchmarks.api`, `--full` with 1,000,000 simulations.

On PostgreSQL (`TEST_DATABASE_URL`), in two databases that are made for it and dropped: one with
1,000 simulations, one with many. Each is served by the web process as it is run, with two bare
views beside the product's. One client sends one request at a time over a connection that is kept,
to all of them in turns, so that whatever else goes on slows all of them. See docs/performance.md.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any
from urllib.parse import urlencode, urlsplit

from benchmarks.shared_parts.databases import postgresql
from scripts import service
from tests import services

FEW, MANY, FULL = 1_000, 100_000, 1_000_000
ROUNDS, WARM_UP = 120, 15
SETTINGS = "benchmarks.api_parts.settings"
HOST = "127.0.0.1"
LIST = "/api/v1/simulations"
FILTERS = {
    "": {},
    ", of a status": {"status": "FAILED"},
    ", of a rare status": {"status": "CANCELLED"},
    ", of some days": {"created_before": "2025-06-01"},
    ", with a common word": {"q": "convoy"},
    ", with a rare word": {"q": "zephyr"},
    ", of a status with a common word": {"q": "gate", "status": "COMPLETED"},
}
BARE, FRAMEWORK, POLL, SUBMIT = "a bare Django view", "a bare framework view", "a poll", "a submit"


@dataclass
class Site:
    """A running site and what it took, in seconds, by the kind of request."""

    port: int
    tokens: dict[str, str]
    simulation: str
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
        self.etag = self.ask("poll", f"{LIST}/{self.simulation}").headers["ETag"]

    def ask(
        self, kind: str, path: str, user: str = "analyst", body: Any = None, **headers: str
    ) -> http.client.HTTPResponse:
        headers |= {"Authorization": f"Bearer {self.tokens[user]}"}
        content = None
        if body is not None:
            content = json.dumps(body)
            headers |= {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
        try:
            response, seconds = self._send(path, content, headers)
        except http.client.RemoteDisconnected:  # it waits 2 s for the next request
            self.connection.close()
            response, seconds = self._send(path, content, headers)
        self.times[kind].append(seconds)
        assert response.status in {200, 202, 304}, (path, response.status)
        return response

    def _send(
        self, path: str, content: str | None, headers: dict[str, str]
    ) -> tuple[http.client.HTTPResponse, float]:
        start = time.perf_counter()
        self.connection.request("POST" if content else "GET", path, content, headers)
        response = self.connection.getresponse()
        response.read()
        return response, time.perf_counter() - start

    def one_round(self) -> Iterator[None]:
        poll = f"{LIST}/{self.simulation}"
        yield self.ask(BARE, "/bare/django")
        yield self.ask(FRAMEWORK, "/bare/framework")
        yield self.ask(POLL, poll)
        yield self.ask(f"{POLL}, 304", poll, **{"If-None-Match": self.etag})
        yield self.ask(f"{POLL} of an admin", poll, "admin")
        for name, filters in FILTERS.items():
            path = f"{LIST}?{urlencode(filters)}"
            yield self.ask(f"a list{name}", path)
            yield self.ask(f"a list{name} (admin)", path, "admin")
        yield self.ask("a scrape of /metrics", "/metrics", "prometheus")
        yield self.ask(SUBMIT, LIST, body={"query": f"What about {uuid.uuid4()}?"})


def environment(url: str) -> dict[str, str]:
    product = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": SETTINGS, "LOG_LEVEL": "WARNING"}
    product |= {"METRICS_TOKEN": "of-this-benchmark-alone"}
    return os.environ | services.environment() | product


@contextmanager
def site(template: str, rows: int) -> Iterator[Site]:
    port = service.free_port()
    with postgresql(template) as url:
        command = [sys.executable, "-m", "benchmarks.api_parts.filling", str(rows)]
        filled = subprocess.run(command, env=environment(url), check=True, capture_output=True)
        process = subprocess.Popen(service.web(HOST, port), env=environment(url))
        try:
            wait_for(port)
            yield Site(port, **json.loads(filled.stdout))
        finally:
            process.terminate()
            process.wait()


def wait_for(port: int) -> None:
    for _ in range(600):
        try:
            connection = http.client.HTTPConnection(HOST, port, timeout=5)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("The site did not start")


def run(sites: list[Site], rounds: int) -> None:
    for number in range(rounds + WARM_UP):
        if number == WARM_UP:
            for each in sites:
                each.times.clear()
        for _ in zip(*(each.one_round() for each in sites), strict=True):
            pass


def typical(times: list[float]) -> float:
    """What it takes when nothing else runs at that moment: the tenth of a hundred, by duration."""
    return quantiles(times, n=10)[0] * 1000


def report(few: Site, many: Site, rows: int) -> None:
    bare = typical(many.times[FRAMEWORK])
    print(f"| request | ms at {FEW:,} | ms at {rows:,} | ratio | rate of the bare framework view |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for kind in few.times:
        small, large = typical(few.times[kind]), typical(many.times[kind])
        ratios = f"{large / small:.2f} | {bare / large:.2f}"
        print(f"| {kind} | {small:.2f} | {large:.2f} | {ratios} |")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api")
    parser.add_argument("--full", action="store_true", help=f"{FULL:,} rows; some minutes")
    parser.add_argument("--rows", type=int, help=f"default: {MANY:,}")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    rows = arguments.rows or (FULL if arguments.full else MANY)
    if not services.answers(services.DATABASE_URL):
        print(f"Not run: no PostgreSQL at {services.place(services.DATABASE_URL)}")
        return
    with ExitStack() as stack:
        empty = stack.enter_context(postgresql())
        service.manage(environment(empty), "migrate", "--verbosity", "0")
        name = urlsplit(empty).path.removeprefix("/")
        few, many = (stack.enter_context(site(name, number)) for number in (FEW, rows))
        run([few, many], arguments.rounds)
        report(few, many, rows)


if __name__ == "__main__":
    main()
