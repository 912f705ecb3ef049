"""A worker without Celery: the engine's slices, one after the other."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from django.conf import settings
from django.db.models.functions import Now

from simulations.engine import Engine
from simulations.models import Run, Simulation

TICK = 0.05
"""Seconds from a slice that left nothing behind to the next one; beat takes half a second."""
WORK_LIMIT = 45.0


def work(
    meddle: Callable[[], None] = lambda: None,
    unseen: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> None:
    """Until nothing is left to do or time is up. What is not the worker's own is done `unseen`."""
    engine = Engine(slots=2)
    end = time.monotonic() + WORK_LIMIT
    left = True
    while left and time.monotonic() < end:
        if not engine.run_slice():
            time.sleep(TICK)
        with unseen():
            meddle()
            shorten_waits()
            left = is_work_left()


def is_work_left() -> bool:
    return Simulation.objects.active().exists() or Run.objects.to_discard().exists()


def shorten_waits() -> None:
    """Polls and retries come as soon as a lease ends: nothing hangs on their being later."""
    soon = Now() + settings.STEP_LEASE
    Simulation.objects.filter(due_at__gt=soon).update(due_at=soon)
    Run.objects.filter(discard_due_at__gt=soon).update(discard_due_at=soon)
