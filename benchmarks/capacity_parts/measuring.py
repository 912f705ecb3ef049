"""One contender under one load: what happened, and what it took."""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.capacity_parts.contenders import Site
from benchmarks.capacity_parts.metering import Meter, Usage

DRIVER = [
    *(sys.executable, "-c"),
    "import django; django.setup(); import benchmarks.capacity_parts.arrivals as it; it.main()",
]

MEDIAN_SECONDS, SIGMA = 30.0, 0.5
WAKE_UP_SIMULATIONS = 16
START_SECONDS = 60.0
DRAIN_SECONDS = 600.0
LEDGER_TIMEOUT = 120.0


@dataclass(frozen=True)
class Load:
    """`in_flight` simulations every 30 s for `warm_up` and then `seconds`, or all at once and
    watched for at most `seconds`. `patient`: what is in flight at the end takes its time."""

    in_flight: int
    warm_up: float
    seconds: float
    seed: int
    burst: bool = False
    patient: bool = True

    @property
    def per_second(self) -> float:
        return self.in_flight / MEDIAN_SECONDS


@dataclass(frozen=True)
class Row:
    """A simulation as the database has it; epoch seconds."""

    id: str
    status: str
    error_code: str
    raw_answer: str
    created_at: float
    finished_at: float | None


@dataclass(frozen=True)
class Observation:
    """What one contender did with one load; `start` and `end` of the window in epoch seconds."""

    contender: str
    load: Load
    start: float
    end: float
    accepted: int
    late: float
    rows: list[Row]
    runs: list[dict[str, Any]]
    deliveries: list[float]
    """When the webhooks were taken, where there are any."""
    usage: Usage


@contextmanager
def driver(site: Site, *options: str) -> Iterator[subprocess.Popen[str]]:
    """The process that submits, ready and waiting for a line."""
    send = ["--send"] if site.contender.tasks else []
    process = subprocess.Popen(
        [*DRIVER, *options, *send],
        env=site.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("The driver did not start")
        yield process
    finally:
        process.kill()
        process.communicate()


def go(process: subprocess.Popen[str]) -> None:
    process.stdin.write("\n")
    process.stdin.flush()


def read_report(process: subprocess.Popen[str]) -> dict[str, float]:
    return json.loads(process.stdout.readline())


def observe(site: Site, load: Load) -> Observation:
    wake_up(site)
    site.emulator.control(latency={"median": MEDIAN_SECONDS, "sigma": SIGMA, "seed": load.seed})
    return observe_burst(site, load) if load.burst else observe_stream(site, load)


def wake_up(site: Site) -> None:
    """A few simulations first: processes start, modules load, connections open."""
    site.emulator.control(latency=0)
    with driver(site, "--count", str(WAKE_UP_SIMULATIONS)) as submitting:
        submit_all(submitting)
    if not ended(site, START_SECONDS):
        raise RuntimeError(f"{site.contender.name} does not work:\n{site.log_end()}")
    site.emulator.request("DELETE", "/ledger")


def observe_stream(site: Site, load: Load) -> Observation:
    count = round((load.warm_up + load.seconds) * load.per_second)
    with driver(site, "--count", str(count), "--per-second", str(load.per_second)) as submitting:
        since = time.time()
        go(submitting)
        time.sleep(load.warm_up)
        meter, start = Meter(site, submitting.pid), time.time()
        time.sleep(load.seconds)
        usage, end = meter.read(), time.time()
        report = read_report(submitting)
    drain(site, load)
    return conclude(site, load, since, (start, end), report, usage)


def observe_burst(site: Site, load: Load) -> Observation:
    with driver(site, "--count", str(load.in_flight)) as submitting:
        since = time.time()
        meter = Meter(site, submitting.pid)
        report = submit_all(submitting)
        ended(site, load.seconds)
        usage, end = meter.read(), time.time()
    drain(site, load)
    return conclude(site, load, since, (report["submitted"], end), report, usage)


def submit_all(process: subprocess.Popen[str]) -> dict[str, float]:
    go(process)
    return read_report(process)


def ended(site: Site, seconds: float) -> bool:
    """Waits until every simulation has ended, and says whether they did in time."""
    end = time.monotonic() + seconds
    while unfinished(site):
        if time.monotonic() > end:
            return False
        time.sleep(0.25)
    return True


def unfinished(site: Site) -> int:
    sql = "SELECT count(*) FROM simulations_simulation WHERE finished_at IS NULL"
    return site.query(sql)[0].count


def drain(site: Site, load: Load) -> None:
    """Everything accepted comes to its end. Blocking tasks would need hours for their backlog:
    they end what they have begun."""
    if site.contender.tasks or not load.patient:
        site.emulator.control(latency=0, release=True)
    if site.contender.tasks:
        site.stop_processes()
    else:
        ended(site, DRAIN_SECONDS)


def conclude(
    site: Site,
    load: Load,
    since: float,
    window: tuple[float, float],
    report: dict[str, float],
    usage: Usage,
) -> Observation:
    return Observation(
        contender=site.contender.name,
        load=load,
        start=window[0],
        end=window[1],
        accepted=int(report["accepted"]),
        late=report["late"],
        rows=read_rows(site, since, report["submitted"]),
        runs=ask_emulator(site, "/ledger")["runs"],
        deliveries=read_deliveries(site),
        usage=usage,
    )


def read_rows(site: Site, since: float, submitted: float) -> list[Row]:
    rows = site.query(
        f"""
        SELECT id::text, status, error_code, raw_answer,
               extract(epoch FROM created_at)::float8 AS created_at,
               extract(epoch FROM finished_at)::float8 AS finished_at
        FROM simulations_simulation WHERE created_at >= to_timestamp({since})
        """
    )
    return [Row(**row._asdict() | {"created_at": max(row.created_at, submitted)}) for row in rows]


def read_deliveries(site: Site) -> list[float]:
    deliveries = ask_emulator(site, "/webhooks")["deliveries"]
    return [delivery["delivered_at"] for delivery in deliveries if delivery["delivered_at"]]


def ask_emulator(site: Site, path: str) -> Any:
    """The ledger of thousands of runs takes a while."""
    with urllib.request.urlopen(site.emulator.url + path, timeout=LEDGER_TIMEOUT) as response:
        return json.load(response)
