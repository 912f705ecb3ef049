"""Erasing a person, here and at the provider, and what a receipt says."""

import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from pytest_django import Settings

from accounts.audit import AuditEntry, made_by
from accounts.models import ApiToken, FailedSignIn, Module, User
from simulations import services
from simulations.engine import Engine
from simulations.models import Agent, Conversation, Erasure, RemoteDeletion, Simulation
from simulations.models.agent import obstacle_of
from simulations.privacy import erasing
from simulations.privacy.erasing import carry_on, carry_on_with, request_erasure
from simulations.providers import get_provider
from simulations.queue.admission import admit
from simulations.queue.claims import claim
from simulations.queue.pacing import Pacing
from simulations.steps import Step, next_step
from simulations.steps.deleting import MAX_ATTEMPTS
from tests.conftest import ApiClient, Drive
from tests.emulator.process import EmulatorProcess

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def settle(engine: Engine) -> Callable[[], None]:
    """Minutes of a worker, without the waiting."""

    def until_done(minutes: int = 60) -> None:
        for _ in range(minutes):
            carry_on()
            engine.delete_remote()
            engine.run_slice(0.1)
            if not Erasure.objects.open().exists():
                return
            Simulation.objects.in_flight().update(due_at=Now())
            RemoteDeletion.objects.waiting().exclude(pk__in=engine.under_way()).update(due_at=Now())
            time.sleep(0.02)
        pytest.fail("It is not complete")

    return until_done


def statuses(emulator: EmulatorProcess, paths: list[str]) -> set[int]:
    found = set()
    for path in paths:
        headers = {"Authorization": "Bearer sk-x", "OpenAI-Beta": "assistants=v2"}
        request = urllib.request.Request(f"{emulator.base_url}/{path}", headers=headers)
        try:
            found.add(urllib.request.urlopen(request, timeout=10).status)
        except urllib.error.HTTPError as error:
            found.add(error.code)
    return found


def places(emulator: EmulatorProcess) -> list[str]:
    ledger = emulator.ledger()
    paths = []
    for conversation in ledger["conversations"]:
        kind = "conversations" if conversation["protocol"] == "responses" else "threads"
        paths.append(f"{kind}/{conversation['id']}")
    paths += [f"responses/{run['id']}" for run in ledger["runs"] if run["protocol"] == "responses"]
    return paths


def test_nothing_is_left_here_or_at_the_provider(
    emulator: EmulatorProcess,
    analyst: User,
    outsider: User,
    drive: Drive,
    protocol: str,
    settle: Callable[[], None],
) -> None:
    first = drive(services.submit(analyst, "A first question"))
    drive(services.follow_up(analyst, first, "And then?"))
    ApiToken.objects.create(user=analyst, name="laptop")
    Agent.objects.create(name="Watch", query="What is new?", owner=analyst)
    others = drive(services.submit(outsider, "Another's"))
    theirs = [path for path in places(emulator) if others.conversation.provider_id not in path]
    theirs = [path for path in theirs if others.run.provider_id not in path]
    assert statuses(emulator, theirs) == {200}

    erasure = request_erasure(analyst)
    settle()

    erasure.refresh_from_db()
    assert not User.objects.filter(username="analyst").exists()
    assert list(Simulation.objects.all()) == [others]
    assert list(Conversation.objects.all()) == [others.conversation]
    assert (ApiToken.objects.count(), Agent.objects.count()) == (0, 0)
    assert statuses(emulator, theirs) == {404}
    assert (erasure.simulations, erasure.remote_failed) == (2, 0)
    assert erasure.remote_deleted == len(theirs)
    assert erasure.user is None
    assert not RemoteDeletion.objects.exists()


