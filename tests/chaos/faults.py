"""What goes wrong: one function for each kind, which returns once it is over."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

import psycopg
import redis

from tests.chaos.instruments import OBSERVER, brake
from tests.chaos.leases import START_LEASE
from tests.chaos.plan import Fault
from tests.chaos.supervisor import Unit
from tests.chaos.world import World, until
from tests.services import answers

Kind = Callable[[World, Fault, random.Random], Awaitable[None]]

# Longer than the timeout of any call.
HANG = {"seconds": 12.0}
# By kind, with what it takes. What refuses a call for good is not among them: the row would fail.
PROVIDER_FAULTS: dict[str, dict[str, float]] = {
    "429": {"retry_after": 1.5},
    "500": {},
    "timeout": HANG,
    "reset": {},
    "drop": {},
    "accept_then_hang": HANG,
    "slow": {"seconds": 2.5},
    "truncated": {},
}
# The one that costs money more often than the others.
OPERATIONS = [
    *("open_conversation", "add_message", "fetch_run", "cancel_run", "list"),
    *("start_run", "start_run", "start_run"),
]

DROP_CONNECTIONS = f"""
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND application_name <> '{OBSERVER}'
"""


async def inject(world: World, faults: Iterable[Fault], start: float) -> None:
    """Each at its time (`start` as time.monotonic), whatever the others are doing."""
    async with asyncio.TaskGroup() as group:
        for fault in faults:
            await asyncio.sleep(start + fault.at - time.monotonic())
            group.create_task(_happen(world, fault))


async def _happen(world: World, fault: Fault) -> None:
    fault.began = time.time()
    await KINDS[fault.kind](world, fault, random.Random(fault.seed))
    fault.ended = time.time()


async def kill_worker(world: World, fault: Fault, rng: random.Random) -> None:
    await _kill(rng.choice(world.workers), fault)


async def kill_beat(world: World, fault: Fault, rng: random.Random) -> None:
    await _kill(world.units["beat"], fault)


async def kill_web(world: World, fault: Fault, rng: random.Random) -> None:
    await _kill(rng.choice(world.webs), fault)


async def kill_worker_child(world: World, fault: Fault, rng: random.Random) -> None:
    _kill_child(rng.choice(world.workers_with_children), fault, rng)


async def kill_web_child(world: World, fault: Fault, rng: random.Random) -> None:
    _kill_child(rng.choice(world.webs), fault, rng)


async def freeze_worker(world: World, fault: Fault, rng: random.Random) -> None:
    """For longer than any lease; then it goes on as if nothing had happened."""
    unit = rng.choice(world.workers)
    pid = rng.choice(unit.children() or [unit.pid])
    fault.target = f"{unit.name}, pid {pid}"
    seconds = START_LEASE.total_seconds() + rng.uniform(1, 4)
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(handle, signal.SIGSTOP)
            await asyncio.sleep(seconds)
        finally:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGCONT)
            os.close(handle)


async def stop_redis(world: World, fault: Fault, rng: random.Random) -> None:
    await _answers(world, "redis")
    with suppress(redis.ConnectionError), redis.Redis.from_url(world.redis.url) as client:
        world.units["redis"].up.clear()
        await asyncio.to_thread(client.shutdown, nosave=True)
    await _answers(world, "redis")


async def flush_redis(world: World, fault: Fault, rng: random.Random) -> None:
    with suppress(redis.ConnectionError), redis.Redis.from_url(world.redis.url) as client:
        await asyncio.to_thread(client.flushall)


async def stop_postgresql(world: World, fault: Fault, rng: random.Random) -> None:
    await _answers(world, "postgresql")
    world.units["postgresql"].up.clear()
    await asyncio.to_thread(world.postgresql.stop_immediately)
    await _answers(world, "postgresql")


async def drop_connections(world: World, fault: Fault, rng: random.Random) -> None:
    with suppress(psycopg.OperationalError):
        await asyncio.to_thread(world.select, DROP_CONNECTIONS)


async def slow_database(world: World, fault: Fault, rng: random.Random) -> None:
    seconds = rng.uniform(0.05, 0.25)
    fault.details = {"seconds": seconds}
    await _brake(world, seconds)
    await asyncio.sleep(rng.uniform(3, 8))
    await _brake(world, -seconds)


async def fail_provider(world: World, fault: Fault, rng: random.Random) -> None:
    """Some of the operation's next calls, in a row or here and there."""
    kind, operation = rng.choice(list(PROVIDER_FAULTS)), rng.choice(OPERATIONS)
    options = {
        "count": rng.randint(1, 5),
        "probability": rng.choice([1.0, 0.3]),
        "seed": fault.seed,
    } | PROVIDER_FAULTS[kind]
    fault.target = operation
    fault.details = {"kind": kind} | options
    await asyncio.to_thread(world.emulator.arm, kind, operation, **options)


KINDS: dict[str, Kind] = {
    kind.__name__: kind
    for kind in (
        kill_worker,
        kill_worker_child,
        kill_beat,
        kill_web,
        kill_web_child,
        freeze_worker,
        stop_redis,
        flush_redis,
        stop_postgresql,
        drop_connections,
        slow_database,
        fail_provider,
    )
}


async def _kill(unit: Unit, fault: Fault) -> None:
    fault.target = f"{unit.name}, pid {unit.pid}"
    unit.kill()
    await unit.up.wait()


def _kill_child(unit: Unit, fault: Fault, rng: random.Random) -> None:
    """Its parent replaces it at once."""
    children = unit.children()
    fault.target = f"{unit.name}, no child"
    if children:
        pid = rng.choice(children)
        fault.target = f"{unit.name}, pid {pid}"
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def _answers(world: World, service: str) -> None:
    """Once it is there, or back."""
    await world.units[service].up.wait()
    url = {"redis": world.redis.url, "postgresql": world.postgresql.url}[service]
    await until(lambda: answers(url))


async def _brake(world: World, seconds: float) -> None:
    def set_brake() -> bool:
        try:
            with world.connect() as connection:
                brake(connection, seconds)
        except psycopg.OperationalError:
            return False
        return True

    await until(set_brake)
