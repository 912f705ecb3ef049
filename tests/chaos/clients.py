"""The users: they ask over the API, insist until they are heard, and look at what isn't theirs."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx2

from tests.chaos.plan import Question
from tests.chaos.world import PASSWORD

TERMINAL = {"COMPLETED", "FAILED", "CANCELLED"}
TIMEOUT = httpx2.Timeout(10, pool=60)
# Gunicorn closes connections that are idle for 2 s.
LIMITS = httpx2.Limits(keepalive_expiry=1)


class Acceptance(NamedTuple):
    """A 202: the simulation it names, and whether as one that was there before."""

    ident: str
    is_replay: bool


@dataclass
class Journal:
    """What the users saw. Simulations by their id, questions by their key.

    `cancelled`: those that users tried to cancel, and whether they were told that it was done.
    """

    accepted: defaultdict[str, list[Acceptance]] = field(default_factory=lambda: defaultdict(list))
    asked: dict[str, Question] = field(default_factory=dict)
    seen: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    finally_seen: dict[str, dict[str, Any]] = field(default_factory=dict)
    quotas: dict[str, int] = field(default_factory=dict)
    cancelled: dict[str, bool] = field(default_factory=dict)
    strangers: Counter[int] = field(default_factory=Counter)
    outages: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)


class User:
    def __init__(self, name: str, url: str, journal: Journal, rng: random.Random) -> None:
        self.name = name
        self.journal = journal
        self.rng = rng
        self.http = httpx2.AsyncClient(base_url=f"{url}/api/v1/", timeout=TIMEOUT, limits=LIMITS)

    async def sign_in(self) -> None:
        body = {"username": self.name, "password": PASSWORD}
        answer = await self.insist("POST", "auth/login", json=body)
        self.http.headers["Authorization"] = f"Bearer {answer.json()['token']}"

    async def ask(self, question: Question, path: str = "simulations") -> str:
        """The simulation's id, once it was accepted: the same question is sent until it is.

        Nothing for a follow-up that comes too late: there is no answer to go on from.
        """
        self.journal.asked[question.key] = question
        body, headers = {"query": question.text}, {"Idempotency-Key": question.key}
        while True:
            answer = await self.insist("POST", path, json=body, headers=headers)
            if answer.status_code == 202:
                ident, is_replay = answer.json()["id"], "Idempotent-Replayed" in answer.headers
                self.journal.accepted[question.key].append(Acceptance(ident, is_replay))
                return ident
            if answer.status_code == 409 and path != "simulations":
                return ""
            self._wonder_at(answer)
            await self._pause()

    async def ask_follow_up(self, ident: str, question: Question) -> str:
        return await self.ask(question, f"simulations/{ident}/follow-ups")

    async def cancel(self, ident: str) -> None:
        """It may be over already."""
        self.journal.cancelled.setdefault(ident, False)
        answer = await self.insist("POST", f"simulations/{ident}/cancel")
        if answer.status_code == 200:
            self.journal.cancelled[ident] = True
        elif answer.status_code != 409:
            self._wonder_at(answer)

    async def follow(self, ident: str) -> None:
        """Until the simulation has ended: not before it is told to, and more and more seldom."""
        seen, patience = self.journal.seen[ident], 1.0
        while not seen or seen[-1] not in TERMINAL:
            answer = await self.insist("GET", f"simulations/{ident}")
            if answer.status_code != 200:
                self._wonder_at(answer)
            elif (status := answer.json()["status"]) not in seen[-1:]:
                seen.append(status)
            await asyncio.sleep(max(patience, float(answer.headers.get("Retry-After", 0))))
            patience = min(4.0, 1.4 * patience)

    async def pry(self, ident: str) -> None:
        """Tries to read and to cancel what somebody else asked."""
        for method, path in [("GET", ""), ("POST", "/cancel")]:
            answer = await self.insist(method, f"simulations/{ident}{path}")
            self.journal.strangers[answer.status_code] += 1

    async def look_back(self) -> None:
        """What is there in the end: the user's own simulations, and how many count."""
        path: str | None = "simulations"
        while path:
            page = (await self.insist("GET", path)).json()
            self.journal.finally_seen |= {row["id"]: row for row in page["results"]}
            path = page["next"]
        me = await self.insist("GET", "me")
        self.journal.quotas[self.name] = me.json()["quota"]["used"]

    async def insist(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Until there is an answer that is no outage's."""
        while True:
            try:
                answer = await self.http.request(method, path, **options)
            except httpx2.TransportError as error:
                self.journal.outages[type(error).__name__] += 1
            else:
                if answer.status_code < 500:
                    return answer
                self.journal.outages[str(answer.status_code)] += 1
            await self._pause()

    async def _pause(self) -> None:
        await asyncio.sleep(self.rng.uniform(0.3, 1.5))

    def _wonder_at(self, answer: httpx2.Response) -> None:
        request = answer.request
        self.journal.unexpected.append(
            f"{request.method} {request.url.path}: {answer.status_code} {answer.text[:200]}"
        )


class Crowd:
    """All users, by number; half of them come in through each of the sites."""

    def __init__(self, urls: list[str], count: int, seed: int) -> None:
        self.journal = Journal()
        self.users = [
            User(
                f"user-{number}",
                urls[number % len(urls)],
                self.journal,
                random.Random(f"{seed} user {number}"),
            )
            for number in range(count)
        ]

    async def sign_in(self) -> None:
        await asyncio.gather(*(user.sign_in() for user in self.users))

    async def live(self, questions: Iterable[Question], start: float) -> None:
        """Until the last question has its answer (`start` as time.monotonic)."""
        async with asyncio.TaskGroup() as group:
            for question in questions:
                await asyncio.sleep(start + question.at - time.monotonic())
                group.create_task(self._see_through(question))

    async def look_back(self) -> None:
        await asyncio.gather(*(user.look_back() for user in self.users))

    async def leave(self) -> None:
        await asyncio.gather(*(user.http.aclose() for user in self.users))

    async def _see_through(self, question: Question) -> None:
        asker, stranger = self.users[question.asker], self.users[question.stranger]
        ident = await asker.ask(question)
        if stranger is not asker:
            await stranger.pry(ident)
        if question.wish == "ask again with the same key":
            await asker.ask(question)
        if question.wish in {"cancel", "follow up"}:
            await asyncio.sleep(question.patience)
        if question.wish == "cancel":
            await asker.cancel(ident)
        if question.wish == "follow up" and (
            next_ident := await asker.ask_follow_up(ident, question.next)
        ):
            await asker.follow(next_ident)
        await asker.follow(ident)
