"""Who is measured, and starting and stopping its processes with everything around them."""

import base64
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import redis
from psycopg.rows import namedtuple_row

from benchmarks.capacity_parts import processes
from scripts import service
from tests import services
from tests.e2e.stack import HOST, drop_database
from tests.emulator.process import EmulatorProcess

THREADS = 300
RUN_TIMEOUT_SECONDS = 90
ENOUGH = "1000000"
STOP_SECONDS = 30.0

REFERENCE_WORKER = [
    *(sys.executable, "-m", "celery", "-A", "benchmarks.capacity_parts.reference_app", "worker"),
    *("--loglevel", "WARNING", "--without-gossip"),
]
WORKERS = 2
# Enough that a thousand runs in flight are asked for about every 3 s.
POLLS_PER_SECOND = "250"
PREPARATIONS = (["migrate"], ["seed_knowledge"], ["collectstatic", "--noinput"])


@dataclass(frozen=True)
class Contender:
    """`worker`: the command that is started twice. `tasks`: it wants a message per simulation."""

    name: str
    worker: list[str]
    has_beat: bool = False
    has_webhooks: bool = False
    tasks: bool = False


CONTENDERS = {
    contender.name: contender
    for contender in (
        Contender("sitrep", service.CELERY_WORKER, has_beat=True),
        Contender("sitrep-webhooks", service.CELERY_WORKER, has_beat=True, has_webhooks=True),
        Contender(
            "reference-loop",
            [*REFERENCE_WORKER, "--pool", "prefork", "--concurrency", "1"],
            tasks=True,
        ),
        Contender(
            "reference-threads",
            [*REFERENCE_WORKER, "--pool", "threads", "--concurrency", str(THREADS // WORKERS)],
            tasks=True,
        ),
    )
}


class Site:
    """A contender's processes, the emulator, and what they share."""

    def __init__(self, contender: Contender, log: Path, database: str, broker: str) -> None:
        self.contender = contender
        self.log = log
        self.database = database
        self.broker = broker
        self.emulator = EmulatorProcess()
        self.port = service.free_port()
        self.webhook_secret = f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
        self.processes: list[subprocess.Popen[bytes]] = []
        # What the shell sets counts (POLLS_PER_SECOND, CALL_SLOTS, …), what .env sets does not.
        defaults = services.environment() | {"POLLS_PER_SECOND": POLLS_PER_SECOND}
        self.environment = defaults | os.environ | self._own_settings()

    def _own_settings(self) -> dict[str, str]:
        return {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "APP_ENV": "test",
            "PORT": str(self.port),
            "FRONTEND_URL": f"http://{HOST}:{self.port}",
            "DATABASE_URL": self.database,
            "CELERY_BROKER_URL": self.broker,
            "OPENAI_API_KEY": "sk-benchmark",
            "OPENAI_BASE_URL": self.emulator.base_url,
            "OPENAI_PROTOCOL": "responses",
            "OPENAI_WEBHOOK_SECRET": self.webhook_secret if self.contender.has_webhooks else "",
            "RUN_TIMEOUT_SECONDS": str(RUN_TIMEOUT_SECONDS),
            "MAX_RUNS_IN_FLIGHT": ENOUGH,
            "MAX_RUNS_PER_USER": ENOUGH,
        }

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self.processes]

    def start(self) -> None:
        with self.log.open("ab") as log:
            surroundings = {
                "cwd": service.ROOT,
                "env": self.environment,
                "stdout": log,
                "stderr": log,
            }
            for command in PREPARATIONS:
                subprocess.run([sys.executable, "manage.py", *command], check=True, **surroundings)
            for command in self._commands():
                self.processes.append(subprocess.Popen(command, **surroundings))
        if self.contender.has_webhooks:
            url = f"http://{HOST}:{self.port}/webhooks/openai/"
            self.emulator.control(webhook_url=url, webhook_secret=self.webhook_secret)

    def _commands(self) -> Iterator[list[str]]:
        for number in range(WORKERS):
            yield [*self.contender.worker, "--hostname", f"worker-{number}@%h"]
        if self.contender.has_beat:
            yield service.CELERY_BEAT
        if self.contender.has_webhooks:
            yield service.web(HOST, self.port)

    def stop_processes(self) -> None:
        """As in production: what is under way may end first."""
        for process in self.processes:
            process.terminate()
        end = time.monotonic() + STOP_SECONDS
        for process in self.processes:
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                kill(process)
        self.processes.clear()

    def log_end(self) -> str:
        return self.log.read_text()[-2000:]

    def query(self, sql: str) -> list[Any]:
        with psycopg.connect(self.database, row_factory=namedtuple_row) as connection:
            return connection.execute(sql).fetchall()


def kill(process: subprocess.Popen[bytes]) -> None:
    for pid in processes.family([process.pid], processes.snapshot()):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


@contextmanager
def running(contender: Contender) -> Iterator[Site]:
    with (
        tempfile.TemporaryDirectory(prefix="sitrep-capacity-") as directory,
        own_database() as database,
        own_broker() as broker,
    ):
        site = Site(contender, Path(directory) / "log.txt", database, broker)
        try:
            site.start()
            yield site
        except subprocess.CalledProcessError:
            print(f"The end of the log:\n{site.log_end()}")
            raise
        finally:
            site.stop_processes()
            site.emulator.stop()


@contextmanager
def own_database() -> Iterator[str]:
    name = f"sitrep_capacity_{uuid.uuid4().hex[:12]}"
    url = services.DATABASE_URL.rsplit("/", 1)[0] + f"/{name}"
    with psycopg.connect(services.DATABASE_URL, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield url
    finally:
        drop_database(url)


@contextmanager
def own_broker() -> Iterator[str]:
    """A database of Redis that was empty: a key in it keeps others away."""
    for number in range(1, 16):
        url = f"{services.BROKER_URL.rstrip('/')}/{number}"
        with redis.Redis.from_url(url) as broker:
            if broker.dbsize() == 0 and broker.set("sitrep-capacity", 1, nx=True):
                try:
                    yield url
                finally:
                    broker.flushdb()
                return
    raise SystemExit("No database of Redis is empty.")
