"""The whole product as its users run it: web, worker and provider as processes of their own.

On SQLite the embedded worker; on PostgreSQL a Celery worker and beat on Redis.
"""

import os
import signal
import sqlite3
import subprocess
import time
import uuid
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import redis

from scripts import service
from tests import services
from tests.emulator.process import EmulatorProcess

PASSWORD = "for-tests-only-123"
HOST = "127.0.0.1"
START_TIMEOUT = 90.0


class Template:
    """A database with seed articles and users; made once, since most tests take less time."""

    def __init__(self, directory: Path) -> None:
        self.url = create_database(directory)
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "APP_ENV": "test",
            "DEMO_PASSWORD": PASSWORD,
            "DATABASE_URL": self.url,
        }
        prepare(environment, "seed_knowledge", "create_demo_users")

    def copy_to(self, directory: Path) -> str:
        """The URL of a copy."""
        if services.ON_POSTGRESQL:
            return create_database(directory, template=name_of(self.url))
        copy = create_database(directory)
        with (
            closing(sqlite3.connect(path_of(self.url))) as source,
            closing(sqlite3.connect(path_of(copy))) as target,
        ):
            source.backup(target)
        return copy

    def drop(self) -> None:
        if services.ON_POSTGRESQL:
            drop_database(self.url)


class Stack:
    def __init__(
        self, directory: Path, template: Template | None, protocol: str, latency: float = 0.5
    ) -> None:
        """Without a template its database is empty."""
        self.log = directory / "log.txt"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.clients: dict[str, StackClient] = {}
        self.cookies: dict[str, list[Any]] = {}
        self.emulator = EmulatorProcess(latency=latency)
        self.port = service.free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.database = template.copy_to(directory) if template else create_database(directory)
        self.broker = choose_broker()
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "APP_ENV": "test",
            "DEMO_PASSWORD": PASSWORD,
            "PORT": str(self.port),
            "FRONTEND_URL": self.url,
            "DATABASE_URL": self.database,
            "CELERY_BROKER_URL": self.broker,
            "OPENAI_API_KEY": "sk-tests",
            "OPENAI_BASE_URL": self.emulator.base_url,
            "OPENAI_PROTOCOL": protocol,
            "OPENAI_ASSISTANT_ID": "asst_tests" if protocol == "assistants" else "",
        }

    def start(self) -> None:
        self.start_process("web", service.web(HOST, self.port))
        self.start_workers()
        self.wait_for_web()

    def start_workers(self) -> None:
        if services.ON_POSTGRESQL:
            self.start_process("worker", service.CELERY_WORKER)
            self.start_process("beat", service.CELERY_BEAT)
        else:
            self.start_process("worker", service.EMBEDDED_WORKER)

    def start_process(self, name: str, command: list[str]) -> None:
        with self.log.open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=service.ROOT, env=self.environment, stdout=log, stderr=log
            )

    def end_process(self, name: str, sent: signal.Signals = signal.SIGTERM) -> None:
        process = self.processes.pop(name)
        process.send_signal(sent)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def wait_for_web(self) -> None:
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end:
            try:
                if httpx2.get(f"{self.url}/healthz").status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError(f"The web process did not start:\n{self.log.read_text()[-2000:]}")

    def stop(self) -> None:
        for client in self.clients.values():
            client.close()
        for name in list(self.processes):
            self.end_process(name)
        self.emulator.stop()
        if services.ON_POSTGRESQL:
            drop_database(self.database)
            with redis.Redis.from_url(self.broker) as broker:
                broker.flushdb()

    def shell(self, code: str) -> None:
        """Runs code in the product's own shell."""
        service.manage(self.environment, "shell", "--no-imports", "--command", code)

    def query(self, sql: str) -> list[Any]:
        """The column that the SQL asks for, read from outside the product."""
        if services.ON_POSTGRESQL:
            with psycopg.connect(self.database) as connection:
                return [row[0] for row in connection.execute(sql)]
        with closing(sqlite3.connect(path_of(self.database))) as connection:
            return [row[0] for row in connection.execute(sql)]

    def execute(self, *statements: str) -> None:
        if services.ON_POSTGRESQL:
            with psycopg.connect(self.database) as connection:
                for sql in statements:
                    connection.execute(sql)
        else:
            path = path_of(self.database)
            with closing(sqlite3.connect(path, timeout=20)) as connection:
                for sql in statements:
                    connection.execute(sql)
                connection.commit()

    def refuse_connections(self) -> None:
        """As if PostgreSQL were down, for this stack alone."""
        name = self._allow_connections("false")
        with psycopg.connect(services.DATABASE_URL, autocommit=True) as connection:
            ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            connection.execute(ends, [name])

    def allow_connections(self) -> None:
        self._allow_connections("true")

    def _allow_connections(self, allow: str) -> str:
        name = self.database.rsplit("/", 1)[1]
        with psycopg.connect(services.DATABASE_URL, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS {allow}")
        return name

    def client(self, username: str) -> "StackClient":
        """A user's signed-in client; the same one each time."""
        if username not in self.clients:
            self.clients[username] = StackClient(self.url, username)
        return self.clients[username]


class StackClient(httpx2.Client):
    """An API client that signs in with its password, as a user's script would."""

    def __init__(self, url: str, username: str, password: str = PASSWORD) -> None:
        super().__init__(base_url=f"{url}/api/v1/", timeout=30)
        body = {"username": username, "password": password}
        token = self.post("auth/login", json=body).raise_for_status().json()["token"]
        self.headers["Authorization"] = f"Bearer {token}"

    def submit(self, query: str) -> httpx2.Response:
        return self.post("simulations", json={"query": query})

    def wait(self, location: str, seconds: float = 30) -> dict[str, Any]:
        """Polls as it is told to, until the simulation is terminal."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            response = self.get(location).raise_for_status()
            if "Retry-After" not in response.headers:
                return response.json()
            time.sleep(float(response.headers["Retry-After"]))
        raise AssertionError(f"Still {response.json()['status']} after {seconds} s")


def prepare(environment: Mapping[str, str], *further: str) -> None:
    """As the product's scripts do, without the assets where they are collected already."""
    prepared = [service.MIGRATE] if services.HAS_ASSETS else [service.MIGRATE, service.COLLECT]
    service.manage_all(environment, *prepared, *further)


def create_database(directory: Path, template: str = "template1") -> str:
    if not services.ON_POSTGRESQL:
        return f"sqlite:///{directory / 'stack.sqlite3'}"
    name = f"sitrep_stack_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(services.DATABASE_URL, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return services.DATABASE_URL.rsplit("/", 1)[0] + f"/{name}"


def choose_broker() -> str:
    """A database of Redis in which there is nothing: neither a user's data nor another suite's."""
    if not services.ON_POSTGRESQL:
        return "memory://"
    for number in range(15, 0, -1):
        url = f"{services.BROKER_URL.rstrip('/')}/{number}"
        with redis.Redis.from_url(url) as broker:
            if broker.dbsize() == 0:
                return url
    raise AssertionError("No database of Redis is empty")


def path_of(url: str) -> str:
    return url.removeprefix("sqlite:///")


def name_of(url: str) -> str:
    return url.rsplit("/", 1)[1]


def drop_database(url: str) -> None:
    name = name_of(url)
    with psycopg.connect(services.DATABASE_URL, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
