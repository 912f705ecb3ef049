import json
from collections.abc import Callable
from random import Random

import pytest

from simulations.sanitizing.cleaner import AnswerCleaner
from simulations.sanitizing.phrases import Phrase
from tests.simulations.sanitizing.make_vectors import VECTORS, inputs
from tests.simulations.sanitizing.oracle import NODE, ask, joined
from tests.simulations.sanitizing.random_texts import BODY, random_text
from tests.simulations.sanitizing.seeded import PHRASES, sanitize_answer

pytestmark = pytest.mark.skipif(NODE is None, reason="node, which runs the oracle, is not here")

SEED = 20250
CASES = 3_000


def differences(texts: list[str]) -> list[tuple[str, str, str]]:
    return differences_of(sanitize_answer, texts)


def differences_of(
    clean: Callable[[str], str], texts: list[str], without: str = ""
) -> list[tuple[str, str, str]]:
    answers = [(text, joined(clean(text))) for text in texts]
    return [
        (text, answer, expected)
        for (text, answer), expected in zip(answers, ask(texts, without), strict=True)
        if answer != expected
    ]


def test_random_texts_come_out_as_in_javascript() -> None:
    random = Random(SEED)
    assert differences([random_text(random) for _ in range(CASES)]) == []


def test_every_character_as_white_space_and_as_a_line_end() -> None:
    characters = map(chr, range(0x10000))
    assert differences([f"x{c}# What It Means{c}:{c}{BODY}{c}" for c in characters]) == []


def test_every_character_as_a_letter_and_as_a_digit() -> None:
    characters = map(chr, range(0x10000))
    text = "Ri{0}k disclaimer a\n\nNote on Ris{0} b\n\n{0}nterpretive Note {0}.What It Means\n"
    assert differences([f"{text.format(c)}{c}. What to Watch\n{BODY}" for c in characters]) == []


def test_vectors_are_those_of_the_oracle() -> None:
    vectors = json.loads(VECTORS.read_text(encoding="ascii"))
    named = [(vector["name"], vector["input"]) for vector in vectors]
    assert named == [(name, joined(text)) for name, text in inputs()]
    assert ask([text for _, text in named]) == [vector["output"] for vector in vectors]


@pytest.mark.parametrize("removed", PHRASES, ids=[phrase.text for phrase in PHRASES])
def test_without_a_rule_exactly_its_phrase_stays(removed: Phrase) -> None:
    clean = AnswerCleaner([phrase for phrase in PHRASES if phrase != removed]).clean
    random = Random(SEED)
    texts = [text for _, text in inputs()] + [random_text(random) for _ in range(CASES)]
    assert differences_of(clean, texts, without=removed.text) == []
    assert any(clean(text) != sanitize_answer(text) for text in texts)
