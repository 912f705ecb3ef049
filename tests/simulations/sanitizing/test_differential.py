import json
from random import Random

import pytest

from simulations.sanitizing import sanitize_answer
from tests.simulations.sanitizing.make_vectors import VECTORS, inputs
from tests.simulations.sanitizing.oracle import NODE, ask, joined
from tests.simulations.sanitizing.random_texts import BODY, random_text

pytestmark = pytest.mark.skipif(NODE is None, reason="node, which runs the oracle, is not here")

SEED = 20250
CASES = 3_000


def differences(texts: list[str]) -> list[tuple[str, str, str]]:
    answers = [(text, joined(sanitize_answer(text))) for text in texts]
    return [
        (text, answer, expected)
        for (text, answer), expected in zip(answers, ask(texts), strict=True)
        if answer != expected
    ]


def test_random_texts() -> None:
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
