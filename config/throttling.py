"""How many requests a minute, counted in the cache; see the README's THROTTLE_ variables.

A window is a minute of the clock. Counting costs no query. Without the cache nothing is counted and
nothing refused: a site that is up is worth more than a limit. With the in-process cache every web
process counts on its own, so that a limit is up to as many times as large as there are of them.

Answers tell how one stands in the header fields of draft-ietf-httpapi-ratelimit-headers.
"""

import logging
import math
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from redis.exceptions import RedisError

from config.errors import AppError

logger = logging.getLogger(__name__)

WINDOW = 60
# Without the cache: how long it is left alone, and how long the log says nothing more about it.
PAUSE = 5
SILENCE = 60


@dataclass(frozen=True)
class Policy:
    """`setting` names the number a minute, 0 for no limit; `counted` says of what."""

    name: str
    setting: str
    counted: str


USER = Policy("user", "THROTTLE_USER", "requests of a user")
TOKEN = Policy("token", "THROTTLE_TOKEN", "requests with a token")
ADDRESS = Policy("address", "THROTTLE_ADDRESS", "requests without sign-in from an address")
SUBMISSIONS = Policy("submissions", "THROTTLE_SUBMISSIONS", "new simulations of a user")
REPLAYS = Policy("replays", "THROTTLE_REPLAYS", "repeated requests of a user")


@dataclass(frozen=True)
class Standing:
    policy: Policy
    limit: int
    remaining: int
    resets_in: int


class TooManyRequests(AppError):
    status_code = 429

    def __init__(self, standing: Standing) -> None:
        super().__init__(
            f"Only {standing.limit} {standing.policy.counted} are accepted a minute. "
            f"Try again in {standing.resets_in} s.",
            headers={"Retry-After": str(standing.resets_in)},
        )


def spend(policy: Policy, who: object) -> None:
    """Counts one request. Raises TooManyRequests for those beyond the limit."""
    limit = getattr(settings, policy.setting)
    if not limit:
        return
    window, elapsed = divmod(now(), WINDOW)
    count = counter.raise_by_one(f"throttle:{policy.name}:{who}:{window:.0f}")
    if count is None:
        return
    resets_in = max(1, math.ceil(WINDOW - elapsed))
    standing = Standing(policy, limit, max(0, limit - count), resets_in)
    standings = standings_of_request.get()
    if standings is not None:
        standings.append(standing)
    if count > limit:
        raise TooManyRequests(standing)


def now() -> float:
    return time.time()


class CacheCounter:
    """Counts while the cache is there; leaves it alone for a while when it is not."""

    def __init__(self) -> None:
        self.paused_until = 0.0
        self.silent_until = 0.0

    def raise_by_one(self, key: str) -> int | None:
        """None: it can't be counted."""
        if time.monotonic() < self.paused_until:
            return None
        try:
            return self._raise_by_one(key)
        except (RedisError, OSError) as error:
            self._give_way(error)
            return None

    def _raise_by_one(self, key: str) -> int:
        try:
            return cache.incr(key)
        except ValueError:  # the first of its window
            return 1 if cache.add(key, 1, timeout=2 * WINDOW) else cache.incr(key)

    def _give_way(self, error: Exception) -> None:
        moment = time.monotonic()
        self.paused_until = moment + PAUSE
        if moment >= self.silent_until:
            self.silent_until = moment + SILENCE
            logger.warning("Requests are not throttled: the cache is away (%s)", error)


counter = CacheCounter()

standings_of_request: ContextVar[list[Standing] | None] = ContextVar("standings", default=None)


class RateLimitMiddleware:
    """Tells how one stands by each policy that a request was counted for."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        standings: list[Standing] = []
        reset = standings_of_request.set(standings)
        try:
            response = self.get_response(request)
        finally:
            standings_of_request.reset(reset)
        if standings:
            response["RateLimit-Policy"] = ", ".join(
                f'"{standing.policy.name}";q={standing.limit};w={WINDOW}' for standing in standings
            )
            response["RateLimit"] = ", ".join(
                f'"{standing.policy.name}";r={standing.remaining};t={standing.resets_in}'
                for standing in standings
            )
        return response