def test_page_and_worker_at_once_count_everything_once(
    emulator: EmulatorProcess, analyst: User, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "BATCH", 2)
    for number in range(5):
        drive(services.submit(analyst, f"Question {number}"))
    Erasure.objects.create(user=analyst)
    read_before = Erasure.objects.select_related("user").get()
    carry_on()
    carry_on_with(read_before)
    assert Erasure.objects.get().simulations == 4
    carry_on()
    receipt = Erasure.objects.get()
    assert (receipt.simulations, receipt.user) == (5, None)
    carry_on_with(read_before)
    late = Erasure.objects.get()
    assert (late.simulations, late.erased_at) == (5, receipt.erased_at)


def test_what_is_going_on_is_ended_first(
    emulator: EmulatorProcess, analyst: User, engine: Engine, settle: Callable[[], None]
) -> None:
    emulator.control(latency=60)
    simulation = services.submit(analyst, "A long one")
    end = time.monotonic() + 30
    while Simulation.objects.get(pk=simulation.pk).status != "RUNNING":
        assert time.monotonic() < end
        engine.run_slice(0.1)

    erasure = request_erasure(analyst)

    assert erasure.erased_at is None
    assert not User.objects.get(pk=analyst.pk).is_active
    settle()
    assert not Simulation.objects.exists()
    assert emulator.ledger()["runs"][0]["status"] != "completed"


def test_a_provider_that_is_away_is_asked_again(
    emulator: EmulatorProcess, analyst: User, drive: Drive, settle: Callable[[], None]
) -> None:
    drive(services.submit(analyst, "A question"))
    emulator.arm("500", "other", count=3)
    erasure = request_erasure(analyst)
    settle()
    erasure.refresh_from_db()
    assert (erasure.remote_deleted, erasure.remote_failed) == (2, 0)


def test_one_that_refuses_for_good_is_on_the_receipt(
    emulator: EmulatorProcess, analyst: User, drive: Drive, settle: Callable[[], None]
) -> None:
    drive(services.submit(analyst, "A question"))
    erasure = request_erasure(analyst)
    RemoteDeletion.objects.filter(kind="run").update(attempts=MAX_ATTEMPTS - 1)
    emulator.arm("403", "other", count=1)
    RemoteDeletion.objects.filter(kind="conversation").update(due_at=None, error="http_500")
    settle()
    erasure.refresh_from_db()
    assert (erasure.remote_deleted, erasure.remote_failed) == (0, 2)


def sign_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_an_admin_erases_by_typing_the_name(admin: User, analyst: User) -> None:
    content_type = ContentType.objects.get_for_model(User)
    LogEntry.objects.create(
        user=admin,
        action_flag=CHANGE,
        content_type=content_type,
        object_id=analyst.pk,
        object_repr="analyst",
        change_message="analyst@example.org",
    )
    client = sign_in(admin)
    path = f"/admin/accounts/user/{analyst.pk}/erase/"
    assert path in client.get(f"/admin/accounts/user/{analyst.pk}/change/").content.decode()
    assert client.get(path).status_code == 200
    refused = client.post(path, {"username": "outsider"})
    assert refused.status_code == 400
    assert b"Type it as it is above" in refused.content
    assert User.objects.filter(pk=analyst.pk).exists()

    receipt = client.post(path, {"username": "analyst"}, follow=True)

    assert receipt.status_code == 200
    assert not User.objects.filter(pk=analyst.pk).exists()
    assert b"analyst" not in receipt.content
    assert LogEntry.objects.get().object_repr == f"erased user #{analyst.pk}"
    assert LogEntry.objects.get().change_message == ""


CANARIES = ["canary-old", "canary-new", "Canaria", "Serinus", "canary@example.org"]
CANARIES += ["canary-laptop", "canary-agent", "canary-question"]


