"""What the list of simulations may be asked for."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.db.models import BooleanField, F, Func, Q, Value
from rest_framework import serializers

from accounts.models import Role, User
from config.errors import Forbidden
from config.serializers import StrictSerializer, TextField
from knowledge.search.query import MAX_LENGTH, MAX_WORDS, split_words
from simulations.listing.paging import Cursor
from simulations.models import (
    ACTIVE,
    TERMINAL,
    Simulation,
    SimulationQuerySet,
    Status,
    sees_all,
)

# Other moments leave the calendar in some time zone.
FIRST, LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


# Simulations that hold a word: so many are looked up and sorted, of more the latest are looked for.
FEW = 1_000


class MomentField(serializers.DateTimeField):
    """A date, or date and time; UTC where it names no zone."""

    def to_internal_value(self, value: Any) -> datetime:
        moment = super().to_internal_value(value)
        if not FIRST <= moment <= LAST:
            raise serializers.ValidationError(f"Use a year from {FIRST.year} to {LAST.year}.")
        return moment


class SimulationFilters(StrictSerializer):
    status = serializers.ChoiceField(
        Status.choices,
        required=False,
        error_messages={"invalid_choice": f"Use one of: {', '.join(Status.values)}."},
    )
    owner = TextField(
        required=False, max_length=150, help_text="A username; for the role `ADMIN` alone."
    )
    created_after = MomentField(required=False, help_text="At this moment or later.")
    created_before = MomentField(required=False, help_text="Before this moment.")
    q = TextField(
        required=False,
        max_length=MAX_LENGTH,
        help_text="Words that are all in the query, in any order. PostgreSQL finds word forms too.",
    )
    cursor = TextField(required=False, help_text="Where a page begins: take `next` as it is.")

    def validate_owner(self, value: str) -> User:
        """Others are not told which usernames there are."""
        if not sees_all(self.context["request"].user):
            raise Forbidden(f"owner: Requires role: {Role.ADMIN}. Without it the list has yours.")
        owner = User.objects.filter(username=value).first()
        if owner is None:
            raise serializers.ValidationError("Nobody has this username. Write it as it is shown.")
        return owner

    def validate_q(self, value: str) -> list[str]:
        words = split_words(value)
        if not 0 < len(words) <= MAX_WORDS:
            raise serializers.ValidationError(f"Give 1 to {MAX_WORDS} words to look for.")
        return words

    def validate_cursor(self, value: str) -> Cursor:
        return Cursor.parse(value)


def matching(simulations: SimulationQuerySet, asked: dict[str, Any]) -> SimulationQuerySet:
    """`asked`: validated SimulationFilters."""
    if "status" in asked:
        simulations = simulations.filter(status=asked["status"])
    if "owner" in asked:
        simulations = simulations.filter(owner=asked["owner"])
    if "created_after" in asked:
        simulations = simulations.filter(created_at__gte=asked["created_after"])
    if "created_before" in asked:
        simulations = simulations.filter(created_at__lt=asked["created_before"])
    return simulations.filter(asks(asked["q"])) if "q" in asked else simulations


class HasWords(Func):
    """PostgreSQL: whether a text holds all the words, as the search of articles compares them."""

    output_field = BooleanField()
    arg_joiner = ")) @@ plainto_tsquery('sitrep', knowledge_plain_words("
    template = "to_tsvector('sitrep', knowledge_plain_words(%(expressions)s))"


def asks(words: Sequence[str]) -> Q:
    """That a simulation's query holds all the words.

    SQLite, which serves one machine, compares plain letters row by row. PostgreSQL would look for
    the latest even of a word that few hold, and read all rows to find them: those few are looked
    up first, which costs a query. What is over and what is active are in different indexes;
    naming both lets it see that.
    """
    if connection.vendor == "sqlite":
        return Q(*[Q(query__icontains=word) for word in words])
    holds: Any = HasWords(F("query"), Value(" ".join(words)))
    condition = Q(holds, status__in=TERMINAL) | Q(holds, status__in=ACTIVE)
    found = Simulation.objects.filter(condition).order_by().values_list("pk", flat=True)
    few = list(found[: FEW + 1])
    return condition if len(few) > FEW else Q(pk__in=few)
