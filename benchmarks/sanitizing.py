"""How the time to clean an answer grows with its length: `python -m benchmarks.sanitizing`.

Four times the text should take about four times as long, whatever the text. Where node is
installed, the regular expressions of the oracle are timed on the same text for comparison.
"""

import json
import subprocess
from collections.abc import Callable
from time import perf_counter

from tests.simulations.sanitizing.hostile import PATTERNS, hostile_text
from tests.simulations.sanitizing.oracle import NODE, PROGRAM
from tests.simulations.sanitizing.seeded import sanitize_answer

SHORT, LONG = 250_000, 1_000_000
NEWLINES = 1_000

TIMED_ORACLE = """
const { answerFor } = await import(process.argv[1]);
const text = JSON.parse(process.argv[2]);
const start = performance.now();
answerFor(text);
console.log((performance.now() - start) / 1000);
"""


def seconds(clean: Callable[[str], str], text: str, rounds: int = 3) -> float:
    return min(_once(clean, text) for _ in range(rounds))


def _once(clean: Callable[[str], str], text: str) -> float:
    start = perf_counter()
    clean(text)
    return perf_counter() - start


def oracle_seconds(text: str) -> float:
    command = [NODE, "--input-type=module", "--eval", TIMED_ORACLE]
    arguments = [PROGRAM.as_uri(), json.dumps(text)]
    done = subprocess.run([*command, *arguments], capture_output=True, check=True)
    return float(done.stdout)


def growth() -> None:
    print(f"{'pattern':<40}{'250 kB':>10}{'1 MB':>10}{'ratio':>8}")
    for name in PATTERNS:
        few, many = (
            seconds(sanitize_answer, hostile_text(name, length)) for length in (SHORT, LONG)
        )
        print(f"{name:<40}{few:>9.3f}s{many:>9.3f}s{many / few:>8.1f}")


def comparison() -> None:
    text = "\n" * NEWLINES
    here, there = seconds(sanitize_answer, text), oracle_seconds(text)
    print(
        f"\n{NEWLINES} newlines: {here:.6f}s here, {there:.3f}s as regular expressions under node,"
        f" {there / here:,.0f} times as long"
    )


if __name__ == "__main__":
    growth()
    if NODE:
        comparison()
