"""The endpoints that are not OpenAI's: the ledger, the settings and the faults. No key needed."""

from __future__ import annotations

from typing import Any

from emulator import reading
from emulator.calls import Call
from emulator.errors import invalid
from emulator.faults import Fault
from emulator.outcomes import OUTCOMES
from emulator.profiles import PROFILES

SETTINGS = {"profile", "latency", "poll_after_ms", "next_outcome", "count", "release"}


def healthz(call: Call) -> dict[str, Any]:
    return {"status": "ok"}


def show_ledger(call: Call) -> dict[str, Any]:
    return call.state.ledger(call.now)


def clear_ledger(call: Call) -> dict[str, Any]:
    """Forgets conversations, runs, armed faults and outcomes; the settings stay."""
    call.state.clear()
    return call.state.ledger(call.now)


def show_settings(call: Call) -> dict[str, Any]:
    state = call.state
    return {
        "profile": state.profile.name,
        "latency": state.latency,
        "poll_after_ms": state.poll_after_ms,
        "next_outcomes": list(state.outcomes),
    }


def change_settings(call: Call) -> dict[str, Any]:
    """`profile`; `latency` (seconds, for runs started from now on); `poll_after_ms` (the header
    that polls get; null for none); `next_outcome` with `count`; `release` (true: every run in
    flight is over at once)."""
    body, state = call.body, call.state
    unknown = set(body) - SETTINGS
    if unknown:
        raise invalid(f"Unknown setting: {', '.join(sorted(unknown))}.")
    profile = PROFILES[reading.one_of(body, "profile", list(PROFILES), state.profile.name)]
    latency = reading.non_negative(body, "latency", state.latency)
    outcomes = _outcomes(body)
    state.profile, state.latency = profile, latency if latency is not None else state.latency
    state.outcomes.extend(outcomes)
    if "poll_after_ms" in body:
        wait = body["poll_after_ms"]
        state.poll_after_ms = wait and reading.positive_int(body, "poll_after_ms", 1)
    if body.get("release"):
        state.release(call.now)
    return show_settings(call)


def _outcomes(body: dict[str, Any]) -> list[str]:
    if "next_outcome" not in body:
        return []
    outcome = reading.one_of(body, "next_outcome", OUTCOMES)
    return [outcome] * reading.positive_int(body, "count", 1)


def show_faults(call: Call) -> dict[str, Any]:
    return {"faults": call.state.faults.as_json()}


def arm_fault(call: Call) -> dict[str, Any]:
    call.state.faults.arm(Fault.from_json(call.body))
    return show_faults(call)


def clear_faults(call: Call) -> dict[str, Any]:
    call.state.faults.clear()
    return show_faults(call)
