"""How long a run takes, from its creation to its end."""

from __future__ import annotations

import math
import random
from dataclasses import asdict, dataclass
from typing import Any

from emulator import reading
from emulator.errors import invalid, wrong_type


@dataclass(frozen=True)
class Latency:
    """Lognormal: half of the runs take less than `median` seconds. Without sigma all take it."""

    median: float
    sigma: float = 0.0
    seed: int = 0

    @classmethod
    def from_json(cls, value: object) -> Latency:
        """From a number, or from an object of the fields above."""
        if not isinstance(value, dict):
            return cls(_number({"latency": value}, "latency"))
        unknown = set(value) - {"median", "sigma", "seed"}
        if unknown:
            raise invalid(f"Unknown latency parameter: {', '.join(sorted(unknown))}.")
        return cls(
            _number(value, "median"),
            _number(value, "sigma", 0.0),
            reading.integer(value, "seed", 0),
        )

    def of(self, text: str) -> float:
        """Seconds; the same for the same text, in whatever order texts arrive."""
        if not self.sigma:
            return self.median
        seed = f"{self.seed}:{text}".encode("utf-8", "surrogatepass")
        return self.median * math.exp(random.Random(seed).gauss(0, self.sigma))  # noqa: S311

    def as_json(self) -> float | dict[str, Any]:
        return asdict(self) if self.sigma else self.median


def _number(body: dict[str, Any], name: str, default: float | None = None) -> float:
    value = reading.non_negative(body, name, default)
    if value is None:
        raise wrong_type(name, "a number that is not negative")
    return value
