"""Faults on request: the next matching calls fail the way a network or a provider fails."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from emulator.errors import (
    ApiError,
    forbidden,
    gateway_timeout,
    invalid,
    invalid_key,
    no_quota,
    not_found,
    rate_limited,
    server_error,
    wrong_type,
)
from emulator.reading import integer, non_negative, one_of, positive_int

BEFORE = ("401", "403", "404", "429", "no_quota", "500", "timeout", "reset")
"""Kinds that hit before the call is carried out: nothing of it is in the ledger."""
AFTER = ("drop", "accept_then_hang", "slow", "truncated")
"""Kinds that hit after it: the ledger has it, the client doesn't hear of it, or late."""
MAX_HITS = 100_000
OPERATIONS = (
    "open_conversation",
    "add_message",
    "start_run",
    "fetch_run",
    "cancel_run",
    "submit_tool_outputs",
    "list",
    "other",
    "any",
)


@dataclass
class Fault:
    kind: str
    operation: str = "any"
    count: int | None = 1
    """How many calls it still hits; None: until it is cleared."""
    probability: float = 1.0
    """With which it hits a matching call."""
    seed: int = 0
    """Of what decides that."""
    retry_after: float | None = None
    """Seconds, for the header of a 429."""
    seconds: float = 30.0
    """How long a `timeout` or `accept_then_hang` hangs before it answers 504, and a `slow` call
    before it answers."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Fault:
        unknown = set(body) - {field.name for field in fields(cls)}
        if unknown:
            raise invalid(f"Unknown fault parameter: {', '.join(sorted(unknown))}.")
        probability = non_negative(body, "probability", default=1.0)
        if probability is None or not 0 < probability <= 1:
            raise wrong_type("probability", "a number above 0 and up to 1")
        endless = probability < 1 and "count" not in body
        return cls(
            kind=one_of(body, "kind", BEFORE + AFTER),
            operation=one_of(body, "operation", OPERATIONS, default="any"),
            count=None if endless else positive_int(body, "count", default=1),
            probability=probability,
            seed=integer(body, "seed", default=0),
            retry_after=non_negative(body, "retry_after", default=None),
            seconds=non_negative(body, "seconds", default=30.0),
        )

    def hits(self, operation: str) -> bool:
        if self.operation not in ("any", operation):
            return False
        return self.probability == 1 or self._random.random() < self.probability

    def refusal(self) -> ApiError:
        """What a call answers that is not carried out, or never answered in time."""
        refusals = {
            "401": invalid_key("sk-revoked"),
            "403": forbidden(),
            "404": not_found("The requested resource was not found."),
            "429": rate_limited(self.retry_after),
            "no_quota": no_quota(),
            "500": server_error(),
        }
        return refusals.get(self.kind) or gateway_timeout()

    async def hang(self) -> None:
        await asyncio.sleep(self.seconds)


@dataclass(frozen=True)
class Hit:
    """A call that met a fault."""

    kind: str
    operation: str
    at: float
    carried_out: bool
    metadata: dict[str, str]
    """Of the request or of the run it is about."""


class Faults:
    """The armed faults, in the order they were armed, and what they have hit."""

    def __init__(self) -> None:
        self.hits: deque[Hit] = deque(maxlen=MAX_HITS)
        self._armed: list[Fault] = []

    def arm(self, fault: Fault) -> None:
        self._armed.append(fault)

    def take(self, operation: str) -> Fault | None:
        """The fault this call meets, spent by one."""
        fault = next((fault for fault in self._armed if fault.hits(operation)), None)
        if fault is not None and fault.count is not None:
            fault.count -= 1
            if fault.count == 0:
                self._armed.remove(fault)
        return fault

    def disarm(self) -> None:
        self._armed.clear()

    def clear(self) -> None:
        """Forgets the hits as well."""
        self.disarm()
        self.hits.clear()

    def as_json(self) -> list[dict[str, Any]]:
        return [asdict(fault) for fault in self._armed]
