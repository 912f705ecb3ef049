"""Two hundred analysts watch their questions while twenty ask new ones, all at once.

On PostgreSQL and Redis instances of its own where they are installed, with web, two workers and
beat as processes; the provider is the emulator. `--restarts` restarts web, a worker, beat, Redis
and PostgreSQL one after another meanwhile, tells how long each takes to recover, and makes sure
that every question that was accepted is answered.
"""

import argparse
import asyncio
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

import httpx2

from benchmarks.load_parts.site import Site
from tests.chaos.services import missing

WATCHERS, SUBMITTERS = 200, 20
# Seconds between two questions. Between two refreshes of a page it is the page that says so.
PAUSE = (0.5, 1.5)
SEEN = re.compile(r"\?seen=([^\"&]+)")
POLL_AFTER = re.compile(r'data-poll-after="(\d+)"')
CALM_SECONDS = 30
# Between one restart and the next: the site comes back to rest.
REST_SECONDS = 10
RECOVERY_LIMIT = 120.0
HTMX = {"HX-Request": "true"}
RESTARTED = ["web", "worker-1", "beat", "redis", "postgresql"]


@dataclass
class Tally:
    """Seconds of requests that were answered as they should be, and what became of the others."""

    seconds: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def percentile(self, share: float) -> float:
        ordered = sorted(self.seconds) or [float("nan")]
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    def report(self, name: str) -> None:
        count = len(self.seconds) + self.errors.total()
        rate = self.errors.total() / count if count else 0
        p50, p95 = (self.percentile(share) * 1000 for share in (0.5, 0.95))
        print(
            f"{name:16} {count:6} requests  p50 {p50:5.0f} ms  p95 {p95:5.0f} ms  "
            f"errors {rate:.2%} {dict(self.errors) or ''}"
        )


class Load:
    def __init__(self, site: Site) -> None:
        self.site = site
        self.refreshes, self.submits = Tally(), Tally()
        self.accepted: list[str] = []
        self.is_over = asyncio.Event()
        # gunicorn closes what is idle for two seconds: a request sent just then would be lost.
        limits = httpx2.Limits(max_connections=WATCHERS + SUBMITTERS, keepalive_expiry=0.5)
        self.client = httpx2.AsyncClient(base_url=site.url, timeout=30, limits=limits)

    async def run(self, meanwhile: Callable[[], Awaitable[None]]) -> None:
        for user in self.site.users[:WATCHERS]:
            await self._open(user)
        tasks = [
            *(asyncio.create_task(self._watch(user)) for user in self.site.users[:WATCHERS]),
            *(asyncio.create_task(self._submit(user)) for user in self.site.users[WATCHERS:]),
        ]
        await meanwhile()
        self.is_over.set()
        await asyncio.gather(*tasks)
        await self.client.aclose()

    async def _open(self, user: dict[str, str]) -> None:
        """The page that is then watched."""
        cookie = {"Cookie": f"sessionid={user['session']}"}
        page = await self.client.get(f"/simulations/{user['simulation']}/", headers=cookie)
        user["seen"] = SEEN.search(page.text)[1]

    async def _watch(self, user: dict[str, str]) -> None:
        path = f"/simulations/{user['simulation']}/status/"
        pause = random.uniform(0, 2)
        while not self.is_over.is_set():
            await asyncio.sleep(pause)
            address = f"{path}?seen={user['seen']}"
            response = await self._timed(
                self.refreshes, {200, 204}, "GET", address, user, headers=HTMX
            )
            if response and response.status_code == 204:
                pause = float(response.headers["Retry-After"])
            elif response:
                user["seen"] = SEEN.search(response.text)[1]
                pause = float(POLL_AFTER.search(response.text)[1])

    async def _submit(self, user: dict[str, str]) -> None:
        token = "x" * 32
        number = 0
        while not self.is_over.is_set():
            number += 1
            body = {"query": f"Who checks badges? {number}", "csrfmiddlewaretoken": token}
            response = await self._timed(
                self.submits, {302}, "POST", "/simulations/new/", user, data=body, csrf=token
            )
            if response:
                self.accepted.append(str(UUID(response.headers["Location"].split("/")[2])))
            await asyncio.sleep(random.uniform(*PAUSE))

    async def _timed(
        self,
        tally: Tally,
        expected: set[int],
        method: str,
        path: str,
        user: dict[str, str],
        *,
        csrf: str = "",
        headers: dict[str, str] | None = None,
        data: dict[str, str] | None = None,
    ) -> httpx2.Response | None:
        cookie = f"sessionid={user['session']}" + (f"; csrftoken={csrf}" if csrf else "")
        headers = (headers or {}) | {"Cookie": cookie}
        start = time.perf_counter()
        try:
            response = await self.client.request(method, path, headers=headers, data=data)
        except httpx2.TransportError as error:
            tally.errors[type(error).__name__] += 1
            return None
        if response.status_code not in expected:
            tally.errors[str(response.status_code)] += 1
            return None
        tally.seconds.append(time.perf_counter() - start)
        return response


async def restart_all(site: Site) -> dict[str, float]:
    """Seconds from the moment each is told to stop until the site does again what it is for."""
    recoveries = {}
    for name in RESTARTED:
        await asyncio.sleep(REST_SECONDS)
        start = time.monotonic()
        await site.restart(name)
        while not await asyncio.to_thread(site.has_recovered, name):
            if time.monotonic() - start > RECOVERY_LIMIT:
                raise TimeoutError(f"{name} did not recover")
            await asyncio.sleep(0.05)
        recoveries[name] = time.monotonic() - start
        print(f"restarted {name:12} recovered after {recoveries[name]:5.1f} s", flush=True)
    await asyncio.sleep(REST_SECONDS)
    return recoveries


async def measure(*, restarts: bool, seconds: float) -> bool:
    """Whether all is well: no error in calm, no accepted question lost at all."""
    async with Site(WATCHERS + SUBMITTERS) as site:
        load = Load(site)

        async def meanwhile() -> None:
            if restarts:
                await restart_all(site)
            else:
                await asyncio.sleep(seconds)

        await load.run(meanwhile)
        lost = await site.settle(load.accepted)
    print(f"\n{WATCHERS} analysts watching, {SUBMITTERS} submitting at once")
    load.refreshes.report("status refresh")
    load.submits.report("submit")
    print(f"accepted {len(load.accepted)}, lost {len(lost)} {json.dumps(lost[:5]) if lost else ''}")
    errors = load.refreshes.errors.total() + load.submits.errors.total()
    return not lost and (restarts or not errors)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--restarts", action="store_true", help="takes three minutes")
    parser.add_argument("--seconds", type=float, default=CALM_SECONDS)
    options = parser.parse_args()
    if reason := missing():
        print(f"Not measured: {reason}.")
        return 0
    return 0 if asyncio.run(measure(restarts=options.restarts, seconds=options.seconds)) else 1


if __name__ == "__main__":
    sys.exit(main())
