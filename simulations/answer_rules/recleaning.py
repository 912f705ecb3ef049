"""Cleaning stored raw answers again, by the current rules. Raw answers never change."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from django.db import transaction

from accounts.models import User
from knowledge.diffing import Line, diff_lines
from simulations.answer_rules.current import AnswerRules
from simulations.models import EarlierAnswer, Simulation, SimulationQuerySet

BATCH = 200


@dataclass(frozen=True)
class AnswerChange:
    """A stored answer, and what the rules make of its raw answer instead."""

    simulation: Simulation
    answer: str

    @cached_property
    def lines(self) -> list[Line]:
        return diff_lines(self.simulation.answer, self.answer)


def find_changes(simulations: SimulationQuerySet, rules: AnswerRules) -> Iterator[AnswerChange]:
    """Which answers would be other ones, in the order of their ids; read in batches.

    One that was never cleaned counts also where it stays the same: then that is known.
    """
    answered = simulations.with_raw_answer().order_by("pk")
    rows = answered.select_related(None).only(
        "query", "status", "raw_answer", "answer", "rules_version_id"
    )
    batch = list(rows[:BATCH])
    while batch:
        for simulation in batch:
            answer = rules.cleaner.answer_of(simulation.raw_answer)
            if answer != simulation.answer or simulation.is_uncleaned:
                yield AnswerChange(simulation, answer)
        batch = list(rows.filter(pk__gt=batch[-1].pk)[:BATCH])


def apply_changes(changes: Iterable[AnswerChange], rules: AnswerRules, user: User | None) -> int:
    """Keeps the old answers, and says how many were replaced; in one transaction.

    What somebody else has cleaned meanwhile is left alone.
    """
    with transaction.atomic():
        return sum(_replace(change, rules, user) for change in changes)


def _replace(change: AnswerChange, rules: AnswerRules, user: User | None) -> bool:
    old = change.simulation
    row = Simulation.objects.with_raw_answer().filter(
        pk=old.pk, answer=old.answer, rules_version=old.rules_version_id
    )
    if row.update(answer=change.answer, rules_version=rules.version) != 1:
        return False
    EarlierAnswer.objects.create(
        simulation=old,
        answer=old.answer,
        rules_version_id=old.rules_version_id,
        replaced_by=user,
    )
    return True
