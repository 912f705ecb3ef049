"""What is forgotten after how long, and what never is."""

from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.management import call_command
from django.db.models import Model
from django.utils import timezone
from pytest_django import Settings

from accounts.audit import AuditEntry
from accounts.models import User
from simulations import tasks
from simulations.documents.manifest import build_manifest
from simulations.models import (
    Assistant,
    Conversation,
    RemoteDeletion,
    Run,
    Simulation,
    Status,
    ToolCall,
)
from simulations.privacy import retention
from simulations.privacy.retention import RULES, cutoff, forget_batch

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(days=100)


def make(owner: User, age: timedelta = LONG_AGO, **fields: object) -> Simulation:
    conversation = fields.pop("conversation", None) or Conversation.objects.create(
        owner=owner, protocol="responses", provider_id="conv_1"
    )
    simulation = Simulation.objects.create(
        owner=owner,
        assistant=Assistant.objects.get_or_create_default(),
        conversation=conversation,
        query="Why?",
        **{
            "status": Status.COMPLETED,
            "prompt": "PROMPT Why?",
            "raw_answer": "RAW",
            "answer": "CLEAN",
            "created_at": timezone.now() - age,
        }
        | fields,
    )
    run = Run.objects.create(simulation=simulation, provider_id="resp_1", outcome="completed")
    Simulation.objects.filter(pk=simulation.pk).update(run=run)
    ToolCall.objects.create(
        run=run, round=1, position=1, call_id="c", name="n", arguments="A", output="O"
    )
    simulation.refresh_from_db()
    return simulation


@pytest.fixture
def keep_ninety_days(settings: Settings) -> None:
    for setting, _ in RULES.values():
        setattr(settings, setting, 90)


def stored(simulation: Simulation) -> Simulation:
    simulation.refresh_from_db()
    return simulation


@pytest.mark.usefixtures("keep_ninety_days")
@pytest.mark.parametrize("kind", RULES)
def test_only_what_is_too_old_goes_and_is_counted_before(analyst: User, kind: str) -> None:
    make(analyst)
    make(analyst, age=timedelta(days=80))
    for age in (LONG_AGO, timedelta(days=80)):
        entry = LogEntry.objects.create(user=analyst, action_flag=CHANGE, object_repr="x")
        LogEntry.objects.filter(pk=entry.pk).update(action_time=timezone.now() - age)
    assert retention.count_old(kind) == 1
    assert forget_batch(kind) == 1
    assert forget_batch(kind) == 0


@pytest.mark.usefixtures("keep_ninety_days")
def test_the_audit_log_loses_what_is_too_old_alone(analyst: User) -> None:
    """In the command's count as well."""
    AuditEntry.objects.unguarded().delete()
    for name, age in [("old", 100), ("recent", 80)]:
        AuditEntry.objects.create(
            at=timezone.now() - timedelta(days=age),
            actor="system",
            action=AuditEntry.Action.CREATED,
            noun="user",
            object_id="1",
            object_name=name,
            changes={},
        )
    told = StringIO()
    call_command("apply_retention", "--dry-run", stdout=told)
    assert "audit        1" in told.getvalue()
    assert AuditEntry.objects.count() == 2
    assert forget_batch("audit") == 1
    assert [entry.object_name for entry in AuditEntry.objects.all()] == ["recent"]


@pytest.mark.usefixtures("keep_ninety_days")
def test_a_raw_answer_goes_and_the_clean_one_stays(analyst: User) -> None:
    simulation = make(analyst)
    simulation.earlier_answers.create(answer="CLEANED OTHERWISE")
    forget_batch("raw answers")
    assert not simulation.earlier_answers.exists()
    assert (stored(simulation).raw_answer, simulation.answer) == ("", "CLEAN")
    answer = build_manifest(simulation, analyst)["answer"]
    assert (answer["raw"], answer["clean"], answer["removed"]) == (None, "CLEAN", None)


@pytest.mark.usefixtures("keep_ninety_days")
def test_a_prompt_goes_with_what_tools_said(analyst: User) -> None:
    simulation = make(analyst)
    forget_batch("prompts")
    assert (stored(simulation).prompt, simulation.query) == ("", "Why?")
    call = ToolCall.objects.get()
    assert (call.arguments, call.output) == ("", "")


@pytest.mark.usefixtures("keep_ninety_days")
def test_a_simulation_goes_with_what_the_provider_keeps(analyst: User) -> None:
    make(analyst)
    forget_batch("simulations")
    gone: list[type[Model]] = [Simulation, Run, ToolCall, Conversation]
    assert [model.objects.count() for model in gone] == [0, 0, 0, 0]
    kept = RemoteDeletion.objects.values_list("kind", "protocol", "provider_id")
    assert set(kept) == {("run", "responses", "resp_1"), ("conversation", "responses", "conv_1")}


@pytest.mark.usefixtures("keep_ninety_days")
def test_a_conversation_that_goes_on_stays(analyst: User) -> None:
    first = make(analyst)
    later = make(analyst, age=timedelta(0), conversation=first.conversation)
    forget_batch("simulations")
    assert list(Simulation.objects.all()) == [later]
    assert RemoteDeletion.objects.get().kind == "run"


@pytest.mark.usefixtures("keep_ninety_days")
@pytest.mark.parametrize("kind", ["raw answers", "prompts", "simulations"])
def test_what_is_going_on_is_left_alone(analyst: User, kind: str) -> None:
    make(analyst, status=Status.PENDING)
    unwanted = make(analyst)
    Run.objects.filter(simulation=unwanted).update(discard_due_at=timezone.now())
    assert forget_batch(kind) == 0


def test_nothing_is_forgotten_unless_it_is_asked_for(analyst: User) -> None:
    make(analyst)
    assert [forget_batch(kind) for kind in RULES] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("now", "days", "expected"),
    [
        ("2026-03-31T12:00", 7, "2026-03-01T00:00"),
        ("2026-03-31T12:00", 40, "2026-02-19T12:00"),
        ("2026-04-01T00:00", 1, "2026-03-31T00:00"),
    ],
)
def test_the_current_month_is_never_touched(
    monkeypatch: pytest.MonkeyPatch, now: str, days: int, expected: str
) -> None:
    moment = datetime.fromisoformat(f"{now}:00+00:00")
    monkeypatch.setattr(timezone, "now", lambda: moment)
    assert cutoff(days) == datetime.fromisoformat(f"{expected}:00+00:00")


@pytest.mark.usefixtures("keep_ninety_days")
def test_the_command_counts_in_a_dry_run_and_goes_through_all_batches(
    analyst: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for _ in range(5):
        make(analyst)
    told = StringIO()
    call_command("apply_retention", "--dry-run", stdout=told)
    assert "simulations  5" in told.getvalue()
    assert Simulation.objects.count() == 5
    call_command("apply_retention", stdout=told)
    assert Simulation.objects.count() == 0


@pytest.mark.usefixtures("keep_ninety_days")
def test_workers_do_a_batch_at_a_time(analyst: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    monkeypatch.setattr(tasks.get_engine(), "delete_remote", lambda: None)
    for _ in range(3):
        make(analyst)
    tasks.tend_data()
    assert Simulation.objects.count() == 1
