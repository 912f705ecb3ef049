"""What the pages show in tests and pictures: the seed articles, and a year of simulations.

The same in each process: made by Django's test runner, or through the product's own shell.
"""

import random
import time
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from accounts.audit import AuditEntry
from accounts.models import ApiToken, Module, Role, User
from accounts.sessions import BEGAN, BROWSER, SessionStore
from knowledge.models import Article, Keyword
from simulations.answer_rules.current import current_rules
from simulations.models import Agent, Assistant, Conversation, Price, Run, Simulation, Status
from simulations.turns.building import ground
from tests.pages.table import (
    AGENT,
    ANSWERED,
    AUDITED,
    CANCELLED,
    DRAFT,
    FAILED,
    FOLLOWED_UP,
    LEAVING,
    QUEUED,
    RUNNING,
)

QUESTION = (
    "We open a field office with twelve staff next month. How do we improve access control and "
    "encryption before the first visitors come, and who should answer for it?"
)
QUESTIONS = [
    "Four staff move by road between two field offices next week. Which threats matter most on "
    "convoy movement, and what should stop us from leaving?",
    "Is our evacuation plan for the northern compound realistic if the airport closes?",
    "What do we tell families during the first day of an abduction?",
    "Which residential security measures fit a shared flat in the capital?",
    "How should we report an incident at a checkpoint, and to whom?",
    "A demonstration is announced on our street for Friday. Do we close the office?",
    "Which medical evacuation arrangements does a two-week mission need?",
    "How do we protect laptops and phones against digital threats on the way?",
]
ANSWER = """\
### What to do first

Start with **who may come in**. Most losses at new field offices come through the front door, not \
over the wall.

1. **Issue photo badges** to all twelve staff, and make the guard check them at each entry.
2. Keep one visitors' log, and escort visitors from the gate to the person they visit.
3. Encrypt every laptop and phone *before* it leaves headquarters.

| Measure | Answers for it | By |
| --- | --- | --- |
| Badges and visitors' log | Office manager | Day 1 |
| Disk encryption | IT focal point | Before travel |
| Key register | Security focal point | Week 2 |

### Who should answer for it

The head of office answers for the whole. Review the measures after the first month:

- Who entered without a badge, and why?
- Which devices are `not encrypted`?

> A measure that nobody checks is a sign on a door.
"""
PAST = 240
MONTH = timedelta(days=30)


@transaction.atomic
def build_world() -> None:
    """All at once: a worker that runs beside it must not see what is not finished."""
    call_command("seed_knowledge", verbosity=0)
    cast = make_cast()
    assistants = [
        Assistant.objects.get_or_create_default(),
        Assistant.objects.create(name="Travel desk"),
    ]
    make_past([*cast.values()], assistants)
    make_present(cast["analyst"], assistants[0])
    ApiToken.objects.create(user=cast["analyst"], name="Weekly report")
    sign_in_on_a_phone(cast["analyst"])
    make_draft(cast["admin"])
    make_audit_entry()
    make_agents(cast["analyst"], cast["admin"])


def sign_in_on_a_phone(user: User) -> None:
    session = SessionStore()
    session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
    session[BEGAN], session[BROWSER] = int(time.time()) - 9000, "Safari on iPhone"
    session.save()


def make_audit_entry() -> None:
    changes = {"role": ["ANALYST", "ADMIN"], "monthly_simulation_limit": [50, 200]}
    changes |= {"modules": [[], ["simulations"]], "email": [None, "planner@example.org"]}
    AuditEntry.objects.create(
        pk=AUDITED,
        actor="admin",
        action="changed",
        noun="user",
        object_id="5",
        object_name="planner",
        changes=changes,
    )


def make_agents(owner: User, admin: User) -> None:
    agent = Agent.objects.create(
        pk=AGENT,
        name="Weekly check of convoy routes",
        query=QUESTIONS[0],
        owner=owner,
        schedule="30 7 * * 1-5",
        time_zone="Africa/Nairobi",
    )
    Agent.objects.create(name="Evacuation plan, on request", query=QUESTIONS[1], owner=owner)
    done = owner.simulations.exclude(finished_at=None).order_by("-created_at")[:3]
    for simulation in reversed(done):
        agent.runs.create(
            simulation=simulation, since=simulation.created_at, at=simulation.created_at
        )
    agent.runs.filter(simulation=done[0]).update(started_by=admin)
    for _ in range(3):
        agent.note_skip("Monthly simulation limit reached: 200 of 200 used. It resets soon.")


def make_draft(author: User) -> None:
    text = "# Crossing rivers\n\nEveryone wears a life vest before they step on a pontoon.\n"
    draft = Article(
        pk=DRAFT, slug="pontoon-001", title="Crossing Rivers by Pontoon", category="Movement"
    )
    for draft.text in [text, f"{text}\nOne vehicle at a time.\n"]:
        draft._history_user = author
        draft.save()
    Keyword.objects.create(phrase="pontoon").links.create(article=draft)


def make_cast() -> dict[str, User]:
    modules = {"trainee": [Module.SIMULATIONS]}
    for name in ["admin", "analyst", "trainee", "planner", "watch-officer"]:
        role = Role.ADMIN if name == "admin" else Role.ANALYST
        defaults = {"role": role, "modules": modules.get(name, Module.values)}
        defaults |= {"pk": LEAVING} if name == "watch-officer" else {}
        User.objects.get_or_create(username=name, defaults=defaults)
    return {user.username: user for user in User.objects.exclude(username="trainee")}


