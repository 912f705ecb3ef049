from typing import Any

from celery import shared_task
from celery.signals import worker_process_shutdown, worker_shutdown
from django.db import connection

from simulations.engine import get_engine

DRAIN_SECONDS = 12.0


@shared_task(ignore_result=True)
def advance_due() -> None:
    """One slice of work; beat sends it twice a second, a slice with work left sends the next."""
    if get_engine().run_slice():
        advance_due.apply_async(expires=5)


@worker_shutdown.connect
@worker_process_shutdown.connect
def drain(**kwargs: Any) -> None:
    """Saves the results of calls that are still under way when a worker is told to stop."""
    get_engine().drain(DRAIN_SECONDS)
    connection.close()
