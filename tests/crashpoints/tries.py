"""One try: a life whose worker is killed at a boundary, and the worker that comes after it."""

import random
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from simulations.models import Run, Simulation
from simulations.providers.client import build_client
from tests.crashpoints import databases
from tests.crashpoints.breakages import BREAKAGES
from tests.crashpoints.children import Ending, run_in_child
from tests.crashpoints.invariants import Ended, is_lost, violations
from tests.crashpoints.lives import LIVES, Life, owner
from tests.crashpoints.probes import Boundary, Kill, Probes
from tests.crashpoints.workers import work
from tests.emulator.process import EmulatorProcess

CHILD_LIMIT = 60.0


@dataclass(frozen=True)
class Try:
    """Without a kill, the boundaries are counted. `broken` names a rule to break."""

    protocol: str
    life: str
    seed: int
    broken: str | None = None
    kill: Kill | None = None

    def with_kill(self, kill: Kill) -> "Try":
        return replace(self, kill=kill)

    def __str__(self) -> str:
        where = f"killed {self.kill}" if self.kill else "not killed"
        return f"{self.protocol} {self.life}, {where}, seed {self.seed}"


@dataclass
class Report:
    """`reached`: whether it came to the boundary. `extra`: runs billed beside those needed."""

    tried: Try
    boundaries: list[Boundary] = field(default_factory=list)
    reached: bool = True
    lost: bool = False
    extra: int = 0
    violations: list[str] = field(default_factory=list)
    log: str = ""


@dataclass(frozen=True)
class Lane:
    """A database and a provider of its own, for one life after the other."""

    database: str
    emulator: EmulatorProcess
    log: Path

    def enter(self) -> None:
        """Of the lane's process: what its children inherit has not connected to anything yet."""
        databases.use(self.database)
        settings.OPENAI_BASE_URL = self.emulator.base_url
        touch(build_client())

    def run(self, tried: Try) -> Report:
        self.log.write_text("")
        self._prepare_emulator(LIVES[tried.life])
        settings.RUN_TIMEOUT = timedelta(seconds=LIVES[tried.life].run_timeout)
        settings.OPENAI_PROTOCOL = tried.protocol
        settings.OPENAI_ASSISTANT_ID = "asst_tests" if tried.protocol == "assistants" else ""
        report = self._report(tried)
        if report.violations:
            report.log = self.log.read_text()
        return report

    def _prepare_emulator(self, life: Life) -> None:
        self.emulator.reset()
        self.emulator.control(latency=life.latency)
        for kind, operation in life.faults:
            self.emulator.arm(kind, operation)

    def _report(self, tried: Try) -> Report:
        first = run_in_child(partial(live, tried), self.log, CHILD_LIMIT)
        if not (first.was_killed or first.code == 0):
            return failed(tried, f"the worker {how(first)}")
        second = run_in_child(partial(finish, tried, self.emulator), self.log, CHILD_LIMIT)
        if second.code:
            return failed(tried, f"the worker after it {how(second)}")
        boundaries = [Boundary(*boundary) for boundary in first.value or []]
        return Report(tried, boundaries, reached=first.was_killed, **second.value)


def touch(client: Any) -> None:
    """Loads what the SDK loads on first use, so that it is not loaded in each child."""
    for resource in (client.responses, client.conversations.items, client.beta.threads.messages):
        resource.with_raw_response  # noqa: B018


def failed(tried: Try, violation: str) -> Report:
    return Report(tried, lost=True, violations=[violation])


def how(ending: Ending) -> str:
    return "had not finished in time" if ending.timed_out else f"ended with {ending.code}"


def live(tried: Try) -> list[tuple[str, int]]:
    """The first child: from the user's question on, until the life is over or it is killed."""
    random.seed(tried.seed)
    databases.clear()
    begin, _ = BREAKAGES[tried.broken]
    begin()
    life = LIVES[tried.life]
    user = owner()
    life.begin(user)
    probes = Probes(tried.kill)
    probes.install()
    work(partial(life.meanwhile, user), probes.pause)
    return [(boundary.name, boundary.ordinal) for boundary in probes.passed]


def finish(tried: Try, emulator: EmulatorProcess) -> dict[str, Any]:
    """The second child: what another worker makes of it, and whether all is well then."""
    random.seed(tried.seed)
    _, follow = BREAKAGES[tried.broken]
    follow()
    life = LIVES[tried.life]
    faults = count_faults(tried.protocol, life)
    user = owner()
    life.after_kill(user)
    work(partial(life.meanwhile, user))
    ended = [
        Ended(
            simulation=simulation,
            ledger=emulator.runs(simulation=str(simulation.pk)),
            ends=life.ends,
            tool_calls=life.tool_calls,
            faults=faults,
            questions=count_questions(simulation, emulator),
        )
        for simulation in Simulation.objects.order_by("created_at")
    ]
    connection.close()
    return {
        "lost": any(is_lost(one) for one in ended),
        "extra": sum(one.extra for one in ended),
        "violations": [violation for one in ended for violation in violations(one)],
    }


def count_faults(protocol: str, life: Life) -> int:
    """How many intents were cut off from the id of their run: by the provider, or by the kill."""
    if protocol == "assistants":
        return 0  # runs can be listed there: none stays lost
    killed = Run.objects.filter(provider_id="", outcome="", fault="").count()
    return killed + len(life.faults)


def count_questions(simulation: Simulation, emulator: EmulatorProcess) -> int | None:
    """In all threads, also those that no row names."""
    conversation = simulation.conversation
    if conversation.protocol != "assistants" or not conversation.provider_id:
        return None
    messages = build_client().beta.threads.messages
    posted = [
        message.metadata or {}
        for thread in emulator.ledger()["conversations"]
        for message in messages.list(thread["id"], limit=100).data
    ]
    return sum(metadata.get("simulation") == str(simulation.pk) for metadata in posted)
