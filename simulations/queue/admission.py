"""Who goes next: first come, first served, within a cap for all and one for each user."""

from django.conf import settings
from django.db import connection, transaction
from django.db.models.expressions import RawSQL
from django.db.models.functions import Now

from simulations.models import Simulation
from simulations.prepared import PreparedUpdate, Update

# One number for all processes: whoever holds it is the one that admits.
ADMISSION_LOCK = 7_236_002

# A conversation takes one question at a time, and none while a run of an earlier one is still to
# be ended there. `place` counts a user's own queue, so that the cap holds for several at once.
NEXT_IN_LINE = """
WITH flight AS (
    SELECT owner_id, count(*) AS runs
    FROM simulations_simulation WHERE due_at IS NOT NULL GROUP BY owner_id
), queue AS (
    SELECT id, owner_id, created_at,
        row_number() OVER (PARTITION BY owner_id ORDER BY created_at, id) AS place,
        row_number() OVER (PARTITION BY conversation_id ORDER BY created_at, id) AS turn
    FROM simulations_simulation AS waiting
    WHERE status = 'PENDING' AND admitted_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM simulations_simulation AS other
        LEFT JOIN simulations_run AS run
            ON run.simulation_id = other.id AND run.discard_due_at IS NOT NULL
        WHERE other.conversation_id = waiting.conversation_id
            AND (other.due_at IS NOT NULL OR run.id IS NOT NULL)
    )
)
SELECT queue.id FROM queue LEFT JOIN flight ON flight.owner_id = queue.owner_id
WHERE queue.turn = 1 AND queue.place + coalesce(flight.runs, 0) <= %s
ORDER BY queue.created_at, queue.id
LIMIT (SELECT CASE WHEN sum(runs) >= %s THEN 0 ELSE %s - coalesce(sum(runs), 0) END FROM flight)
"""


def admit() -> int:
    """Gives queued simulations their places in flight, as far as the caps allow.

    One statement, one process at a time: what it counts can't change while it counts. On SQLite
    the IMMEDIATE transaction sees to that.
    """
    with transaction.atomic():
        if not _lock():
            return 0
        return admit_next(settings.MAX_RUNS_PER_USER, settings.MAX_RUNS_IN_FLIGHT)


@PreparedUpdate
def admit_next(cap_per_user: int, cap: int) -> Update:
    next_in_line = RawSQL(NEXT_IN_LINE, [cap_per_user, cap, cap])  # noqa: S611
    # Still queued: what was cancelled since the count began stays as it is.
    chosen = Simulation.objects.queued().filter(pk__in=next_in_line)
    return Update(chosen, {"admitted_at": Now(), "due_at": Now()})


def _lock() -> bool:
    """Until the transaction ends; False where another process is admitting just now."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [ADMISSION_LOCK])
        return cursor.fetchone()[0]
