"""One run: the product starts, is used and broken at the same time, and is then judged."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.chaos.clients import Crowd
from tests.chaos.evidence import Evidence
from tests.chaos.faults import inject
from tests.chaos.plan import Fault, Plan
from tests.chaos.report import build_report
from tests.chaos.world import World

# As long as real providers' calls may take: what dies meanwhile leaves something open behind it.
SLOW_SECONDS = 0.7

OPEN_ENDS = """
SELECT id FROM simulations_simulation WHERE status IN ('PENDING', 'RUNNING')
UNION ALL SELECT id FROM simulations_run WHERE outcome = '' OR discard_due_at IS NOT NULL
"""


async def soak(plan: Plan, log: Path, control: str = "") -> dict[str, Any]:
    """The report. `log` takes what the processes say; with a `control` workers are sabotaged."""
    faults = plan.faults()
    celery_app = f"tests.chaos.sabotage.{control}" if control else "config"
    async with World(plan, log, celery_app) as world:
        crowd = Crowd(world.urls, plan.users, plan.seed)
        try:
            await crowd.sign_in()
            with suppress(TimeoutError):  # what has not come to its end then is found as such
                async with asyncio.timeout(plan.seconds + plan.patience):
                    await _live_through(plan, world, crowd, faults)
                    await _come_to_rest(world)
            await crowd.look_back()
        finally:
            await crowd.leave()
        evidence = await asyncio.to_thread(Evidence.collect, world, crowd.journal, faults)
        return build_report(plan, control, evidence)


async def _live_through(plan: Plan, world: World, crowd: Crowd, faults: list[Fault]) -> None:
    world.emulator.control(latency={"median": plan.run_seconds, "sigma": 0.6, "seed": plan.seed})
    for operation, share in plan.slow_calls.items():
        world.emulator.arm("slow", operation, seconds=SLOW_SECONDS, probability=share)
    start = time.monotonic()
    async with asyncio.TaskGroup() as group:
        group.create_task(crowd.live(plan.questions(), start))
        await inject(world, faults, start)
        await asyncio.to_thread(world.emulator.request, "DELETE", "/faults")


async def _come_to_rest(world: World) -> None:
    """The users have their answers; what goes on behind them comes to its end as well."""
    while await asyncio.to_thread(world.select, OPEN_ENDS):
        await asyncio.sleep(0.5)
