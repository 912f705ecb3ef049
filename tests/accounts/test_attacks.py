"""What somebody with an account might try: fields that aren't theirs, old rights, one more run.

Whose objects one gets at is in test_access_matrix, what tokens can be misused for in test_tokens.
"""

from collections.abc import Callable
from datetime import timedelta
from urllib.parse import urlencode, urlsplit

import pytest
from django.db.models.functions import Now
from django.test import Client

from accounts.models import ApiToken, Role, User
from knowledge.models import Article
from simulations import services
from simulations.agents.schedules import run_due_agents
from simulations.models import Agent, Simulation, Status
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db

JSON = "application/json"
QUESTION = {"query": "Who checks the gate?"}


def sign_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def ended(owner: User, status: Status) -> Simulation:
    simulation = services.submit(owner, "Who locks the door?")
    Simulation.objects.filter(pk=simulation.pk).transition(status)
    return Simulation.objects.get(pk=simulation.pk)


# --- Fields that are not for the client to set ------------------------------------------------

FOREIGN = {
    "simulations": [
        "id",
        "owner",
        "owner_id",
        "status",
        "answer",
        "prompt",
        "conversation",
        "retry_of",
        "tokens_used",
        "created_at",
        "due_at",
        "admitted_at",
        "idempotency_key",
        "agent",
    ],
    "auth/tokens": ["user", "user_id", "token", "digest", "token_key", "expiry", "session_hash"],
    "auth/login": ["role", "is_active", "modules", "expires_in_days"],
    "knowledge/articles": ["id", "created_at", "updated_at", "author"],
    "knowledge/keywords": ["id", "created_at", "links"],
    "agents": ["id", "next_run_at", "created_at", "runs"],
}


def test_no_field_can_be_set_that_is_not_the_clients(admin: User, analyst: User) -> None:
    _, secret = ApiToken.objects.sign_in(admin)
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    accepted = []
    for path, fields in FOREIGN.items():
        for field in fields:
            body = {"username": "admin", "password": "pw"} if path == "auth/login" else {}
            body |= {"name": "New"} if path == "auth/tokens" else {}
            body |= QUESTION if path == "simulations" else {}
            response = client.post(f"/api/v1/{path}", body | {field: 1}, content_type=JSON)
            if response.status_code != 400 or field not in response.json()["details"]:
                accepted.append(f"{path}: {field}")
    assert accepted == []
    assert not Simulation.objects.exists()
    assert ApiToken.objects.count() == 1


def test_what_a_change_or_an_action_takes_is_as_narrow(admin: User, analyst: User) -> None:
    completed, failed = ended(analyst, Status.COMPLETED), ended(analyst, Status.FAILED)
    article = Article.objects.create(slug="gate-001", title="Gate", category="A", text="Text.")
    mine, curator = ApiClient(analyst), ApiClient(admin)
    asked = f"/api/v1/simulations/{completed.pk}"
    requests = [
        (mine.post, f"{asked}/follow-ups", QUESTION | {"owner": admin.pk}),
        (mine.post, f"/api/v1/simulations/{failed.pk}/retry", {"query": "Another question?"}),
        (mine.post, f"/api/v1/simulations/{failed.pk}/cancel", {"status": "COMPLETED"}),
        (mine.post, f"{asked}/feedback", {"is_useful": True, "simulation": str(failed.pk)}),
        (curator.patch, f"/api/v1/knowledge/articles/{article.slug}", {"created_at": "2020-01-01"}),
        (curator.patch, f"/api/v1/knowledge/articles/{article.slug}", {"slug": "other-001"}),
    ]
    answers = [send(path, body, content_type=JSON).status_code for send, path, body in requests]
    assert answers == [400] * len(requests)
    refused = {
        send(asked, {"status": "FAILED"}, content_type=JSON).status_code
        for send in (mine.patch, mine.put, mine.delete, curator.patch, curator.delete)
    }
    assert refused == {405}
    assert Simulation.objects.count() == 2