def make_past(owners: list[User], assistants: list[Assistant]) -> None:
    """A year of questions that are over; the analyst asks most of them."""
    chance = random.Random(7)
    now = timezone.now()
    made = []
    for number in range(PAST):
        asked = now - 12 * MONTH * chance.random() ** 1.5 - timedelta(hours=3)
        took = timedelta(seconds=min(90, chance.lognormvariate(3.1, 0.5)))
        status = chance.choices(
            [Status.COMPLETED, Status.FAILED, Status.CANCELLED], weights=[90, 7, 3]
        )[0]
        owner, assistant = chance.choice(owners), chance.choices(assistants, weights=[3, 1])[0]
        made.append(
            Simulation(
                owner=owner,
                assistant=assistant,
                conversation=Conversation(owner=owner, protocol="responses"),
                status=status,
                query=QUESTIONS[number % len(QUESTIONS)],
                answer=ANSWER if status == Status.COMPLETED else "",
                tokens_used=chance.randrange(900, 5200) if status == Status.COMPLETED else None,
                created_at=asked,
                admitted_at=asked,
                started_at=asked + timedelta(seconds=1),
                finished_at=asked + took,
            )
        )
    Conversation.objects.bulk_create(simulation.conversation for simulation in made)
    Simulation.objects.bulk_create(made)
    Run.objects.bulk_create(run_of(simulation) for simulation in made)
    Price.objects.bulk_create(
        Price(model="gpt-5.1", valid_from=(now - days).date(), input_price=price, output_price=10)
        for days, price in [(13 * MONTH, 2), (3 * MONTH, Decimal("1.25"))]
    )


def run_of(simulation: Simulation) -> Run:
    """Of one that is over; it is known to have used tokens where there is an answer."""
    tokens = simulation.tokens_used
    return Run(
        simulation=simulation,
        model="gpt-5.1",
        requested_at=simulation.created_at,
        finished_at=simulation.finished_at,
        outcome=simulation.status.lower(),
        input_tokens=tokens and tokens - 600 + tokens % 300,
        output_tokens=tokens and 600 - tokens % 300,
        total_tokens=tokens,
    )


def make_present(analyst: User, assistant: Assistant) -> None:
    """One of each state. What is in flight is due tomorrow, so that no worker touches it."""
    now = timezone.now()
    answered = ask(analyst, assistant, ANSWERED, QUESTION, now - timedelta(minutes=12))
    answer(answered, ANSWER, tokens=2841)
    conversation = answered.conversation
    later = now - timedelta(minutes=4)
    followed = ask(analyst, assistant, FOLLOWED_UP, "And who tests it?", later, conversation)
    answer(followed, "The **security focal point** tests it each quarter.", tokens=1204)

    going = ask(analyst, assistant, RUNNING, QUESTIONS[0], now - timedelta(seconds=21))
    start(going, due_at=now + timedelta(days=1))
    waiting = "And what if the bridge is closed?"
    ask(analyst, assistant, QUEUED, waiting, now - timedelta(seconds=4), going.conversation)
    failed = ask(analyst, assistant, FAILED, QUESTIONS[1], now - timedelta(hours=2))
    change(
        failed,
        status=Status.FAILED,
        finished_at=failed.created_at + timedelta(seconds=91),
        error_code="run_timeout",
        error_message="The assistant took too long to answer.",
        error_status=504,
    )
    cancelled = ask(analyst, assistant, CANCELLED, QUESTIONS[5], now - timedelta(days=1))
    finished = cancelled.created_at + timedelta(seconds=8)
    change(cancelled, status=Status.CANCELLED, finished_at=finished)


def ask(
    owner: User,
    assistant: Assistant,
    pk: UUID,
    query: str,
    asked: datetime,
    conversation: Conversation | None = None,
) -> Simulation:
    conversation = conversation or Conversation.objects.create(
        owner=owner, protocol="responses", provider_id=f"conv_{pk.int}"
    )
    return Simulation.objects.create(
        pk=pk,
        owner=owner,
        assistant=assistant,
        conversation=conversation,
        query=query,
        created_at=asked,
    )


def start(simulation: Simulation, due_at: datetime | None) -> Run:
    prompt, citations = ground(simulation)
    for citation in citations:
        citation.save()
    began = simulation.created_at + timedelta(seconds=2)
    run = simulation.runs.create(
        provider_id=f"resp_{simulation.pk.int}",
        assistant_revision=simulation.assistant.revisions.latest(),
        model="gpt-5.1",
        requested_at=began - timedelta(seconds=1),
        accepted_at=began,
    )
    change(
        simulation,
        status=Status.RUNNING,
        prompt=prompt,
        run=run,
        admitted_at=simulation.created_at,
        opened_at=began - timedelta(seconds=1),
        started_at=began,
        round_started_at=began,
        due_at=due_at,
    )
    return run


def answer(simulation: Simulation, text: str, tokens: int) -> None:
    run = start(simulation, due_at=timezone.now() + timedelta(days=1))
    finished = simulation.created_at + timedelta(seconds=34)
    run.outcome, run.finished_at = Run.Outcome.COMPLETED, finished
    run.input_tokens, run.output_tokens, run.total_tokens = tokens - 600, 600, tokens
    run.save()
    change(
        simulation,
        status=Status.COMPLETED,
        raw_answer=f"## Executive summary\n\n{text}",
        answer=text,
        rules_version_id=current_rules().version,
        tokens_used=tokens,
        finished_at=finished,
        due_at=None,
    )


def change(simulation: Simulation, **fields: Any) -> None:
    Simulation.objects.filter(pk=simulation.pk).update(**fields)
    simulation.refresh_from_db()
