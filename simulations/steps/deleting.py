"""Deleting at the provider what is deleted here."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from structlog.contextvars import bound_contextvars

from simulations.models import Erasure, RemoteDeletion
from simulations.providers.base import Provider, ProviderError
from simulations.queue.pacing import Pacing
from simulations.steps.base import Step

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=120)
# Doubled with each attempt, from a minute to an hour: twenty attempts take more than half a day.
FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(hours=1)
MAX_ATTEMPTS = 20


class DeleteRemote(Step):
    """Belongs to no simulation: that is gone already."""

    def __init__(self, deletion: RemoteDeletion, pacing: Pacing) -> None:
        self.deletion = deletion
        self.pacing = pacing
        self.row = RemoteDeletion.objects.filter(pk=deletion.pk)

    @property
    def key(self) -> UUID:
        return self.deletion.pk

    @property
    def protocol(self) -> str:
        return self.deletion.protocol

    @contextmanager
    def named(self) -> Iterator[None]:
        with bound_contextvars(step=type(self).__name__):
            yield

    def call(self, provider: Provider) -> bool:
        if self.deletion.kind == RemoteDeletion.Kind.RUN:
            provider.delete_run(self.deletion.provider_id)
            return True
        return provider.delete_conversation(self.deletion.provider_id)

    def apply(self, result: bool) -> None:
        if not result:
            self.row.update(due_at=Now())
            return
        with transaction.atomic():
            if self.row.delete()[0]:
                Erasure.objects.filter(pk=self.deletion.erasure_id).update(
                    remote_deleted=F("remote_deleted") + 1
                )

    def fail(self, error: ProviderError) -> None:
        """What is unknown twice in a row is gone; once, a gateway may have said so."""
        if error.status == 404 and self.deletion.error == error.code:
            self.apply(result=True)
            return
        attempts = self.deletion.attempts + 1
        logger.warning("Could not delete a %s: %s", self.deletion.kind, error.code)
        wait = min(FIRST_WAIT * 2 ** min(attempts - 1, 10), LONGEST_WAIT)
        due_at = Now() + wait if attempts < MAX_ATTEMPTS else None
        self.row.update(attempts=attempts, error=error.code, due_at=due_at)

    def give_back(self) -> None:
        self.row.update(due_at=Now())

    def fail_internally(self) -> None:
        self.row.update(due_at=None, error="internal_error")


def claim_deletions(limit: int, pacing: Pacing) -> list[Any]:
    with transaction.atomic():
        due = RemoteDeletion.objects.filter(due_at__lte=Now()).order_by("due_at")
        rows = list(due.select_for_update(skip_locked=True)[:limit])
        keys = [row.pk for row in rows]
        RemoteDeletion.objects.filter(pk__in=keys).update(due_at=Now() + LEASE)
    return [DeleteRemote(row, pacing) for row in rows]
