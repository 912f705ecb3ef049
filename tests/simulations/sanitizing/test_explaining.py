"""The explanation tells what the cleaning does, no more and no less."""

from random import Random

import pytest

from simulations.sanitizing.cleaner import NO_ANALYSIS, Cleaning, Rule
from tests.simulations.sanitizing.hostile import PATTERNS, hostile_text
from tests.simulations.sanitizing.random_texts import random_text
from tests.simulations.sanitizing.seeded import explain_answer, sanitize_answer
from tests.simulations.sanitizing.test_vectors import VECTORS

PROSE = "Crews restored two of the three feeders before dawn."


def facts(cleaning: Cleaning) -> list[tuple[Rule, str, str]]:
    return [(removal.rule, removal.phrase, removal.text) for removal in cleaning.removals]


def test_each_removal_names_its_rule_its_phrase_and_its_place() -> None:
    header, note, disclaimer = "## 1. what it means:", "Interpretive note:", "> **Note on Risk** A."
    raw = f"\r\n{header}\r\n{PROSE} {note} {PROSE}\n\n{disclaimer}\nB."
    cleaning = explain_answer(raw)
    assert cleaning.answer == f"{PROSE} {PROSE}"
    assert facts(cleaning) == [
        (Rule.HEADER_LINE, "What It Means", "\n## 1. what it means:"),
        (Rule.HEADER_INSIDE_TEXT, "Interpretive Note", "Interpretive note: "),
        (Rule.DISCLAIMER, "Note on Risk", "\n\n> **Note on Risk** A.\nB."),
    ]
    for removal in cleaning.removals:
        begins = raw[removal.position :].replace("\r\n", "\n")
        assert begins.startswith(removal.text)
    taken = sum(len(removal.text) for removal in cleaning.removals)
    assert len(raw) == len(cleaning.answer) + taken + cleaning.white_space


def test_the_longest_phrase_is_named() -> None:
    [removal] = explain_answer(f"Red Team - Consideration\n{PROSE}").removals
    assert removal.phrase == "Red Team – Consideration"


def test_what_is_too_short_is_shown() -> None:
    cleaning = explain_answer("Executive Summary\nAll quiet.")
    assert (cleaning.answer, cleaning.too_short) == (NO_ANALYSIS, "All quiet.")
    assert explain_answer("") == Cleaning("")


def test_the_explained_answer_is_the_answer() -> None:
    texts = [vector["input"] for vector in VECTORS]
    assert [explain_answer(text).answer for text in texts] == list(map(sanitize_answer, texts))


def test_every_removal_of_a_random_text_is_in_it_and_named() -> None:
    random = Random(2026)
    for _ in range(2_000):
        raw = random_text(random)
        cleaning = explain_answer(raw)
        assert cleaning.answer == sanitize_answer(raw)
        assert cleaning.white_space >= 0
        for removal in cleaning.removals:
            assert removal.phrase
            assert raw[removal.position] in {removal.text[0], "\r"}


@pytest.mark.timeout(10)
@pytest.mark.parametrize("name", PATTERNS)
def test_half_a_megabyte(name: str) -> None:
    explain_answer(hostile_text(name, 500_000))
