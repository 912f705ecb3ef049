"""Half a megabyte of each pattern: a fraction of a second in linear time, hours in quadratic time.

How long it takes is measured by `benchmarks/sanitizing.py`; here the timeout only tells the two
apart.
"""

import pytest

from tests.simulations.sanitizing.hostile import PATTERNS, hostile_text
from tests.simulations.sanitizing.seeded import sanitize_answer


@pytest.mark.timeout(10)
@pytest.mark.parametrize("name", PATTERNS)
def test_half_a_megabyte(name: str) -> None:
    sanitize_answer(hostile_text(name, 500_000))
