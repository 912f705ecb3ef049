"""The Celery app: one periodic task carries all the work, the database holds all the truth."""

import os
from typing import Any

from celery import Celery
from celery.beat import ScheduleEntry, Scheduler

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("sitrep")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


class TickScheduler(Scheduler):
    """Sends nothing while nobody takes it: ticks expire only on receipt, and would fill Redis.

    Keeps its times in memory: after a restart the next tick is simply due.
    """

    MAX_WAITING = 20

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        if self._waiting() < self.MAX_WAITING:
            super().apply_entry(entry, producer)

    def _waiting(self) -> int:
        """How many messages are in the queue; 0 where that can't be asked.

        Whatever is wrong with the broker, beat outlives it: sending says what it is, and goes on.
        """
        queue = self.app.conf.task_default_queue
        try:
            return self.connection.default_channel.queue_declare(queue, passive=True).message_count
        except Exception:
            return 0
