"""The whole site on services of its own, with users who are signed in and wait for answers."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import httpx2
import psycopg

from scripts import service
from tests.chaos.services import HOST, OwnPostgresql, OwnRedis
from tests.chaos.supervisor import Unit
from tests.emulator.process import EmulatorProcess
from tests.services import NO_THROTTLES, answers

START_SECONDS = 60.0
SETTLE_SECONDS = 120.0
# Longer than any measurement: what is watched goes on.
WATCHED_LATENCY, LATENCY = 3600.0, 2.0

SIGN_IN = """
import json
from importlib import import_module
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from accounts.models import Module, User
from simulations import services

Store = import_module(settings.SESSION_ENGINE).SessionStore
users = []
for number in range({count}):
    user = User(username=f"user-{{number}}", modules=Module.values, monthly_simulation_limit=10**6)
    user.set_unusable_password()
    user.save()
    session = Store()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    simulation = services.submit(user, "Who checks badges at the gate?")
    users.append({{"session": session.session_key, "simulation": str(simulation.pk)}})
print(json.dumps(users))
"""


class Site:
    """`async with Site(220) as site:` runs it all, and ends it all."""

    def __init__(self, users: int) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="sitrep-load-"))
        self.directory.chmod(0o711)  # PostgreSQL's user has to get to its part
        self.postgresql = OwnPostgresql(self.directory, service.free_port())
        self.redis = OwnRedis(self.directory, service.free_port())
        self.port = service.free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.count = users
        self.users: list[dict[str, str]] = []
        self.units: dict[str, Unit] = {}
        self.restarted_at = 0.0

    async def __aenter__(self) -> Self:
        self.emulator = EmulatorProcess(latency=WATCHED_LATENCY)
        self.environment = os.environ | {
            **NO_THROTTLES,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "APP_ENV": "test",
            "LOG_LEVEL": "WARNING",
            "PORT": str(self.port),
            "FRONTEND_URL": self.url,
            "DATABASE_URL": self.postgresql.url,
            "CELERY_BROKER_URL": self.redis.url,
            "OPENAI_API_KEY": "sk-load",
            "OPENAI_BASE_URL": self.emulator.base_url,
            "OPENAI_PROTOCOL": "responses",
            "RUN_TIMEOUT_SECONDS": "3600",
        }
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stop()

    async def _start(self) -> None:
        await asyncio.to_thread(self.postgresql.create)
        await self._run("postgresql", self.postgresql.command, **self.postgresql.options)
        await self._run("redis", self.redis.command)
        for url in (self.postgresql.url, self.redis.url):
            await until(lambda url=url: answers(url))
        await asyncio.to_thread(service.prepare, self.environment)
        await asyncio.to_thread(service.manage, self.environment, "seed_knowledge")
        self.users = json.loads(await asyncio.to_thread(self._sign_in))
        await self._run("web", service.web(HOST, self.port))
        for number in (1, 2):
            name = f"worker-{number}"
            await self._run(name, [*service.CELERY_WORKER, "--hostname", f"{name}@load"])
        await self._run("beat", service.CELERY_BEAT)
        await until(self._is_healthy)
        await until(lambda: self._count("status = 'RUNNING'") >= self.count)
        self.emulator.control(latency=LATENCY)

    def _sign_in(self) -> str:
        command = [sys.executable, "manage.py", "shell", "--no-imports", "--command"]
        made = subprocess.run(
            [*command, SIGN_IN.format(count=self.count)],
            cwd=service.ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        return made.stdout.splitlines()[-1]

    async def _run(self, name: str, command: list[str], **options: Any) -> None:
        log = self.directory / "log.txt"
        self.units[name] = Unit(name, command, self.environment, log, options)
        await self.units[name].start()

    async def _stop(self) -> None:
        """The services go last: a worker that is told to stop saves what it can."""
        services = ["redis", "postgresql"]
        for name in [*(name for name in self.units if name not in services), *services]:
            if name in self.units:
                await self.units[name].stop()
        self.emulator.stop()
        shutil.rmtree(self.directory)

    async def restart(self, name: str) -> None:
        """In order, as an update would, and at once again."""
        self.restarted_at = time.time()
        unit = self.units[name]
        if name == "postgresql":
            await asyncio.to_thread(self.postgresql.stop_immediately)
        await unit.stop()
        await unit.start()

    def has_recovered(self, name: str) -> bool:
        """Web and database: a page that reads is there. The others: a question asked since then
        has been started."""
        if name in {"web", "postgresql"}:
            user = self.users[0]
            path = f"{self.url}/simulations/{user['simulation']}/status/"
            cookie = {"Cookie": f"sessionid={user['session']}"}
            try:
                return httpx2.get(path, headers=cookie, timeout=5).status_code == 200
            except httpx2.TransportError:
                return False
        moment = f"to_timestamp({self.restarted_at})"
        return self._count(f"created_at > {moment} AND started_at > {moment}") > 0

    async def settle(self, accepted: list[str]) -> list[str]:
        """Waits for all that was accepted; those that were not answered."""
        self.emulator.release()
        active = "status IN ('PENDING', 'RUNNING')"
        end = time.monotonic() + SETTLE_SECONDS
        while self._count(active) and time.monotonic() < end:
            self.emulator.release()
            await asyncio.sleep(0.5)
        with psycopg.connect(self.postgresql.url) as connection:
            sql = "SELECT id::text FROM simulations_simulation WHERE status = 'COMPLETED'"
            answered = {key for (key,) in connection.execute(sql)}
        watched = [user["simulation"] for user in self.users]
        return [key for key in [*accepted, *watched] if key not in answered]

    def _is_healthy(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/healthz").status_code == 200
        except httpx2.TransportError:
            return False

    def _count(self, condition: str) -> int:
        sql = f"SELECT count(*) FROM simulations_simulation WHERE {condition}"
        with psycopg.connect(self.postgresql.url, connect_timeout=5) as connection:
            return connection.execute(sql).fetchone()[0]


async def until(condition: Any, seconds: float = START_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not await asyncio.to_thread(condition):
        if time.monotonic() > end:
            raise TimeoutError("A part of the site did not start")
        await asyncio.sleep(0.1)
