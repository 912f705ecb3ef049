import logging
from contextlib import suppress
from functools import cache
from typing import Any

from celery import Task, shared_task
from celery.signals import worker_process_shutdown, worker_shutdown
from django.conf import settings
from django.db import connection
from kombu.exceptions import OperationalError

from config.database import DATABASE_AWAY, first_line
from simulations.agents.schedules import run_due_agents
from simulations.engine import Engine
from simulations.monitoring.pulse import pulse
from simulations.privacy.erasing import carry_on
from simulations.privacy.retention import RULES, forget_batch, forget_expired_sessions

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 12.0


@cache
def get_engine() -> Engine:
    """The process's engine; built on first use, after any fork."""
    return Engine(settings.CALL_SLOTS, run_due_agents)


@shared_task(ignore_result=True, bind=True)
def advance_due(self: Task) -> None:
    """One slice of work; beat sends it twice a second, a slice with work left sends the next."""
    try:
        engine = get_engine()
        is_more = engine.run_slice()
        if engine.has_deletions:
            engine.delete_remote()
        if getattr(self.request, "celery_beat_task", False):
            pulse.note_tick()
        pulse.write_if_due()
    except DATABASE_AWAY as error:
        logger.error("The database is away: %s", first_line(error))
        return
    if not is_more:
        return
    try:
        advance_due.apply_async(expires=5)
    except OperationalError as error:
        logger.warning("The broker is away; beat sends the next slice: %s", error)


@shared_task(ignore_result=True)
def tend_data() -> None:
    """Every minute: a batch of each kind that is too old, erasures, deletions at the provider."""
    try:
        for kind in RULES:
            forget_batch(kind)
        forget_expired_sessions()
        carry_on()
        get_engine().delete_remote()
    except DATABASE_AWAY as error:
        logger.error("The database is away: %s", first_line(error))


@worker_shutdown.connect
@worker_process_shutdown.connect
def drain(**kwargs: Any) -> None:
    """Saves the results of calls that are still under way when a worker is told to stop."""
    get_engine().drain(DRAIN_SECONDS)
    with suppress(*DATABASE_AWAY):
        if pulse.counts:  # the parent of prefork workers has none
            pulse.write()
    connection.close()