@pytest.fixture
def canary(admin: User) -> User:
    """Somebody with a trace in all that keeps traces."""
    user = User.objects.create_user(
        "canary-old",
        "canary@example.org",
        "pw",
        first_name="Canaria",
        last_name="Serinus",
        role="ADMIN",
        modules=Module.values,
    )
    ApiClient().post_json("auth/login", {"username": "canary-old", "password": "pw"})
    with made_by(admin):
        user.username, user.email = "canary-new", "canary-new@example.org"
        user.save()
    ApiToken.objects.all().delete()  # its entries tell of the former name
    own = sign_in(user)
    json = {"content_type": "application/json"}
    own.post("/api/v1/auth/tokens", {"name": "canary-laptop"}, **json)
    article = {"slug": "a-001", "title": "A", "category": "C", "text": "T"}
    assert own.post("/api/v1/knowledge/articles", article, **json).status_code == 201
    assert own.post("/api/v1/simulations", {"query": "canary-question"}, **json).status_code == 202
    ApiClient().post_json("auth/login", {"username": "Canary-New", "password": "wrong"})
    ApiClient().post_json("auth/login", {"username": "canary@example.org", "password": "wrong"})
    gone = {"name": "canary-agent", "query": "canary-question", "owner": user}
    Agent.objects.create(**gone)
    Agent.objects.create(**gone | {"name": "canary-agent-2"}).delete()
    kept = Agent.objects.create(name="Watch", query="What is new?", owner=user)
    kept.note_skip(obstacle_of(User(username="canary-new", is_active=False)))
    with made_by(admin):
        kept.owner = admin
        kept.save()
    for model, pk, said in [
        (User, user.pk, "canary-old"),
        (FailedSignIn, 1, "canary-new from 127.0.0.1"),
        (Agent, Agent.objects.get(name="canary-agent").pk, "canary-agent"),
    ]:
        LogEntry.objects.create(
            user=admin,
            action_flag=CHANGE,
            content_type=ContentType.objects.get_for_model(model, for_concrete_model=False),
            object_id=pk,
            object_repr=said,
            change_message=said,
        )
    return user


def everything_stored() -> str:
    with connection.cursor() as cursor:
        stored = []
        tables = set(connection.introspection.table_names(cursor))
        for table in tables - {"knowledge_searchtext"}:  # a way to ask others, not to read it
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            stored.append(f"{table}: {cursor.fetchall()}")
    return "\n".join(stored).lower()


def test_no_table_names_who_was_erased(admin: User, canary: User) -> None:
    stored = everything_stored()
    assert [name for name in CANARIES if name.lower() not in stored] == []
    entries = AuditEntry.objects.count()

    path = f"/admin/accounts/user/{canary.pk}/erase/"
    sign_in(admin).post(path, {"username": "canary-new"})

    assert Erasure.objects.get().erased_at
    stored = everything_stored().splitlines()
    assert [line for line in stored if re.search("canar|serinus", line)] == []
    # What was done, and that one and the same did it, can still be told.
    assert AuditEntry.objects.count() > entries
    pseudonym = f"erased user #{canary.pk}"
    done = AuditEntry.objects.filter(actor=pseudonym, actor_id=canary.pk)
    assert set(done.values_list("noun", "object_name")) >= {
        ("API token", f"API token of {pseudonym}"),
        ("article", "A (a-001)"),
    }
    last = AuditEntry.objects.get(noun="user", action="deleted", object_id=canary.pk)
    assert (last.actor, last.object_name) == ("admin", pseudonym)
    assert (last.changes["email"], last.changes["role"]) == ([pseudonym, None], ["ADMIN", None])
    handed_over = AuditEntry.objects.get(noun="agent", object_name="Watch", action="changed")
    assert handed_over.changes == {"owner": [pseudonym, "admin"]}


def test_others_of_the_same_names_stay_in_the_log(analyst: User, outsider: User) -> None:
    """A former name can have been taken by somebody else since."""
    with made_by(analyst):
        ApiToken.objects.create(user=analyst, name="mine")
    analyst.username = "renamed"
    analyst.save()
    outsider.username = "analyst"
    outsider.save()
    with made_by(outsider):
        ApiToken.objects.create(user=outsider, name="other")

    request_erasure(User.objects.get(pk=analyst.pk))

    named = AuditEntry.objects.filter(noun="API token").values_list("object_name", flat=True)
    assert set(named) == {f"API token of erased user #{analyst.pk}", "other of analyst"}


