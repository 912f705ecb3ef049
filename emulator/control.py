"""What is not OpenAI's: ledger, counts, settings, webhooks and faults. No key needed."""

from __future__ import annotations

from typing import Any

from emulator import reading
from emulator.calls import Call
from emulator.errors import invalid, wrong_type
from emulator.faults import Fault
from emulator.latency import Latency
from emulator.outcomes import OUTCOMES
from emulator.profiles import PROFILES
from emulator.state import State
from emulator.webhooks import is_secret

SETTINGS = {
    "profile",
    "latency",
    "poll_after_ms",
    "next_answer",
    "next_outcome",
    "count",
    "release",
    "webhook_url",
    "webhook_secret",
}


def healthz(call: Call) -> dict[str, Any]:
    return {"status": "ok"}


def show_ledger(call: Call) -> dict[str, Any]:
    return call.state.ledger(call.now)


def clear_ledger(call: Call) -> dict[str, Any]:
    """Forgets conversations, runs, armed faults and outcomes; the settings stay."""
    call.state.clear()
    return call.state.ledger(call.now)


def show_counts(call: Call) -> dict[str, Any]:
    """Calls received since the last reset, by operation."""
    return dict(call.state.calls)


def show_settings(call: Call) -> dict[str, Any]:
    state = call.state
    return {
        "profile": state.profile.name,
        "latency": state.latency.as_json(),
        "poll_after_ms": state.poll_after_ms,
        "webhook_url": state.webhooks.url,
        "webhook_secret": state.webhooks.secret or None,
        "next_outcomes": list(state.outcomes),
    }


def change_settings(call: Call) -> dict[str, Any]:
    """`profile`; `latency` (of rounds that start from now on: seconds, or an object of the fields
    of `emulator.latency.Latency`); `poll_after_ms` (the header that creates and polls get; null for
    none); `next_answer` (the text of the next answer, in place of a composed one);
    `next_outcome` with `count`; `release` (true: every run in flight is over at once);
    `webhook_url` (null for none) and `webhook_secret`."""
    body, state = call.body, call.state
    unknown = set(body) - SETTINGS
    if unknown:
        raise invalid(f"Unknown setting: {', '.join(sorted(unknown))}.")
    profile = PROFILES[reading.one_of(body, "profile", list(PROFILES), state.profile.name)]
    latency = Latency.from_json(body["latency"]) if "latency" in body else state.latency
    outcomes, answer = _outcomes(body), reading.text(body, "next_answer")
    webhook_url, webhook_secret = _webhook_endpoint(body, state)
    state.webhooks.url, state.webhooks.secret = webhook_url, webhook_secret
    state.profile, state.latency = profile, latency
    state.outcomes.extend(outcomes)
    state.answers.extend([] if answer is None else [answer])
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


def _webhook_endpoint(body: dict[str, Any], state: State) -> tuple[str | None, str]:
    """URL and secret, as they are once the request is carried out."""
    settings = {"webhook_url": state.webhooks.url, "webhook_secret": state.webhooks.secret} | body
    url = reading.text(settings, "webhook_url")
    secret = reading.text(settings, "webhook_secret") or ""
    if url is not None and not reading.is_http_url(url):
        raise wrong_type("webhook_url", "an http or https URL")
    if (secret or url) and not is_secret(secret):
        raise wrong_type("webhook_secret", "'whsec_' followed by base64")
    return url, secret


def show_webhooks(call: Call) -> dict[str, Any]:
    """All deliveries since the last reset, oldest first."""
    return {"deliveries": [delivery.as_json() for delivery in call.state.webhooks.deliveries]}


def show_faults(call: Call) -> dict[str, Any]:
    """Those armed, and every hit since the last reset, oldest first."""
    faults = call.state.faults
    return {"faults": faults.as_json(), "hits": [vars(hit) for hit in faults.hits]}


def arm_fault(call: Call) -> dict[str, Any]:
    call.state.faults.arm(Fault.from_json(call.body))
    return {"faults": call.state.faults.as_json()}


def clear_faults(call: Call) -> dict[str, Any]:
    """The hits stay."""
    call.state.faults.disarm()
    return {"faults": []}
