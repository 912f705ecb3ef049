"""What is to happen, all of it from one seed: the questions, the faults, and when."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

# Faults per minute. Each kind is a function of this name in `faults`.
RATES = {
    "kill_worker": 2.0,
    "kill_worker_child": 2.0,
    "kill_beat": 0.8,
    "kill_web": 0.8,
    "kill_web_child": 0.8,
    "freeze_worker": 1.0,
    "stop_redis": 0.4,
    "flush_redis": 0.6,
    "stop_postgresql": 0.4,
    "drop_connections": 0.6,
    "slow_database": 3.0,
    "fail_provider": 12.0,
}

# What users do beside asking, and how often.
WISHES = {
    "answer": 70,
    "ask again with the same key": 8,
    "follow up": 8,
    "use a tool": 8,
    "cancel": 6,
}
TOOL = '[[tool:search_knowledge {"query": "convoy"}]]'

SUBJECTS = [
    "access control at the field office",
    "convoy movement through checkpoints",
    "encryption of staff laptops",
    "kidnap prevention for drivers",
    "the relocation of a warehouse",
]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One run: `simulations` questions over `seconds`, faults after the first `calm` of them.

    `patience`: seconds after the last fault by which everything must have come to its end.
    `run_seconds`: how long half of the provider's runs take at most; few take four times as long.
    `webhooks`: whether the provider tells the site of a run's end, so that polls are sparse.
    `slow_calls`: the share of an operation's calls that take the provider SLOW_SECONDS.
    """

    seed: int = 0
    simulations: int
    seconds: float
    calm: float
    patience: float
    users: int = 20
    run_seconds: float = 1.2
    webhooks: bool = False
    rates: Mapping[str, float] = field(default_factory=lambda: RATES)
    slow_calls: Mapping[str, float] = field(default_factory=lambda: {"start_run": 0.5})

    def questions(self) -> list[Question]:

        rng = self._rng("questions")
        times = sorted(rng.uniform(0, self.seconds) for _ in range(self.simulations))
        return [
            Question(
                at=at,
                number=number,
                key=f"{self.seed}-{number}-{rng.getrandbits(64):016x}",
                asker=rng.randrange(self.users),
                stranger=rng.randrange(self.users),
                subject=rng.choice(SUBJECTS),
                wish=rng.choices(list(WISHES), list(WISHES.values()))[0],
                patience=rng.uniform(0, 3),
            )
            for number, at in enumerate(times, start=1)
        ]

    def faults(self) -> list[Fault]:
        """A Poisson process for each kind, in which at least one fault happens."""
        faults = []
        for kind, rate in self.rates.items():
            rng = self._rng(kind)
            times = list(poisson(rng, rate / 60, self.calm, self.seconds))
            times = times or [rng.uniform(self.calm, self.seconds)]
            faults += [Fault(at, kind, rng.getrandbits(32)) for at in times]
        return sorted(faults, key=lambda fault: fault.at)

    def _rng(self, purpose: str) -> random.Random:
        return random.Random(f"{self.seed} {purpose}")


@dataclass(frozen=True)
class Question:
    """`at`: seconds after the start. `key`: for the header Idempotency-Key.

    `wish`: one of WISHES. `patience`: seconds before a user cancels or asks a follow-up.
    """

    at: float
    number: int
    key: str
    asker: int
    stranger: int
    subject: str
    wish: str
    patience: float

    @property
    def text(self) -> str:
        """Different for each question, so that its rows can be told from all others."""
        tool = TOOL if self.wish == "use a tool" else ""
        return f"Question {self.key}: what matters for {self.subject}? {tool}".strip()

    @property
    def next(self) -> Question:
        """What is asked after it in the same conversation."""
        return replace(self, key=f"{self.key}-next", wish="answer")


@dataclass
class Fault:
    """`at`: seconds after the start. `seed`: for all that is chosen when it happens.

    `began` and `ended` (Unix times) and the rest are written down while it happens.
    """

    at: float
    kind: str
    seed: int
    target: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    began: float | None = None
    ended: float | None = None


def poisson(rng: random.Random, per_second: float, start: float, end: float) -> Iterator[float]:
    at = start
    while (at := at + rng.expovariate(per_second)) < end:
        yield at