def opening(simulation: Simulation) -> Step:
    """Claimed, its call prepared."""
    admit()
    pacing = Pacing()
    step = next_step(claim(1, pacing)[0], pacing)
    assert step.simulation == simulation
    assert step.prepare()
    return step


def test_a_conversation_that_opens_while_its_question_is_cancelled_is_deleted_too(
    emulator: EmulatorProcess, analyst: User, protocol: str, settle: Callable[[], None]
) -> None:
    simulation = services.submit(analyst, "A question?")
    step = opening(simulation)
    opened = step.call(get_provider(protocol))
    services.cancel(simulation)
    following = step.apply(opened)
    assert following is None or not following.prepare()
    assert Conversation.objects.get().provider_id == opened.conversation_id
    request_erasure(analyst)
    settle()
    assert Erasure.objects.get().remote_deleted == 1
    assert statuses(emulator, places(emulator)) == {404}


def test_an_erasure_waits_for_a_conversation_that_may_be_opening(
    emulator: EmulatorProcess, analyst: User, protocol: str, settle: Callable[[], None]
) -> None:
    simulation = services.submit(analyst, "A question?")
    step = opening(simulation)
    request_erasure(analyst)
    assert User.objects.filter(pk=analyst.pk).exists()
    step.apply(step.call(get_provider(protocol)))
    settle()
    assert Erasure.objects.get().remote_deleted == 1
    assert statuses(emulator, places(emulator)) == {404}


def test_a_conversation_that_opens_after_its_erasure_is_deleted_too(
    emulator: EmulatorProcess, engine: Engine, analyst: User, protocol: str
) -> None:
    simulation = services.submit(analyst, "A question?")
    step = opening(simulation)
    opened = step.call(get_provider(protocol))
    services.cancel(simulation)
    Simulation.objects.update(finished_at=Now() - timedelta(hours=1))
    request_erasure(analyst)
    assert not Conversation.objects.exists()
    assert step.apply(opened) is None
    engine.delete_remote()
    engine.drain(5)
    assert statuses(emulator, places(emulator)) == {404}
    assert not RemoteDeletion.objects.exists()


def test_a_question_that_could_not_be_posted_leaves_nothing_behind(
    emulator: EmulatorProcess,
    drive: Drive,
    analyst: User,
    settings: Settings,
    settle: Callable[[], None],
) -> None:
    settings.OPENAI_PROTOCOL, settings.OPENAI_ASSISTANT_ID = "assistants", "asst_tests"
    emulator.arm("drop", "add_message", count=3)
    drive(services.submit(analyst, "A question?"))
    assert len(emulator.ledger()["conversations"]) == 1
    request_erasure(analyst)
    settle()
    assert statuses(emulator, places(emulator)) == {404}


def test_one_404_is_no_proof_that_something_is_deleted(
    emulator: EmulatorProcess,
    analyst: User,
    drive: Drive,
    protocol: str,
    settle: Callable[[], None],
) -> None:
    drive(services.submit(analyst, "A question?"))
    emulator.arm("404", "any")
    request_erasure(analyst)
    settle()
    assert statuses(emulator, places(emulator)) == {404}


def test_what_is_gone_at_the_provider_counts_as_deleted(
    emulator: EmulatorProcess,
    analyst: User,
    drive: Drive,
    protocol: str,
    settle: Callable[[], None],
) -> None:
    drive(services.submit(analyst, "A question?"))
    emulator.reset()
    request_erasure(analyst)
    settle()
    assert Erasure.objects.get().remote_failed == 0


def test_nobody_erases_themselves_or_without_the_role(admin: User, analyst: User) -> None:
    path = f"/admin/accounts/user/{admin.pk}/erase/"
    assert b"That is you" in sign_in(admin).post(path, {"username": "admin"}).content
    assert sign_in(analyst).post(path, {"username": "admin"}).status_code in {302, 403}
    assert Client().post(path, {"username": "admin"}).status_code in {302, 403}
    assert User.objects.get(pk=admin.pk).is_active
    assert not Erasure.objects.exists()
