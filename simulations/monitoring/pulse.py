"""This process's signs of life and counts, kept in memory and written down every few seconds.

The engine's hot paths pay an addition for them. A killed worker takes the last seconds' counts
with it.
"""

import time
from collections import Counter

from django.db import connection, transaction
from django.db.models.functions import Now

from simulations.models import EnginePulse, Tally
from simulations.providers.base import ProviderError, TokenUsage

WRITE_EVERY_SECONDS = 5.0

# In the order of their keys, so that two workers don't wait for each other in a circle.
ADD = """
INSERT INTO simulations_tally (kind, label, total) VALUES (%s, %s, %s)
ON CONFLICT (kind, label) DO UPDATE SET total = simulations_tally.total + excluded.total
"""

Key = tuple[str, str]


class Pulse:
    def __init__(self) -> None:
        self.counts: Counter[Key] = Counter()
        self.seen: set[str] = set()
        self.due_at = 0.0

    def note_claim(self) -> None:
        self.seen.add("claimed_at")

    def note_tick(self) -> None:
        self.seen.add("ticked_at")

    def count_step(self, name: str) -> None:
        self.counts[Tally.Kind.STEPS, name] += 1

    def count_error(self, error: ProviderError) -> None:
        """By our own words and HTTP's: providers make up codes."""
        label = error.code if error.status is None or error.is_busy else f"http_{error.status}"
        self.counts[Tally.Kind.PROVIDER_ERRORS, label] += 1

    def count_tokens(self, usage: TokenUsage) -> None:
        self.counts[Tally.Kind.TOKENS, "input"] += usage.input_tokens or 0
        self.counts[Tally.Kind.TOKENS, "output"] += usage.output_tokens or 0

    def write_if_due(self) -> None:
        if time.monotonic() >= self.due_at:
            self.write()
            self.due_at = time.monotonic() + WRITE_EVERY_SECONDS

    def write(self) -> None:
        """What could not be written is kept for the next time."""
        moments = {"looked_at", *self.seen}
        counts = sorted((*key, count) for key, count in self.counts.items() if count)
        with transaction.atomic():
            EnginePulse.objects.bulk_create(
                [EnginePulse(pk=1, **dict.fromkeys(moments, Now()))],
                update_conflicts=True,
                unique_fields=["id"],
                update_fields=sorted(moments),
            )
            if counts:
                with connection.cursor() as cursor:
                    cursor.executemany(ADD, counts)
        self.counts.clear()
        self.seen.clear()


pulse = Pulse()
"""This process's own. After a fork it is empty still: only workers count."""
