"""The two sides of a diff are the two texts, and what is marked is what changed."""

import difflib
import random
import sys
from collections.abc import Callable
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge import diffing
from knowledge.diffing import Budget, Line, LineKind, diff_lines, diff_words

TEXTS = st.text(alphabet="ab \n.-", max_size=60)


def shown(lines: list[Line]) -> list[str]:
    signs = {LineKind.SAME: " ", LineKind.REMOVED: "-", LineKind.ADDED: "+", LineKind.GAP: "…"}
    return [signs[line.kind] + marked(line) for line in lines]


def marked(line: Line) -> str:
    return "".join(f"[{it.text}]" if it.is_changed else it.text for it in line.pieces)


def test_changed_words_are_marked_within_their_line() -> None:
    lines = diff_lines("One.\nThe gate is shut at night.\n", "One.\nThe gate is open at night.\n")
    assert shown(lines) == [
        " One.",
        "-The gate is [shut] at night.",
        "+The gate is [open] at night.",
    ]


def test_lines_that_share_little_are_shown_whole() -> None:
    assert shown(diff_lines("Guards check badges.", "Convoys leave before dawn")) == [
        "-[Guards check badges.]",
        "+[Convoys leave before dawn]",
    ]


def test_unchanged_lines_far_away_are_left_out() -> None:
    text = "\n".join(f"line {number}" for number in range(20))
    lines = shown(diff_lines(text, text.replace("line 9", "line 9\nmore")))
    assert lines == ["…", " line 8", " line 9", "+[more]", " line 10", " line 11", "…"]
    assert diff_lines(text, text) == []


@given(TEXTS, TEXTS)
def test_the_sides_of_a_line_diff_are_the_changed_lines(old: str, new: str) -> None:
    lines = diff_lines(old, new)
    for text, own in ((old, LineKind.REMOVED), (new, LineKind.ADDED)):
        side = ["".join(it.text for it in line.pieces) for line in lines if line.kind == own]
        rest = iter(text.splitlines())
        assert all(line in rest for line in side)  # in this order


@given(TEXTS, TEXTS)
def test_the_sides_of_a_word_diff_are_the_texts(old: str, new: str) -> None:
    removed, added = diff_words(old, new)
    assert "".join(piece.text for piece in removed) == old
    assert "".join(piece.text for piece in added) == new
    same = [
        "".join(it.text for it in side if not it.is_changed and not it.text.isspace())
        for side in (removed, added)
    ]
    assert same[0] == same[1]


def test_each_of_many_lines_shows_the_word_that_it_gained() -> None:
    words = random.Random(1).choices([f"word{number}" for number in range(300)], k=6_000)
    text = "\n\n".join(" ".join(words[start : start + 40]) for start in range(0, 6_000, 40))
    lines = shown(diff_lines(text, text.replace("\n\n", " indeed\n\n")))
    assert len(text) > 40_000
    gained = [line for line in lines if line.startswith("+")]
    assert len(gained) == 149
    assert all(line.endswith("[ indeed]") for line in gained)
    assert not [line for line in lines if line.startswith("-") and "[" in line]


@given(TEXTS, TEXTS, st.integers(0, 60))
def test_what_is_not_compared_any_more_counts_as_changed(old: str, new: str, pairs: int) -> None:
    removed, added = diff_words(old, new, Budget(pairs))
    assert "".join(piece.text for piece in removed) == old
    assert "".join(piece.text for piece in added) == new


PARAGRAPHS = ("para {}\n\n", "para {} changed\n\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [PARAGRAPHS, ("a\n", "a\nb\n"), ("a b ", "b a a "), ("ab\ncd\n", "ab\n")],
)
def test_work_grows_with_the_length_and_not_with_its_cube(
    old: str, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in lines that difflib executes."""
    monkeypatch.setattr(diffing, "MOST_PAIRS", 10_000)

    def texts(length: int) -> list[str]:
        return ["".join(unit.format(n) for n in range(length)) for unit in (old, new)]

    few, many = (executed(lambda n=n: diff_lines(*texts(n))) for n in (50, 200))
    assert many < 5 * few


def executed(call: Callable[[], object]) -> int:
    """How many lines of difflib it takes."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> object:
        nonlocal count
        if frame.f_code.co_filename != difflib.__file__:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count
