"""Reading simulations over the API: what a poll costs, 304, pages and filters."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from simulations import services
from simulations.listing import paging
from simulations.listing.filters import asks
from simulations.models import Agent, Simulation, Status
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db
LIST = "/api/v1/simulations"


def cite(simulation: Simulation, *slugs: str) -> None:
    for position, slug in enumerate(slugs, start=1):
        simulation.citations.create(
            position=position, slug=slug, title="T", category="C", text="Text", keywords=["gate"]
        )


def complete(simulation: Simulation, **fields: object) -> None:
    Simulation.objects.filter(pk=simulation.pk).transition(Status.COMPLETED, **fields)


def admit(simulation: Simulation, **fields: object) -> None:
    Simulation.objects.filter(pk=simulation.pk).update(
        **{"admitted_at": Now(), "due_at": Now()} | fields
    )


# --- One --------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["queued", "in flight", "completed"])
def test_a_poll_costs_two_queries_with_a_token_and_three_with_a_session(
    analyst: User, django_assert_num_queries: DjangoAssertNumQueries, state: str
) -> None:
    simulation = services.submit(analyst, "Who checks the gate?")
    if state != "queued":
        admit(simulation)
        cite(simulation, "alpha-001", "beta-001", "gamma-001")
    if state == "completed":
        complete(simulation, answer="The guard.")
        simulation.refresh_from_db()
        services.give_feedback(analyst, simulation, is_useful=True)
    path = f"{LIST}/{simulation.pk}"
    with_token, with_session = ApiClient(analyst), Client()
    with_session.force_login(analyst)
    for client, queries in ((with_token, 2), (with_session, 3)):
        client.get(path)
        with django_assert_num_queries(queries):
            body = client.get(path).json()
        assert body["queue_position"] == (1 if state == "queued" else None)
        slugs = [citation["slug"] for citation in body["citations"]]
        assert slugs == ([] if state == "queued" else ["alpha-001", "beta-001", "gamma-001"])


def test_what_has_not_changed_is_304(analyst: User) -> None:
    simulation = services.submit(analyst, "Who checks the gate?")
    client, path = ApiClient(analyst), f"{LIST}/{simulation.pk}"
    etag = client.get(path).headers["ETag"]
    assert etag.startswith('W/"')
    for known in (etag, f'"other", {etag}', etag.removeprefix("W/"), "*"):
        again = client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert (again.headers["ETag"], again.headers["Retry-After"]) == (etag, "1")
    assert client.get(path, headers={"If-None-Match": 'W/"other"'}).status_code == 200
    admit(simulation, due_at=Now() + timedelta(seconds=3))
    seen = client.get(path, headers={"If-None-Match": etag})
    assert seen.status_code == 200, "it waits no more"
    Simulation.objects.update(due_at=Now() + timedelta(seconds=4), step_number=7)
    again = client.get(path, headers={"If-None-Match": seen.headers["ETag"]})
    assert again.status_code == 304, "nothing of what is shown has changed"
    complete(simulation, answer="The guard.")
    done = client.get(path, headers={"If-None-Match": seen.headers["ETag"]})
    assert (done.status_code, done.json()["answer"]) == (200, "The guard.")
    simulation.refresh_from_db()
    for is_useful in (True, False):
        etag = done.headers["ETag"]
        services.give_feedback(analyst, simulation, is_useful=is_useful)
        done = client.get(path, headers={"If-None-Match": etag})
        assert (done.status_code, done.json()["feedback"]["is_useful"]) == (200, is_useful)


def test_one_and_a_list_say_whose_it_is_what_asked_it_and_what_was_said_of_it(
    analyst: User, admin: User
) -> None:
    agent = Agent.objects.create(name="Gate watch", query="Who checks the gate?", owner=analyst)
    judged = services.run_agent(agent, started_by=admin)
    complete(judged, answer="The guard.")
    judged.refresh_from_db()
    given = services.give_feedback(analyst, judged, is_useful=False, reason="Which guard?")
    plain = services.submit(admin, "Who locks the door?")
    expected = {
        judged: {
            "owner": "analyst",
            "agent": {"id": agent.pk, "name": "Gate watch"},
            "feedback": {
                "is_useful": False,
                "reason": "Which guard?",
                "given_at": f"{given.given_at:%Y-%m-%dT%H:%M:%S.%fZ}",
            },
        },
        plain: {"owner": "admin", "agent": None, "feedback": None},
    }
    client = ApiClient(admin)
    listed = {row["id"]: row for row in client.get(LIST).json()["results"]}
    for simulation, shown in expected.items():
        one = client.get(f"{LIST}/{simulation.pk}").json()
        assert shown.items() <= one.items()
        assert shown.items() <= listed[str(simulation.pk)].items()
    agent.delete()
    assert client.get(f"{LIST}/{judged.pk}").json()["agent"] is None


@pytest.mark.parametrize(
    ("failed_attempts", "due_in", "expected"),
    [(0, 0, "1"), (1, 4, "4"), (1, 60, "5"), (0, 16, "1")],
)
def test_clients_are_told_when_to_ask_again(
    analyst: User, failed_attempts: int, due_in: int, expected: str
) -> None:
    simulation = services.submit(analyst, "Who checks the gate?")
    due_at = timezone.now() + timedelta(seconds=due_in, milliseconds=200)
    admit(simulation, due_at=due_at, failed_attempts=failed_attempts)
    client = ApiClient(analyst)
    for path in (f"{LIST}/{simulation.pk}", f"{LIST}/{simulation.pk}/manifest"):
        assert client.get(path).headers["Retry-After"] == expected
    complete(simulation)
    assert "Retry-After" not in client.get(f"{LIST}/{simulation.pk}").headers


@pytest.mark.parametrize("path", ["me", "simulations", "nothing", "knowledge/articles", ""])
def test_no_answer_is_kept_on_its_way(analyst: User, path: str) -> None:
    for client in (ApiClient(analyst), ApiClient()):
        assert client.get(f"/api/v1/{path}").headers["Cache-Control"] == "no-store"


def test_others_are_told_the_same_as_of_what_does_not_exist(analyst: User, outsider: User) -> None:
    simulation = services.submit(analyst, "Who checks the gate?")
    etag = ApiClient(analyst).get(f"{LIST}/{simulation.pk}").headers["ETag"]
    hidden = ApiClient(outsider).get(f"{LIST}/{simulation.pk}", headers={"If-None-Match": etag})
    assert hidden.status_code == 404
    assert "ETag" not in hidden.headers


# --- Pages ------------------------------------------------------------------------------------


def ids(body: dict) -> list[str]:
    return [row["id"] for row in body["results"]]


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "PAGE_SIZE", 3)


@pytest.mark.usefixtures("small_pages")
def test_pages_hold_each_row_once_although_some_are_of_one_moment(analyst: User) -> None:
    for number in range(8):
        services.submit(analyst, f"Question {number}?")
    Simulation.objects.update(created_at=datetime(2026, 5, 1, tzinfo=UTC))
    client = ApiClient(analyst)
    pages = [client.get(LIST).json()]
    while pages[-1]["next"]:
        pages.append(client.get(pages[-1]["next"]).json())
    assert [len(page["results"]) for page in pages] == [3, 3, 2]
    expected = [str(pk) for pk in Simulation.objects.order_by("-id").values_list("pk", flat=True)]
    assert [pk for page in pages for pk in ids(page)] == expected
    assert pages[0]["previous"] is None
    for before, after in pairwise(pages):
        assert ids(client.get(after["previous"]).json()) == ids(before)
    newest = client.get(pages[1]["previous"]).json()
    assert (newest["previous"], ids(client.get(newest["next"]).json())) == (None, ids(pages[1]))


@pytest.mark.usefixtures("small_pages")
def test_what_is_new_does_not_shift_a_page(analyst: User) -> None:
    made = [str(services.submit(analyst, f"Question {n}?").pk) for n in range(6)]
    client = ApiClient(analyst)
    first = client.get(LIST).json()
    new = [str(services.submit(analyst, f"New {n}?").pk) for n in range(2)]
    Simulation.objects.filter(pk=made[3]).update(created_at=F("created_at") - timedelta(days=1))
    second = client.get(first["next"]).json()
    assert ids(second) == [made[2], made[1], made[0]]
    assert ids(client.get(second["previous"]).json()) == [new[0], made[5], made[4]]


def test_a_page_costs_two_queries(
    analyst: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(4):
        cite(services.submit(analyst, f"Question {number}?"), "alpha-001")
    client = ApiClient(analyst)
    client.get(LIST)
    with django_assert_num_queries(2):
        assert len(client.get(LIST, {"status": "PENDING"}).json()["results"]) == 4
    with django_assert_num_queries(3 if connection.vendor == "postgresql" else 2):
        assert len(client.get(LIST, {"q": "question"}).json()["results"]) == 4


# --- Filters ----------------------------------------------------------------------------------


@pytest.fixture
def asked(analyst: User, outsider: User) -> dict[str, str]:
    """Three of the analyst's, one of another's, by their queries' first words."""
    made = {}
    for day, (owner, query) in enumerate(
        [
            (analyst, "Guards at the gate?"),
            (analyst, "A café in the north-east?"),
            (analyst, "Convoy to the gate?"),
            (outsider, "Gate of others?"),
        ],
        start=1,
    ):
        simulation = services.submit(owner, query)
        moment = datetime(2026, 5, day, 12, tzinfo=UTC)
        Simulation.objects.filter(pk=simulation.pk).update(created_at=moment)
        made[str(simulation.pk)] = query.split()[0]
        if query.startswith("Guards"):
            complete(simulation)
    return made


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["Convoy", "A", "Guards"]),
        ({"status": "COMPLETED"}, ["Guards"]),
        ({"status": "RUNNING"}, []),
        ({"created_after": "2026-05-02T12:00:00Z"}, ["Convoy", "A"]),
        ({"created_before": "2026-05-02T12:00:00Z"}, ["Guards"]),
        ({"created_after": "2026-05-02", "created_before": "2026-05-03"}, ["A"]),
        ({"created_after": "2026-05-03T13:59:59+02:00"}, ["Convoy"]),
        ({"q": "gate"}, ["Convoy", "Guards"]),
        ({"q": "GATE guards"}, ["Guards"]),
        ({"q": "gate north"}, []),
        ({"q": "50% _"}, []),
        ({"q": "gate", "status": "COMPLETED", "created_before": "2026-06-01"}, ["Guards"]),
    ],
    ids=str,
)
def test_the_list_is_filtered(
    analyst: User, asked: dict[str, str], filters: dict[str, str], expected: list[str]
) -> None:
    found = ApiClient(analyst).get(LIST, filters).json()
    assert [asked[pk] for pk in ids(found)] == expected


