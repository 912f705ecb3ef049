"""The whole product on services of its own: what runs, and how to reach each part."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import httpx2
import psycopg
from psycopg.rows import dict_row

from scripts import service
from tests.chaos import instruments
from tests.chaos.plan import Plan
from tests.chaos.services import HOST, OwnPostgresql, OwnRedis
from tests.chaos.supervisor import Supervisor, Unit
from tests.emulator.process import EmulatorProcess
from tests.services import NO_THROTTLES, answers

PASSWORD = "for-tests-only-123"
START_SECONDS = 60.0
PREFORK = ["--pool", "prefork", "--concurrency", "2"]
# One site for each; the first also takes the webhooks, which only that protocol has.
PROTOCOLS = ["responses", "assistants"]
WEBHOOK_SECRET = "whsec_Zm9yLXRlc3RzLW9ubHktMTIz"

USERS_CODE = """
from accounts.models import Module, User
for number in range({count}):
    User.objects.create_user(
        f"user-{{number}}", password={password!r}, modules=Module.values,
        monthly_simulation_limit={limit},
    )
"""


class World:
    """`async with World(...) as world:` runs it all, and ends it all."""

    def __init__(self, plan: Plan, log: Path, celery_app: str = "config") -> None:
        self.plan, self.log, self.celery_app = plan, log, celery_app
        self.log.write_bytes(b"")
        self.directory = Path(tempfile.mkdtemp(prefix="sitrep-chaos-"))
        self.directory.chmod(0o711)  # PostgreSQL's user has to get to its part
        self.postgresql = OwnPostgresql(self.directory, service.free_port())
        self.redis = OwnRedis(self.directory, service.free_port())
        self.supervisor = Supervisor(random.Random(f"{plan.seed} pauses"))
        self.units: dict[str, Unit] = {}
        self.urls: list[str] = []

    async def __aenter__(self) -> Self:
        self.emulator = EmulatorProcess()
        try:
            await self._start_services()
            await self._start_product()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()
        shutil.rmtree(self.directory)

    async def stop(self) -> None:
        """Idempotent. The services go last: a worker that is told to stop saves what it can."""
        services = ["postgresql", "redis"]
        await self.supervisor.stop(*(name for name in self.units if name not in services))
        await self.supervisor.stop(*services)
        self.emulator.stop()

    @property
    def workers(self) -> list[Unit]:
        return [unit for name, unit in self.units.items() if name.startswith("worker")]

    @property
    def workers_with_children(self) -> list[Unit]:
        return [unit for unit in self.workers if "prefork" in unit.command]

    @property
    def webs(self) -> list[Unit]:
        return [unit for name, unit in self.units.items() if name.startswith("web")]

    def connect(self) -> psycopg.Connection[dict[str, Any]]:
        """The soak's own connection, which no fault drops while PostgreSQL is up."""
        return psycopg.connect(
            self.postgresql.url,
            autocommit=True,
            row_factory=dict_row,
            connect_timeout=5,
            application_name=instruments.OBSERVER,
        )

    def select(self, sql: str) -> list[dict[str, Any]]:
        with self.connect() as connection:
            return connection.execute(sql).fetchall()

    async def _start_services(self) -> None:
        await asyncio.to_thread(self.postgresql.create)
        await self._start("postgresql", self.postgresql.command, **self.postgresql.options)
        await self._start("redis", self.redis.command)
        for url in (self.postgresql.url, self.redis.url):
            await until(lambda url=url: answers(url))

    async def _start_product(self) -> None:
        users = USERS_CODE.format(
            count=self.plan.users, password=PASSWORD, limit=self.plan.simulations
        )
        await self._manage("migrate", "--verbosity", "0")
        await self._manage("seed_knowledge")
        await self._manage("shell", "--no-imports", "--command", users)
        with self.connect() as connection:
            instruments.install(connection)
        for protocol in PROTOCOLS:
            await self._start_web(protocol)
        if self.plan.webhooks:
            url = f"{self.urls[0]}/webhooks/openai/"
            self.emulator.control(webhook_url=url, webhook_secret=WEBHOOK_SECRET)
        for name, options in {"worker-1": [], "worker-2": [], "worker-3": PREFORK}.items():
            command = [*service.CELERY_WORKER, *options, "--hostname", f"{name}@chaos"]
            command[command.index("config")] = self.celery_app
            await self._start(name, command)
        await self._start("beat", service.CELERY_BEAT)
        for url in self.urls:
            await until(lambda url=url: is_healthy(url))

    async def _manage(self, *arguments: str) -> None:
        unit = self._unit("manage", [sys.executable, "manage.py", *arguments])
        await unit.start()
        if await unit.process.wait():
            raise RuntimeError(f"manage.py {arguments[0]} failed:\n{self.tail()}")

    async def _start_web(self, protocol: str) -> None:
        port = service.free_port()
        url = f"http://{HOST}:{port}"
        self.urls.append(url)
        # Lists link to their next page there.
        environment = {"OPENAI_PROTOCOL": protocol, "PORT": str(port), "FRONTEND_URL": url}
        await self._start(f"web-{protocol}", service.web(HOST, port), environment)

    async def _start(
        self,
        name: str,
        command: Sequence[str],
        environment: dict[str, str] | None = None,
        **options: Any,
    ) -> None:
        self.units[name] = self._unit(name, command, environment, **options)
        await self.supervisor.start(self.units[name])

    def _unit(
        self,
        name: str,
        command: Sequence[str],
        environment: dict[str, str] | None = None,
        **options: Any,
    ) -> Unit:
        environment = self._environment() | (environment or {})
        return Unit(name, command, environment, self.log, options)

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "DJANGO_SETTINGS_MODULE": "tests.chaos.settings",
            "APP_ENV": "test",
            "FRONTEND_URL": "http://localhost:3001",
            "ALLOWED_HOSTS": HOST,
            "DATABASE_URL": self.postgresql.url,
            "CELERY_BROKER_URL": self.redis.url,
            "OPENAI_API_KEY": "sk-tests",
            **NO_THROTTLES,
            "OPENAI_BASE_URL": self.emulator.base_url,
            "OPENAI_ASSISTANT_ID": "asst_tests",
            "OPENAI_PROTOCOL": PROTOCOLS[0],
            "OPENAI_WEBHOOK_SECRET": WEBHOOK_SECRET if self.plan.webhooks else "",
        }


def is_healthy(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/healthz").status_code == 200
    except httpx2.TransportError:
        return False


async def until(condition: Any, seconds: float = START_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        if time.monotonic() > end:
            raise TimeoutError("A part of the product did not start")
        await asyncio.sleep(0.1)
