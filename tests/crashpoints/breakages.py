"""Rules broken on purpose, in the harness's children alone, to see that it finds it out."""

from collections.abc import Callable
from typing import Any

from django.db import models

from simulations.models import Run, Simulation


def nothing() -> None:
    """All rules hold."""


def forget_intents() -> None:
    """As if the money gate kept its intent in memory: the next worker finds none."""
    Simulation.objects.filter(run__provider_id="", run__outcome="").update(run=None)
    Run.objects.filter(provider_id="", outcome="").delete()


def drop_run_ids() -> None:
    _drop("provider_id")


def drop_faults() -> None:
    _drop("fault")


def _drop(column: str) -> None:
    """From now on in this process, UPDATEs of runs leave the column as it is."""
    update = models.QuerySet.update

    def incomplete(rows: models.QuerySet[Any], **fields: Any) -> int:
        if rows.model is Run:
            fields.pop(column, None)
        return update(rows, **fields) if fields else rows.count()

    models.QuerySet.update = incomplete


# What is called first in the worker that is killed, and in the one after it.
BREAKAGES: dict[str | None, tuple[Callable[[], None], Callable[[], None]]] = {
    None: (nothing, nothing),
    "intent": (nothing, forget_intents),
    "run-id": (drop_run_ids, drop_run_ids),
    "fault": (drop_faults, drop_faults),
}
