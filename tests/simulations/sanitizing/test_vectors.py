import json
from pathlib import Path

import pytest

from simulations.sanitizing.cleaner import AnswerCleaner
from simulations.sanitizing.phrases import Phrase, PhraseKind
from tests.simulations.sanitizing.oracle import joined
from tests.simulations.sanitizing.seeded import sanitize_answer

VECTORS = json.loads(Path(__file__).with_name("vectors.json").read_text(encoding="ascii"))
PROSE = "Crews restored two of the three feeders before dawn."


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_a_committed_vector_comes_out_the_same(vector: dict[str, str]) -> None:
    assert joined(sanitize_answer(vector["input"])) == vector["output"]


def test_vectors_have_names_of_their_own() -> None:
    assert len({vector["name"] for vector in VECTORS}) == len(VECTORS) >= 400


def test_no_answer_at_all_is_an_empty_one() -> None:
    assert sanitize_answer(None) == ""


def test_a_cleaner_without_phrases_only_tidies() -> None:
    assert AnswerCleaner([]).clean(f"\nWhat It Means\n\n\n\n{PROSE}") == f"What It Means\n\n{PROSE}"


def test_a_cleaner_takes_its_own_phrases_out() -> None:
    cleaner = AnswerCleaner(
        [
            Phrase("Bottom Line (draft)", inside_text=True),
            Phrase("Legal notice", PhraseKind.DISCLAIMER),
        ]
    )

    answer = f"BOTTOM LINE (DRAFT)\n{PROSE} Bottom Line (draft): {PROSE}\n\n> Legal notice\nx"

    assert cleaner.clean(answer) == f"{PROSE} {PROSE}"


def test_a_shorter_phrase_is_tried_where_a_longer_one_fails() -> None:
    cleaner = AnswerCleaner([Phrase("Outlook"), Phrase("Outlook – Week")])

    assert cleaner.clean(f"Outlook - Week:\n{PROSE}") == PROSE
    assert cleaner.clean(f"Outlook\nWeek by week: {PROSE}") == f"Week by week: {PROSE}"
