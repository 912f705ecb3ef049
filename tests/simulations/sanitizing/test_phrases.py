"""Phrases that people write: what becomes of them, and that they keep cleaning linear."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.sanitizing.cleaner import AnswerCleaner
from simulations.sanitizing.phrases import (
    LONGEST_PHRASE,
    Phrase,
    PhraseKind,
    check_phrase,
    normalize_phrase,
)

PROSE = "Crews restored two of the three feeders before dawn."


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("  Key \t Points ", "Key Points"),
        ("Key Points:", "Key Points"),
        ("Key Points — ", "Key Points"),
        ("Red Team - Notes", "Red Team – Notes"),
        ("Red Team — – Notes", "Red Team – Notes"),
        ("Follow-up", "Follow-up"),
        ("Re\u0301sume\u0301", "R\u00e9sum\u00e9"),
        (" :- ", ""),
    ],
)
def test_a_phrase_is_normalized(text: str, phrase: str) -> None:
    assert normalize_phrase(text) == phrase
    assert normalize_phrase(phrase) == phrase


@pytest.mark.parametrize(
    ("phrase", "problem"),
    [
        ("", "Write the words"),
        ("## Summary", "not with “#”"),
        ("(Draft) note", "not with “(”"),
        ("2026", "at least 2 letters"),
        ("Sum\u202emary", "U+202E"),
        ("Sum\u200bmary", "U+200B"),
        ("Sum\x1bmary", "U+001B"),
        ("Sum\ud800mary", "U+D800"),
    ],
)
def test_what_can_not_be_a_phrase_says_why(phrase: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        check_phrase(phrase)


def test_a_phrase_is_no_regular_expression() -> None:
    cleaner = AnswerCleaner([Phrase("Wh.t [a-z]+ (draft)?", inside_text=True)])
    assert cleaner.clean(f"What abc draft {PROSE}") == f"What abc draft {PROSE}"
    assert cleaner.clean(f"WH.T [A-Z]+ (Draft)?: {PROSE}") == PROSE


def test_letters_of_all_languages_are_found_in_either_case() -> None:
    cleaner = AnswerCleaner([Phrase("Übersicht für Leser"), Phrase("摘要"), Phrase("Risk Note")])
    assert cleaner.clean(f"# ÜBERSICHT FÜR LESER:\n{PROSE}\n摘要\n") == PROSE
    assert cleaner.clean(f"Ri\u017fk Note\n{PROSE}") == f"Ri\u017fk Note\n{PROSE}"


def is_phrase(text: str) -> bool:
    try:
        check_phrase(text)
    except ValueError:
        return False
    return True


letters = st.text(st.sampled_from("aAbé1.#:-–— ()*>\\[]^$|?+{}"), min_size=1, max_size=12)
phrases = letters.map(normalize_phrase).filter(is_phrase)
rules = st.builds(Phrase, phrases, st.just(PhraseKind.HEADER), st.booleans()) | st.builds(
    Phrase, phrases, st.just(PhraseKind.DISCLAIMER)
)


@settings(max_examples=200, deadline=None)
@given(st.lists(rules, max_size=4), st.data())
def test_any_phrases_are_taken_out_and_explained(
    written: list[Phrase], data: st.DataObject
) -> None:
    parts = st.sampled_from([*(rule.text for rule in written), "\n", "\n\n", " ", "# ", "> ", "x"])
    text = "".join(data.draw(st.lists(parts, max_size=12))) + PROSE
    cleaner = AnswerCleaner(written)
    cleaning = cleaner.explain(text)
    assert cleaning.answer == cleaner.clean(text)
    assert all(removal.phrase for removal in cleaning.removals)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("middle", ["Aa ", "Aa", "1. Aa - ", "Aa\n", "# Aa 1:\n\n", "Aa – Aa  "])
def test_long_texts_of_what_the_phrases_are_made_of(middle: str) -> None:
    """In the square of the length, it would take far longer."""
    headers = ["Aa", "Aa – Aa", "Aa Aa Aa", "A1 Aa", "1 Aa", "A" * LONGEST_PHRASE]
    written = [Phrase(text, inside_text=index % 2 == 1) for index, text in enumerate(headers)]
    written += [Phrase("Aa – Ab", PhraseKind.DISCLAIMER), Phrase("Ab", PhraseKind.DISCLAIMER)]
    AnswerCleaner(written).explain("x" + middle * (300_000 // len(middle)) + "x")