def test_forms_take_what_they_show_and_nothing_else(analyst: User, admin: User) -> None:
    client = sign_in(analyst)
    more = {"owner": admin.pk, "status": "COMPLETED", "answer": "Mine.", "role": "ADMIN"}
    client.post("/simulations/new/", QUESTION | more)
    simulation = Simulation.objects.get()
    assert (simulation.owner, simulation.status, simulation.answer) == (analyst, "PENDING", "")
    password = {"old_password": "pw"} | dict.fromkeys(
        ("new_password1", "new_password2"), "Yes-1-no-2-3"
    )
    form = {f"password-{name}": value for name, value in password.items()} | more
    form |= {"modules": ["simulations"], "monthly_simulation_limit": 9999, "password-role": "ADMIN"}
    assert client.post("/account/password/", form).status_code == 302
    changed = User.objects.get(pk=analyst.pk)
    assert changed.check_password("Yes-1-no-2-3")
    assert (changed.role, changed.modules) == (Role.ANALYST, analyst.modules)
    assert changed.monthly_simulation_limit == analyst.monthly_simulation_limit
    client.post("/account/tokens/", {"token-name": "New", "token-days": "30", "user": admin.pk})
    assert ApiToken.objects.get().user == analyst


# --- Rights that were taken away --------------------------------------------------------------


def test_rights_end_with_the_next_request(admin: User) -> None:
    token, session = ApiClient(admin), sign_in(admin)
    assert session.get("/admin/").status_code == 200
    User.objects.filter(pk=admin.pk).update(role=Role.ANALYST)
    assert token.post_json("knowledge/articles", {}).status_code == 403
    assert session.get("/admin/").status_code == 302
    User.objects.filter(pk=admin.pk).update(modules=[])
    for path in ("simulations", "knowledge/articles"):
        assert token.get(f"/api/v1/{path}").status_code == 403
        assert session.get(f"/api/v1/{path}").status_code == 403
    assert session.get("/simulations/").status_code == 403
    User.objects.filter(pk=admin.pk).update(is_active=False)
    assert token.get("/api/v1/me").status_code == 401
    assert session.get("/account/").status_code == 302


def test_others_questions_are_in_no_list_and_behind_no_filter(
    analyst: User, outsider: User
) -> None:
    theirs = services.submit(outsider, "A secret question?")
    client, page = ApiClient(analyst), sign_in(analyst)
    for query in ("", "?owner=outsider", f"?owner={outsider.pk}", "?q=secret", "?status=PENDING"):
        for answer in (
            client.get(f"/api/v1/simulations{query}"),
            page.get(f"/simulations/{query}"),
        ):
            assert str(theirs.pk) not in answer.text
            assert "A secret question" not in answer.text


# --- One more than the month allows -----------------------------------------------------------


def doors(owner: User, admin: User) -> dict[str, Callable[[], object]]:
    """Every way to a new simulation on the owner's account."""
    failed, other = ended(owner, Status.FAILED), ended(owner, Status.FAILED)
    answered, cancelled = ended(owner, Status.COMPLETED), ended(owner, Status.CANCELLED)
    agent = Agent.objects.create(
        name="Gate watch", query="Who checks the gate?", owner=owner, schedule="0 9 * * *"
    )
    Agent.objects.update(next_run_at=Now() - timedelta(minutes=1))
    api, page, curator = ApiClient(owner), sign_in(owner), ApiClient(admin)
    again = QUESTION | {"token": str(cancelled.pk)}
    keyed = {"content_type": JSON, "headers": {"Idempotency-Key": "a-new-key"}}
    return {
        "API": lambda: api.post_json("simulations", QUESTION),
        "API with a key": lambda: api.post("/api/v1/simulations", QUESTION, **keyed),
        "API retry": lambda: api.post_json(f"simulations/{failed.pk}/retry", {}),
        "API follow-up": lambda: api.post_json(f"simulations/{answered.pk}/follow-ups", QUESTION),
        "API agent": lambda: curator.post_json(f"agents/{agent.pk}/run", {}),
        "form": lambda: page.post("/simulations/new/", QUESTION),
        "ask again": lambda: page.post("/simulations/new/", again),
        "page retry": lambda: page.post(f"/simulations/{other.pk}/retry/"),
        "page follow-up": lambda: page.post(f"/simulations/{answered.pk}/follow-up/", QUESTION),
        "page agent": lambda: sign_in(admin).post(f"/agents/{agent.pk}/run/"),
        "schedule": run_due_agents,
    }


