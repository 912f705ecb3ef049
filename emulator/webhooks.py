"""Webhooks as OpenAI sends them: one event when a background response is over."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from emulator.posting import Poster
from emulator.runs import TERMINAL, Run

RETRY_AFTER = (1, 5, 30)
"""Seconds before the second, third and fourth attempt; there is no fifth."""
AT_A_TIME = 16
KEY_PREFIX = "whsec_"
USER_AGENT = "OpenAI/1.0 (+https://platform.openai.com/docs/webhooks)"


def is_secret(value: str) -> bool:
    try:
        return value.startswith(KEY_PREFIX) and bool(_key(value))
    except ValueError:
        return False


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(KEY_PREFIX), validate=True)


def signed_headers(secret: str, ident: str, body: bytes) -> dict[str, str]:
    """The headers of Standard Webhooks, which sign the id, the time and the body."""
    timestamp = str(int(time.time()))
    signed = b".".join([ident.encode(), timestamp.encode(), body])
    signature = base64.b64encode(hmac.digest(_key(secret), signed, "sha256")).decode()
    return {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        "webhook-id": ident,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }


@dataclass
class Delivery:
    """One event on its way, through all its attempts."""

    run_id: str
    type: str
    created_at: float
    id: str = field(default_factory=lambda: f"evt_{uuid.uuid4().hex}")
    attempts: int = 0
    delivered_at: float | None = None

    def body(self) -> bytes:
        event = {
            "id": self.id,
            "object": "event",
            "created_at": int(self.created_at),
            "type": self.type,
            "data": {"id": self.run_id},
        }
        return json.dumps(event).encode()

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "run": self.run_id,
            "type": self.type,
            "attempts": self.attempts,
            "delivered_at": self.delivered_at,
        }


class Webhooks:
    """Sends an event for each watched run, once it is over, to the URL there is by then.

    Each run in flight costs one timer; no run is looked at before its time.
    """

    def __init__(self) -> None:
        self.url: str | None = None
        self.secret = ""
        """`whsec_` and base64; there is one whenever there is a URL."""
        self.deliveries: list[Delivery] = []
        self._timers: dict[str, asyncio.TimerHandle] = {}
        """By what they wait for: a run's end or a delivery's next attempt."""
        self._waiting: deque[Delivery] = deque()
        self._senders: set[asyncio.Task[None]] = set()
        self._poster = Poster()

    def watch(self, run: Run) -> None:
        """Call it whenever a run's end was set: the last word counts."""
        if timer := self._timers.pop(run.id, None):
            timer.cancel()
        background = run.protocol == "responses" and run.request.get("background")
        if background and run.outcome in TERMINAL:
            self._later(run.id, run.ready_at - time.time(), lambda: self._announce(run))

    def clear(self) -> None:
        """Forgets runs and deliveries, those on their way too."""
        for pending in (*self._timers.values(), *self._senders):
            pending.cancel()
        self._timers.clear()
        self._senders.clear()
        self._waiting.clear()
        self.deliveries.clear()

    def _later(self, key: str, delay: float, action: Callable[[], None]) -> None:
        def act() -> None:
            del self._timers[key]
            action()

        loop = asyncio.get_running_loop()
        self._timers[key] = loop.call_later(max(0.0, delay), act)

    def _announce(self, run: Run) -> None:
        now = time.time()
        if not run.is_over(now):  # timers may be early by a millisecond
            self.watch(run)
        elif self.url is not None:
            delivery = Delivery(run.id, f"response.{run.outcome}", now)
            self.deliveries.append(delivery)
            self._enqueue(delivery)

    def _enqueue(self, delivery: Delivery) -> None:
        self._waiting.append(delivery)
        if len(self._senders) < AT_A_TIME:
            self._senders.add(asyncio.get_running_loop().create_task(self._send_waiting()))

    async def _send_waiting(self) -> None:
        try:
            while self._waiting:
                await self._attempt(self._waiting.popleft())
        finally:
            self._senders.discard(asyncio.current_task())

    async def _attempt(self, delivery: Delivery) -> None:
        if self.url is None:
            return
        delivery.attempts += 1
        body = delivery.body()
        headers = signed_headers(self.secret, delivery.id, body)
        status = await self._poster.post(self.url, headers, body)
        if status is not None and 200 <= status < 300:
            delivery.delivered_at = time.time()
        elif delivery.attempts <= len(RETRY_AFTER):
            delay = RETRY_AFTER[delivery.attempts - 1]
            self._later(delivery.id, delay, lambda: self._enqueue(delivery))
