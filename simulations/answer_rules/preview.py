"""What answer rules take out of a text, and of the latest raw answers, before anything is saved."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from knowledge.diffing import Line, diff_lines
from simulations.answer_rules.current import current_rules
from simulations.models import Simulation
from simulations.sanitizing.cleaner import AnswerCleaner, Cleaning, Removal, presentable
from simulations.sanitizing.phrases import Phrase

LATEST = 50


@dataclass(frozen=True)
class Piece:
    """A part of a text; `removal` is what takes it out, if anything does."""

    text: str
    removal: Removal | None = None


@dataclass(frozen=True)
class TextPreview:
    text: str
    cleaning: Cleaning

    @property
    def answer(self) -> str:
        return presentable(self.cleaning.answer)

    def pieces(self) -> Iterator[Piece]:
        """The whole text, in its order."""
        reached = 0
        for removal in sorted(self.cleaning.removals, key=lambda it: (it.position, -it.end)):
            if removal.end <= reached:
                continue  # taken out of the middle of what another rule took
            yield Piece(self.text[reached : removal.position])
            yield Piece(self.text[max(reached, removal.position) : removal.end], removal)
            reached = removal.end
        yield Piece(self.text[reached:])


@dataclass(frozen=True)
class Effect:
    """What rules make of a stored raw answer; `before` is what the current ones make of it."""

    simulation: Simulation
    before: str
    after: TextPreview

    @property
    def is_change(self) -> bool:
        return self.before != self.after.answer

    @cached_property
    def lines(self) -> list[Line]:
        return diff_lines(self.before, self.after.answer)


@dataclass(frozen=True)
class Count:
    phrase: str
    removals: int
    answers: int


@dataclass(frozen=True)
class Effects:
    effects: Sequence[Effect]

    @property
    def changes(self) -> list[Effect]:
        return [effect for effect in self.effects if effect.is_change]

    @cached_property
    def counts(self) -> list[Count]:
        """What each phrase takes out of them, the most first."""
        phrases = [
            [removal.phrase for removal in effect.after.cleaning.removals]
            for effect in self.effects
        ]
        removals = Counter(phrase for found in phrases for phrase in found)
        answers = Counter(phrase for found in phrases for phrase in set(found))
        return [Count(phrase, count, answers[phrase]) for phrase, count in removals.most_common()]


def preview_text(text: str, phrases: Iterable[Phrase]) -> TextPreview:
    return TextPreview(text, AnswerCleaner(phrases).explain(text))


def preview_latest(phrases: Iterable[Phrase]) -> Effects:
    """On the latest raw answers, those of all users."""
    current, trial = current_rules().cleaner, AnswerCleaner(phrases)
    rows = Simulation.objects.with_raw_answer().order_by("-created_at", "-id")
    return Effects(
        [
            Effect(
                row,
                before=current.answer_of(row.raw_answer),
                after=TextPreview(row.raw_answer, trial.explain(row.raw_answer)),
            )
            for row in rows.only("query", "raw_answer")[:LATEST]
        ]
    )