def test_admins_filter_everybodys(admin: User, asked: dict[str, str]) -> None:
    found = ApiClient(admin).get(LIST, {"q": "gate"}).json()
    assert [asked[pk] for pk in ids(found)] == ["Gate", "Convoy", "Guards"]


def test_admins_name_an_owner(analyst: User, admin: User, asked: dict[str, str]) -> None:
    found = ApiClient(admin).get(LIST, {"owner": "outsider"}).json()
    assert [asked[pk] for pk in ids(found)] == ["Gate"]
    found = ApiClient(admin).get(LIST, {"owner": "analyst", "status": "COMPLETED"}).json()
    assert [asked[pk] for pk in ids(found)] == ["Guards"]
    unknown = ApiClient(admin).get(LIST, {"owner": "nobody"})
    assert (unknown.status_code, list(unknown.json()["details"])) == (400, ["owner"])
    for username in ("analyst", "outsider", "nobody"):
        refused = ApiClient(analyst).get(LIST, {"owner": username})
        assert refused.status_code == 403
        assert "owner: Requires role: ADMIN" in refused.json()["message"]


@pytest.mark.usefixtures("small_pages")
def test_a_next_page_is_filtered_as_the_first(analyst: User) -> None:
    for number in range(8):
        services.submit(analyst, f"{['Even', 'Odd'][number % 2]} {number}?")
    client = ApiClient(analyst)
    first = client.get(LIST, {"q": "even"}).json()
    [last] = client.get(first["next"]).json()["results"]
    assert last["query"] == "Even 0?"


