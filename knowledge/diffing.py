"""What differs between two texts, by lines and, within lines that changed, by words. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

CONTEXT = 2  # unchanged lines shown around a change
# Beyond these, comparing would take time in the square of the length: all of it counts as changed.
MOST_LINES = 5_000
MOST_WORDS = 4_000
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


def diff_lines(old: str, new: str) -> list[Line]:
    """The lines that changed, in their surroundings; empty where nothing did."""
    before, after = old.splitlines(), new.splitlines()
    if max(len(before), len(after)) > MOST_LINES:
        return [*_whole(LineKind.REMOVED, before), *_whole(LineKind.ADDED, after)]
    lines: list[Line] = []
    end = 0
    for group in SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(CONTEXT):
        if group[0][1] > end:
            lines.append(Line(LineKind.GAP))
        for _, start, stop, new_start, new_stop in group:
            lines += _diff_block(before[start:stop], after[new_start:new_stop])
        end = group[-1][2]
    if lines and end < len(before):
        lines.append(Line(LineKind.GAP))
    return lines


def diff_words(old: str, new: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Both texts in pieces, with what the other one lacks marked as changed."""
    before, after = WORD.findall(old), WORD.findall(new)
    whole = ((Piece(old, True),) if old else (), (Piece(new, True),) if new else ())
    if max(len(before), len(after)) > MOST_WORDS:
        return whole
    matcher = SequenceMatcher(str.isspace, before, after, autojunk=False)
    if matcher.ratio() < ALIKE:
        return whole
    removed, added = [], []
    for tag, start, stop, new_start, new_stop in matcher.get_opcodes():
        is_changed = tag != "equal"
        removed.append(Piece("".join(before[start:stop]), is_changed))
        added.append(Piece("".join(after[new_start:new_stop]), is_changed))
    return _without_empty(removed), _without_empty(added)


def _diff_block(before: Sequence[str], after: Sequence[str]) -> Iterator[Line]:
    if before == after:
        for text in before:
            yield Line(LineKind.SAME, (Piece(text, False),))
    elif before and after:
        removed, added = diff_words("\n".join(before), "\n".join(after))
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
