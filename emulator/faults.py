"""Faults on request: the next matching calls fail the way a network or a provider fails."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from emulator.errors import ApiError, gateway_timeout, invalid, rate_limited, server_error
from emulator.reading import non_negative, one_of, positive_int

BEFORE = ("429", "500", "timeout")
"""Kinds that hit before the call is carried out: nothing of it is in the ledger."""
AFTER = ("drop", "accept_then_hang")
"""Kinds that hit after it: the ledger has it, the client never hears of it."""
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
    count: int = 1
    """How many calls it still hits."""
    retry_after: float | None = None
    """Seconds, for the header of a 429."""
    seconds: float = 30.0
    """How long a `timeout` or `accept_then_hang` hangs before it answers 504."""

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Fault:
        unknown = set(body) - {"kind", "operation", "count", "retry_after", "seconds"}
        if unknown:
            raise invalid(f"Unknown fault parameter: {', '.join(sorted(unknown))}.")
        return cls(
            kind=one_of(body, "kind", BEFORE + AFTER),
            operation=one_of(body, "operation", OPERATIONS, default="any"),
            count=positive_int(body, "count", default=1),
            retry_after=non_negative(body, "retry_after", default=None),
            seconds=non_negative(body, "seconds", default=30.0),
        )

    def matches(self, operation: str) -> bool:
        return self.operation in ("any", operation)

    def refusal(self) -> ApiError:
        """What a call answers that is not carried out, or never answered in time."""
        if self.kind == "429":
            return rate_limited(self.retry_after)
        return server_error() if self.kind == "500" else gateway_timeout()

    async def hang(self) -> None:
        await asyncio.sleep(self.seconds)


class Faults:
    """The armed faults, in the order they were armed."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []

    def arm(self, fault: Fault) -> None:
        self._armed.append(fault)

    def take(self, operation: str) -> Fault | None:
        """The fault this call meets, spent by one."""
        fault = next((fault for fault in self._armed if fault.matches(operation)), None)
        if fault is not None:
            fault.count -= 1
            if fault.count == 0:
                self._armed.remove(fault)
        return fault

    def clear(self) -> None:
        self._armed.clear()

    def as_json(self) -> list[dict[str, Any]]:
        return [asdict(fault) for fault in self._armed]