@pytest.mark.parametrize(
    ("filters", "field", "remedy"),
    [
        ({"state": "PENDING"}, "state", "Use: status, owner, created_after"),
        ({"status": "pending"}, "status", "Use one of: PENDING, RUNNING"),
        ({"created_after": "yesterday"}, "created_after", "wrong format"),
        ({"created_before": "0001-01-01T00:00:00+14:00"}, "created_before", "range"),
        ({"created_before": "9999-12-31T23:59:59-12:00"}, "created_before", "range"),
        ({"created_after": "1200-01-01"}, "created_after", "year"),
        ({"q": "?!"}, "q", "1 to 32 words"),
        ({"q": "x " * 251}, "q", "500 characters"),
        ({"q": "a\0b"}, "q", "Null"),
        ({"status": ["PENDING", "RUNNING"]}, "status", "once"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_filter_is_refused_by_name(
    analyst: User, filters: dict[str, str], field: str, remedy: str
) -> None:
    response = ApiClient(analyst).get(LIST, filters)
    assert response.status_code == 400
    assert list(response.json()["details"]) == [field]
    assert remedy in response.json()["message"]


def complete_many(owner: User, query: str) -> None:
    """So many that PostgreSQL weighs its ways to read them, and knows it."""
    first = services.submit(owner, query)
    like_it = {"owner": owner, "assistant": first.assistant, "conversation": first.conversation}
    Simulation.objects.bulk_create(
        Simulation(status=Status.COMPLETED, query=query.format(number), **like_it)
        for number in range(2_000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE simulations_simulation")


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_words_are_found_through_the_index_in_their_forms(analyst: User) -> None:
    complete(services.submit(analyst, "Which convoys are GUARDED in the café?"))
    found = ApiClient(analyst).get(LIST, {"q": "convoy guards cafe"}).json()
    assert len(found["results"]) == 1
    complete_many(analyst, "Where is the bridge {}?")
    with CaptureQueriesContext(connection) as queries:
        asks(["convoy"])
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {queries[0]['sql']}")
        plan = str(cursor.fetchall())
    assert "simulation_query_words" in plan


@pytest.mark.skipif("connection.vendor != 'postgresql'")
def test_of_a_common_word_the_latest_are_looked_for(analyst: User) -> None:
    """Instead of all that hold it, which would then be sorted."""
    complete_many(analyst, "Convoy {}?")
    matching = analyst.simulations.filter(asks(["convoy"]))
    plan = matching.order_by("-created_at", "-id")[:26].explain()
    assert "recent on" in plan, "along the index by time"
    assert "simulation_query_words" not in plan