def test_no_door_gives_more_than_the_month_allows(analyst: User, admin: User) -> None:
    entries = doors(analyst, admin)
    services.submit(analyst, "The last one of the month.")
    User.objects.filter(pk=analyst.pk).update(monthly_simulation_limit=1)
    before = Simulation.objects.count()
    for name, enter in entries.items():
        answer = enter()
        assert Simulation.objects.count() == before, name
        if name.startswith("API"):
            assert (answer.status_code, answer.json()["error"]) == (429, "MonthlyLimitReached")
            assert "Retry-After" in answer.headers


def test_every_door_is_open_while_the_month_allows(analyst: User, admin: User) -> None:
    """So that what the test above finds shut is shut by the limit."""
    entries = doors(analyst, admin)
    for name, enter in entries.items():
        before = Simulation.objects.count()
        enter()
        # An agent takes no new question before the one it asked is over.
        Simulation.objects.filter(status=Status.PENDING).transition(Status.COMPLETED)
        assert Simulation.objects.count() == before + 1, name


def test_an_admin_spends_nobody_elses_month(analyst: User, admin: User) -> None:
    failed, answered = ended(analyst, Status.FAILED), ended(analyst, Status.COMPLETED)
    client = ApiClient(admin)
    before = Simulation.objects.count()
    assert client.post_json(f"simulations/{failed.pk}/retry", {}).status_code == 403
    path = f"simulations/{answered.pk}/follow-ups"
    assert client.post_json(path, QUESTION).status_code == 403
    assert Simulation.objects.count() == before


# --- Requests that are made up ----------------------------------------------------------------

ELSEWHERE = [
    *("https://evil.example/", "//evil.example/", "///evil.example", "/\\evil.example", "\\\\evil"),
    *(
        "javascript:alert(1)",
        "http:evil.example",
        "https:/evil.example",
        "/\t/evil.example",
        " //x",
    ),
]


@pytest.mark.parametrize("place", ELSEWHERE)
def test_signing_in_and_out_lead_nowhere_else(analyst: User, admin: User, place: str) -> None:
    password = {"username": "analyst", "password": "pw"}
    out = Client()
    answers = [
        Client().post("/sign-in/", password | {"next": place}),
        Client().post("/sign-in/?" + urlencode({"next": place}), password),
        sign_in(analyst).get("/sign-in/", {"next": place}),
        sign_in(analyst).post("/sign-out/", {"next": place}),
        sign_in(admin).get("/admin/login/", {"next": place}),
        out.get("/admin/login/", {"next": place}),
    ]
    for answer in answers:
        assert answer.status_code == 302
        url = urlsplit(answer.headers["Location"])
        assert (url.scheme, url.netloc) == ("", "")
        assert url.path in {"/simulations/", "/sign-in/", "/admin/"}
    assert "evil" not in out.get(answers[-1].headers["Location"]).text


def test_what_belongs_into_header_or_body_is_not_taken_from_the_address(analyst: User) -> None:
    _, secret = ApiToken.objects.sign_in(analyst)
    for name in ("token", "access_token", "Authorization", "sessionid"):
        response = Client().get("/api/v1/me", {name: secret})
        assert response.status_code == 401, name
    in_address = "username=analyst&password=pw"
    login = f"/api/v1/auth/login?{in_address}"
    assert Client().post(login, {}, content_type=JSON).status_code == 400
    client = Client()
    assert client.post(f"/sign-in/?{in_address}").status_code == 200
    assert client.get("/account/").status_code == 302
    assert sign_in(analyst).post("/simulations/new/?query=Why").status_code == 400
    assert not Simulation.objects.exists()


def test_a_field_that_is_given_twice_gives_no_more(analyst: User, outsider: User) -> None:
    theirs = services.submit(outsider, "A secret question?")
    client, page = ApiClient(analyst), sign_in(analyst)
    twice = client.get("/api/v1/simulations?status=PENDING&status=FAILED")
    assert twice.status_code == 400
    assert "status" in twice.json()["details"]
    body = '{"query": "One?", "query": "Two?"}'
    client.post("/api/v1/simulations", body, content_type=JSON)
    page.post("/simulations/new/", {"query": ["Three?", "Four?"]})
    own = Simulation.objects.exclude(pk=theirs.pk)
    assert {simulation.owner for simulation in own} == {analyst}
    assert {simulation.query for simulation in own} == {"Two?", "Four?"}
