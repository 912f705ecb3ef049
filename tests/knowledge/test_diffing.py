"""The two sides of a diff are the two texts, and what is marked is what changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.diffing import Line, LineKind, diff_lines, diff_words

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


@pytest.mark.timeout(10)
@pytest.mark.parametrize("unit", ["a\n", "a b ", "ab\ncd\n"])
def test_long_texts_are_not_compared_in_square_time(unit: str) -> None:
    diff_lines(unit * 30_000, "b" + unit * 29_999)
