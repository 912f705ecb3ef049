"""Databases cut off mid-step and workers that freeze: nothing is lost, nothing is done twice."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from pytest_django import Settings

from accounts.models import User
from simulations import services
from simulations.engine import Engine
from simulations.models import Run, Simulation, Status, ToolCall
from tests import services as test_services
from tests.conftest import Drive, make_due
from tests.emulator.process import ROOT, EmulatorProcess
from tests.simulations.test_lifecycle import call_under_way

CALLS_A_TOOL = 'Who guards it? [[tool:search_knowledge {"query": "guards"}]]'


# --- The database is cut off ------------------------------------------------------------------


class CutOff:
    """Fails the `number`th write, once, as a connection does that breaks."""

    def __init__(self, number: int) -> None:
        self.left = number

    def __call__(self, execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        if sql.startswith(("UPDATE", "INSERT")):
            self.left -= 1
            if self.left == 0:
                raise OperationalError("the connection is closed")
        return execute(sql, *args)


def drive_through(engine: Engine, simulation: Simulation, cut_off: CutOff) -> None:
    for _ in range(200):
        with suppress(OperationalError), connection.execute_wrapper(cut_off):
            engine.run_slice(0.03)
        simulation.refresh_from_db()
        if simulation.is_terminal and not engine.unsaved:
            return
        make_due(engine)
        time.sleep(0.01)
    pytest.fail(f"Still {simulation.status}")


@pytest.mark.django_db(transaction=True)
def test_wherever_the_database_is_cut_off_the_life_goes_on_and_is_paid_once(
    emulator: EmulatorProcess, engine: Engine, analyst: User, protocol: str
) -> None:
    """A life with a round of tools, cut at each of its writes in turn."""
    emulator.control(latency=0)
    cut_off, number = CutOff(0), 0
    while cut_off.left <= 0:
        number += 1
        cut_off = CutOff(number)
        simulation = services.submit(analyst, CALLS_A_TOOL)
        drive_through(engine, simulation, cut_off)
        assert simulation.status == Status.COMPLETED, f"cut at write {number}"
        rounds = [1, 2] if protocol == "responses" else [1]
        upstream = emulator.runs(simulation=str(simulation.pk))
        assert [int(run["metadata"]["round"]) for run in upstream] == rounds
        assert list(simulation.runs.values_list("round", "outcome")) == [
            (each, Run.Outcome.COMPLETED) for each in rounds
        ]
        assert ToolCall.objects.filter(run__simulation=simulation).count() == 1
        assert simulation.tokens_used == sum(run["usage"]["total_tokens"] for run in upstream)
    assert number > 15


@pytest.mark.skipif(not test_services.ON_POSTGRESQL, reason="SQLite has no sessions to end")
@pytest.mark.django_db(transaction=True)
def test_a_session_ended_between_call_and_result_costs_nothing(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User
) -> None:
    emulator.arm("slow", "start_run", seconds=0.3)
    simulation = services.submit(analyst, "A question?")
    call_under_way(engine, simulation)
    end_session()
    with pytest.raises(OperationalError):
        engine.drain(5)
    assert engine.under_way() == [simulation.pk]
    connection.close()  # as Celery does between tasks
    engine.run_slice(0.05)
    simulation.refresh_from_db()
    assert simulation.status == Status.RUNNING
    assert drive(simulation).status == Status.COMPLETED
    assert len(emulator.ledger()["runs"]) == Run.objects.count() == 1


def end_session() -> None:
    """Of this very connection, by another one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    other.close()


# --- A worker freezes -------------------------------------------------------------------------

WORKER = """
import django, time
django.setup()
from simulations.engine import Engine
engine = Engine(4)
print("ready", flush=True)
while True:
    engine.run_slice(0.2)
    time.sleep(0.02)
"""


@pytest.fixture
def worker(emulator: EmulatorProcess, settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that runs the engine on this test's database."""
    database = django_settings.DATABASES["default"]
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "APP_ENV": "test",
        "DATABASE_URL": database_url(str(connection.settings_dict["NAME"]), database),
        "DJANGO_SECRET_KEY": settings.SECRET_KEY,
        "OPENAI_API_KEY": "sk-tests",
        "OPENAI_BASE_URL": emulator.base_url,
        "OPENAI_PROTOCOL": settings.OPENAI_PROTOCOL,
        "OPENAI_ASSISTANT_ID": settings.OPENAI_ASSISTANT_ID,
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-c", WORKER]
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait(5)
    process.stdout.close()


def database_url(name: str, database: dict[str, Any]) -> str:
    if not test_services.ON_POSTGRESQL:
        return f"sqlite:///{name}"
    server, _, _ = test_services.DATABASE_URL.rpartition("/")
    return f"{server}/{name}"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_over", [True, False], ids=["over", "going"])
def test_a_worker_frozen_past_its_lease_does_not_pay_twice(
    emulator: EmulatorProcess,
    worker: subprocess.Popen[str],
    engine: Engine,
    drive: Drive,
    analyst: User,
    protocol: str,
    is_over: bool,
) -> None:
    """Frozen with its create call under way; its run is over, or going on, when it is missed."""
    emulator.control(latency=0.05 if is_over else 600)
    emulator.arm("slow", "start_run", seconds=0.5)
    simulation = services.submit(analyst, "A question?")
    wait_for(lambda: emulator.ledger()["runs"])
    worker.send_signal(signal.SIGSTOP)
    simulation.refresh_from_db()
    assert (simulation.status, simulation.run.provider_id) == (Status.PENDING, "")
    for _ in range(6):
        make_due(engine)  # its lease runs out
        engine.run_slice(0.05)
    if is_over:
        assert drive(simulation).status == Status.COMPLETED

    worker.send_signal(signal.SIGCONT)
    wait_for(Run.objects.exclude(provider_id="").exclude(accepted_at=None).exists)
    time.sleep(0.3)  # for the worker to do harm
    engine.drain(5)
    emulator.control(latency=0.05, release=True)
    assert drive(simulation).status == Status.COMPLETED
    assert simulation.run.outcome == Run.Outcome.COMPLETED
    extra = Run.objects.extra().count()
    assert len(emulator.ledger()["runs"]) == 1 + extra
    assert extra <= (0 if is_over else 1)


def wait_for(condition: Callable[[], Any], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail("It never happened")
        time.sleep(0.02)
