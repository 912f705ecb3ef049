"""The audit log: every door leaves an entry, none holds a secret, nobody changes one."""

import pytest
from django.db import IntegrityError, NotSupportedError, connection, transaction
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.audit import HIDDEN, LONGEST_VALUE, AuditEntry, made_by
from accounts.models import ApiToken, Module, Role, User
from config.request_id import REQUEST_ID_LENGTH
from knowledge.models import Article, Keyword
from simulations.agents.schedules import run_due_agents
from simulations.models import Agent, AnswerRule, Assistant
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db

Entry = tuple[str, str, str, str]


def entries(noun: str = "") -> list[Entry]:
    """The oldest first."""
    found = AuditEntry.objects.filter(noun=noun) if noun else AuditEntry.objects
    return list(found.order_by("pk").values_list("actor", "action", "noun", "object_name"))


def latest() -> AuditEntry:
    return AuditEntry.objects.latest("pk")


@pytest.fixture
def curator(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


def test_the_admin_sites_changes_name_who_made_them(curator: Client, analyst: User) -> None:
    path = f"/admin/accounts/user/{analyst.pk}/change/"
    form = {
        "username": "analyst",
        "is_active": "on",
        "role": "ADMIN",
        "modules": ["simulations"],
        "monthly_simulation_limit": "7",
    }
    assert curator.post(path, form).status_code == 302
    entry = latest()
    assert str(entry) == "admin changed user analyst"
    assert entry.object_id == str(analyst.pk)
    assert entry.request_id
    limit = analyst.monthly_simulation_limit
    assert entry.changes == {
        "role": ["ANALYST", "ADMIN"],
        "modules": [Module.values, ["simulations"]],
        "monthly_simulation_limit": [limit, 7],
    }


def test_the_apis_changes_name_who_made_them(admin: User, analyst: User) -> None:
    client = ApiClient(admin)
    article = {"slug": "a-001", "title": "A", "category": "C", "text": "T"}
    client.post_json("knowledge/articles", article)
    client.patch(
        "/api/v1/knowledge/articles/a-001", {"title": "B"}, content_type="application/json"
    )
    client.post_json("knowledge/keywords", {"phrase": "gate", "articles": ["a-001"]})
    client.post_json("agents", {"name": "Watch", "query": "?", "owner": "analyst"})
    assert [entry for entry in entries() if entry[0] == "admin"] == [
        ("admin", "created", "article", "A (a-001)"),
        ("admin", "changed", "article", "B (a-001)"),
        ("admin", "created", "keyword", "gate"),
        ("admin", "created", "article of a keyword", "gate → a-001"),
        ("admin", "created", "agent", "Watch"),
    ]
    assert latest().changes["owner"] == [None, "analyst"]
    assert AuditEntry.objects.get(noun="article", action="changed").changes == {"title": ["A", "B"]}


def test_secrets_are_in_no_entry(analyst: User) -> None:
    """Nor is the token's own key, which is its hash."""
    analyst.set_password("another password")
    analyst.save()
    assert latest().changes == {"password": [HIDDEN, HIDDEN]}
    body = {"username": "analyst", "password": "another password"}
    secret = ApiClient().post_json("auth/login", body).json()["token"]
    token = ApiToken.objects.get()
    created = latest()
    assert (created.actor, created.action, created.noun) == ("analyst", "created", "API token")
    assert created.object_id == token.token_key
    hidden = [secret, token.digest, token.session_hash, User.objects.get().password]
    token.delete()
    assert latest().action == "deleted"
    stored = "".join(map(str, AuditEntry.objects.values_list()))
    assert all(hidden)
    assert [one for one in hidden if one in stored] == []


def test_the_longest_request_id_that_is_accepted_fits(analyst: User) -> None:
    named = "x" * REQUEST_ID_LENGTH
    body = {"username": "analyst", "password": "pw"}
    response = Client(headers={"X-Request-ID": named}).post(
        "/api/v1/auth/login", body, content_type="application/json"
    )
    assert (response.status_code, response["X-Request-ID"]) == (200, named)
    latest().clean_fields()  # SQLite would take any length
    assert latest().request_id == named


def test_bulk_changes_and_cascades_are_seen(admin: User) -> None:
    for name in ("one", "two"):
        User.objects.create_user(name)
    with made_by(admin):
        User.objects.filter(username__in=["one", "two"]).update(role=Role.ADMIN)
        Article.objects.bulk_create([Article(slug="a-001", title="A", category="C", text="T")])
        Article.objects.update(status="published")
        keyword = Keyword.objects.create(phrase="gate")
        keyword.link_articles(["a-001"])
        Keyword.objects.all().delete()
    done = [entry for entry in entries() if entry[0] == "admin"]
    assert done[:4] == [
        ("admin", "changed", "user", "one"),
        ("admin", "changed", "user", "two"),
        ("admin", "created", "article", "A (a-001)"),
        ("admin", "changed", "article", "A (a-001)"),
    ]
    assert set(done[-2:]) == {
        ("admin", "deleted", "keyword", "gate"),
        ("admin", "deleted", "article of a keyword", "gate → a-001"),
    }


def test_without_a_request_it_is_the_system(admin: User) -> None:
    default, other = (
        Assistant.objects.get_or_create_default(),
        Assistant.objects.create(name="Second"),
    )
    Assistant.objects.make_default(other)
    assert entries("assistant")[-2:] == [
        ("system", "changed", "assistant", default.name),
        ("system", "changed", "assistant", "Second"),
    ]
    assert latest().changes == {"is_default": [False, True]}
    AnswerRule.objects.create(phrase="In short")
    assert entries()[-1] == ("system", "created", "answer rule", "In short")
    assert latest().actor_id is None


def test_what_nobody_decided_is_not_noted(analyst: User) -> None:
    """Nor does it cost the engine's ticks or a token's use more than they need."""
    token, _ = ApiToken.objects.issue(analyst, "script", ApiToken.LONGEST_LIFETIME)
    agent = Agent.objects.create(name="Watch", query="?", owner=analyst, schedule="* * * * *")
    Assistant.objects.get_or_create_default()
    before = AuditEntry.objects.count()
    with CaptureQueriesContext(connection) as queries:
        token.touch()
        Agent.objects.update(next_run_at=Now())
        analyst.save(update_fields=["last_login"])
    assert len(queries) == 3
    analyst.save()
    agent.save()
    assert run_due_agents()
    assert AuditEntry.objects.count() == before


def test_long_texts_are_cut(admin: User) -> None:
    Article.objects.create(slug="a-001", title="A", category="C", text="x" * 20_000)
    _, text = latest().changes["text"]
    assert text == "x" * LONGEST_VALUE + "… (20,000 characters)"


def test_a_failed_change_leaves_no_entry(analyst: User, admin: User) -> None:
    before = AuditEntry.objects.count()
    analyst.username = "admin"
    with pytest.raises(IntegrityError), transaction.atomic():
        analyst.save()
    assert AuditEntry.objects.count() == before


def test_entries_stay_as_they_are(curator: Client, admin: User) -> None:
    entry = latest()
    for change in (
        lambda: entry.save(),
        lambda: entry.delete(),
        lambda: AuditEntry.objects.update(actor="nobody"),
        lambda: AuditEntry.objects.all().delete(),
        lambda: AuditEntry.objects.bulk_update([entry], ["actor"]),
    ):
        with pytest.raises(NotSupportedError, match="append-only"), transaction.atomic():
            change()
    with made_by(admin):
        User.objects.create_user("short-lived").delete()
    assert latest().object_name == "short-lived"


def test_the_log_is_searched_in_the_admin(curator: Client, analyst: User, admin: User) -> None:
    with made_by(admin):
        analyst.monthly_simulation_limit = 3
        analyst.save()
        Assistant.objects.create(name="Travel desk")
    path = "/admin/accounts/auditentry/"
    for query, found in [
        ("noun__exact=assistant", ["Travel desk"]),
        ("q=analyst&action__exact=changed", ["analyst"]),
        ("q=admin&action__exact=created&noun__exact=assistant", ["Travel desk"]),
        ("at__year=2001", []),
    ]:
        listed = curator.get(f"{path}?{query}").context["cl"].result_list
        assert [entry.object_name for entry in listed] == found, query
    entry = AuditEntry.objects.get(noun="user", action="changed")
    page = curator.get(f"{path}{entry.pk}/change/").content.decode()
    assert "<td>3</td>" in page
