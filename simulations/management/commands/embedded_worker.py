from typing import Any

from celery.beat import EmbeddedService
from django.core.management.base import BaseCommand

from config.celery import TickScheduler, app


class Command(BaseCommand):
    help = "Runs worker and beat in one process, on the in-memory broker: no services needed."

    def handle(self, **options: Any) -> None:
        beat = EmbeddedService(app, thread=True, scheduler_cls=TickScheduler)
        worker = app.Worker(
            pool="threads",
            concurrency=1,
            loglevel="WARNING",
            quiet=True,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        beat.start()
        try:
            worker.start()
        finally:
            beat.stop()
        raise SystemExit(worker.exitcode)
