"""What differs between two texts, by lines and, within lines that changed, by words. Pure."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import Match, SequenceMatcher
from enum import StrEnum
from itertools import accumulate

CONTEXT = 2  # unchanged lines shown around a change
# Pairs of equal tokens that one diff looks at, of lines and of words: about half a second. What
# repeats itself has so many that to look at all of them would take time in the cube of its length.
MOST_PAIRS = 4_000_000
# Below this, the words that two lines share by chance would only confuse.
ALIKE = 0.3

WORD = re.compile(r"\w+|\s+|[^\w\s]")


@dataclass(frozen=True)
class Piece:
    text: str
    is_changed: bool


class LineKind(StrEnum):
    SAME = "same"
    REMOVED = "removed"
    ADDED = "added"
    GAP = "gap"  # unchanged lines that are left out; without pieces


@dataclass(frozen=True)
class Line:
    kind: LineKind
    pieces: tuple[Piece, ...] = ()


@dataclass
class Budget:
    pairs: int = field(default_factory=lambda: MOST_PAIRS)

    def spend(self, pairs: int) -> bool:
        if is_enough := pairs <= self.pairs:
            self.pairs -= pairs
        return is_enough


class BoundedMatcher(SequenceMatcher):
    """Finds the longest matches first; what its budget doesn't suffice for counts as changed."""

    def __init__(
        self,
        is_junk: Callable[[str], bool] | None,
        before: Sequence[str],
        after: Sequence[str],
        budget: Budget,
    ) -> None:
        super().__init__(is_junk, before, after, autojunk=False)
        self.budget = budget
        costs = (1 + len(self.b2j.get(token, ())) for token in before)
        self.cost_up_to = list(accumulate(costs, initial=0))

    def find_longest_match(self, alo: int, ahi: int, blo: int, bhi: int) -> Match:
        if not self.budget.spend(self.cost_up_to[ahi] - self.cost_up_to[alo]):
            return Match(alo, blo, 0)
        return super().find_longest_match(alo, ahi, blo, bhi)


def diff_lines(old: str, new: str) -> list[Line]:
    """The lines that changed, in their surroundings; empty where nothing did."""
    before, after = old.splitlines(), new.splitlines()
    for_words = Budget()
    lines: list[Line] = []
    end = 0
    for group in BoundedMatcher(None, before, after, Budget()).get_grouped_opcodes(CONTEXT):
        if group[0][1] > end:
            lines.append(Line(LineKind.GAP))
        for _, start, stop, new_start, new_stop in group:
            lines += _diff_block(before[start:stop], after[new_start:new_stop], for_words)
        end = group[-1][2]
    if lines and end < len(before):
        lines.append(Line(LineKind.GAP))
    return lines


def diff_words(
    old: str, new: str, budget: Budget | None = None
) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Both texts in pieces, with what the other one lacks marked as changed."""
    before, after = WORD.findall(old), WORD.findall(new)
    matcher = BoundedMatcher(str.isspace, before, after, budget or Budget())
    if matcher.ratio() < ALIKE:
        return (Piece(old, True),) if old else (), (Piece(new, True),) if new else ()
    removed, added = [], []
    for tag, start, stop, new_start, new_stop in matcher.get_opcodes():
        is_changed = tag != "equal"
        removed.append(Piece("".join(before[start:stop]), is_changed))
        added.append(Piece("".join(after[new_start:new_stop]), is_changed))
    return _without_empty(removed), _without_empty(added)


def _diff_block(before: Sequence[str], after: Sequence[str], budget: Budget) -> Iterator[Line]:
    if before == after:
        for text in before:
            yield Line(LineKind.SAME, (Piece(text, False),))
    elif before and after:
        removed, added = diff_words("\n".join(before), "\n".join(after), budget)
        yield from _as_lines(LineKind.REMOVED, removed)
        yield from _as_lines(LineKind.ADDED, added)
    else:
        yield from _whole(LineKind.REMOVED, before)
        yield from _whole(LineKind.ADDED, after)


def _whole(kind: LineKind, lines: Sequence[str]) -> Iterator[Line]:
    for text in lines:
        yield Line(kind, (Piece(text, True),))


def _as_lines(kind: LineKind, pieces: Sequence[Piece]) -> Iterator[Line]:
    line: list[Piece] = []
    for piece in pieces:
        first, *others = piece.text.split("\n")
        line.append(Piece(first, piece.is_changed))
        for text in others:
            yield Line(kind, _without_empty(line))
            line = [Piece(text, piece.is_changed)]
    yield Line(kind, _without_empty(line))


def _without_empty(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    return tuple(piece for piece in pieces if piece.text)
