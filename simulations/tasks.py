import logging
from typing import Any

from celery import shared_task
from celery.signals import worker_process_shutdown, worker_shutdown
from django.db import connection
from kombu.exceptions import OperationalError

from config.logs import DATABASE_AWAY, first_line
from simulations.engine import get_engine

logger = logging.getLogger(__name__)

DRAIN_SECONDS = 12.0


@shared_task(ignore_result=True)
def advance_due() -> None:
    """One slice of work; beat sends it twice a second, a slice with work left sends the next."""
    try:
        is_more = get_engine().run_slice()
    except DATABASE_AWAY as error:
        logger.error("The database is away: %s", first_line(error))
        return
    if not is_more:
        return
    try:
        advance_due.apply_async(expires=5)
    except OperationalError as error:
        logger.warning("The broker is away; beat sends the next slice: %s", error)


@worker_shutdown.connect
@worker_process_shutdown.connect
def drain(**kwargs: Any) -> None:
    """Saves the results of calls that are still under way when a worker is told to stop."""
    get_engine().drain(DRAIN_SECONDS)
    connection.close()
