"""Idempotency-Key: the same request again is answered with what it made the first time."""

import re
import threading

import pytest
from django.db import connections
from django.test import Client

from accounts.models import User
from simulations import services
from simulations.models import Simulation, Status
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db

QUESTION = {"query": "Who checks the gate?"}


def post(user: User, path: str, body: object = None, key: str = "key-1") -> object:
    return ApiClient(user).post(
        f"/api/v1/{path}",
        body or {},
        content_type="application/json",
        headers={"Idempotency-Key": key},
    )


def finished(owner: User, status: Status) -> Simulation:
    simulation = services.submit(owner, "A question?")
    Simulation.objects.filter(pk=simulation.pk).transition(status)
    return simulation


def test_the_same_request_again_is_answered_with_the_same_row(analyst: User) -> None:
    first = post(analyst, "simulations", QUESTION)
    again = post(analyst, "simulations", QUESTION)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["Location"] == first.headers["Location"]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert Simulation.objects.count() == 1


def test_a_replay_shows_how_it_stands_by_now(analyst: User) -> None:
    post(analyst, "simulations", QUESTION)
    Simulation.objects.transition(Status.COMPLETED, answer="The guard.")
    again = post(analyst, "simulations", QUESTION).json()
    assert (again["status"], again["answer"]) == ("COMPLETED", "The guard.")


def test_another_request_with_the_same_key_is_422(analyst: User) -> None:
    post(analyst, "simulations", QUESTION)
    response = post(analyst, "simulations", {"query": "Another question?"})
    assert (response.status_code, response.json()["error"]) == (422, "IdempotencyKeyReused")
    assert "Idempotency-Key" in response.json()["message"]
    assert Simulation.objects.count() == 1


def test_requests_that_differ_only_after_the_cut_differ(analyst: User) -> None:
    post(analyst, "simulations", {"query": "x" * 12_000 + "a"})
    assert post(analyst, "simulations", {"query": "x" * 12_000 + "b"}).status_code == 422


def test_without_a_key_each_request_is_its_own(analyst: User) -> None:
    for _ in range(2):
        response = ApiClient(analyst).post_json("simulations", QUESTION)
        assert "Idempotent-Replayed" not in response.headers
    assert Simulation.objects.count() == 2


def test_keys_are_each_users_own(analyst: User, outsider: User) -> None:
    mine, theirs = (post(user, "simulations", QUESTION) for user in (analyst, outsider))
    assert "Idempotent-Replayed" not in theirs.headers
    assert mine.json()["id"] != theirs.json()["id"]


def test_a_replay_is_not_refused_for_the_limit(analyst: User) -> None:
    User.objects.filter(pk=analyst.pk).update(monthly_simulation_limit=1)
    post(analyst, "simulations", QUESTION)
    assert post(analyst, "simulations", QUESTION).status_code == 202
    assert post(analyst, "simulations", QUESTION, key="key-2").status_code == 429


def test_a_replay_is_not_refused_because_the_key_of_the_site_is_gone(
    analyst: User, settings: object
) -> None:
    post(analyst, "simulations", QUESTION)
    settings.OPENAI_CONFIGURED = False
    assert post(analyst, "simulations", QUESTION).status_code == 202


def test_a_refused_request_does_not_use_up_its_key(analyst: User) -> None:
    User.objects.filter(pk=analyst.pk).update(monthly_simulation_limit=0)
    assert post(analyst, "simulations", QUESTION).status_code == 429
    User.objects.filter(pk=analyst.pk).update(monthly_simulation_limit=1)
    response = post(analyst, "simulations", QUESTION)
    assert response.status_code == 202
    assert "Idempotent-Replayed" not in response.headers


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256, "tab\there"])
def test_a_bad_key_is_400_and_names_the_header(analyst: User, key: str) -> None:
    response = post(analyst, "simulations", QUESTION, key=key)
    body = response.json()
    assert (response.status_code, body["error"]) == (400, "ValidationError")
    assert list(body["details"]) == ["Idempotency-Key"]
    assert "Idempotency-Key" in body["message"]
    assert not Simulation.objects.exists()


@pytest.mark.parametrize("key", ["k", "x" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "~!"])
def test_any_visible_ascii_is_a_key(analyst: User, key: str) -> None:
    post(analyst, "simulations", QUESTION, key=key)
    assert post(analyst, "simulations", QUESTION, key=key).headers["Idempotent-Replayed"]


# --- Retry and follow up ----------------------------------------------------------------------


def test_a_retry_is_replayed_where_a_second_one_would_be_refused(analyst: User) -> None:
    failed = finished(analyst, Status.FAILED)
    first = post(analyst, f"simulations/{failed.pk}/retry")
    again = post(analyst, f"simulations/{failed.pk}/retry")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert post(analyst, f"simulations/{failed.pk}/retry", key="key-2").status_code == 409


def test_a_follow_up_is_replayed(analyst: User) -> None:
    earlier = finished(analyst, Status.COMPLETED)
    path = f"simulations/{earlier.pk}/follow-ups"
    first, again = (post(analyst, path, QUESTION) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert post(analyst, path, {"query": "Another?"}).status_code == 422
    assert Simulation.objects.count() == 2


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELLED], ids=str.lower)
def test_a_follow_up_is_replayed_although_what_it_followed_failed_since(
    analyst: User, status: Status
) -> None:
    earlier = services.submit(analyst, "A question?")
    path = f"simulations/{earlier.pk}/follow-ups"
    first = post(analyst, path, QUESTION)
    Simulation.objects.filter(pk=earlier.pk).transition(status)
    again = post(analyst, path, QUESTION)
    assert again.status_code == 202
    assert again.json()["id"] == first.json()["id"]
    assert post(analyst, path, QUESTION, key="key-2").status_code == 409


def test_a_key_stands_for_one_request_whatever_its_kind(analyst: User) -> None:
    """The same words: asked anew, as a follow-up of one or of another, and as a retry."""
    one, other = (finished(analyst, Status.COMPLETED) for _ in range(2))
    failed = finished(analyst, Status.FAILED)
    Simulation.objects.update(query=QUESTION["query"])
    requests = [
        ("simulations", QUESTION),
        (f"simulations/{one.pk}/follow-ups", QUESTION),
        (f"simulations/{other.pk}/follow-ups", QUESTION),
        (f"simulations/{failed.pk}/retry", None),
    ]
    for number, (path, body) in enumerate(requests):
        assert post(analyst, path, body, key=f"key-{number}").status_code == 202
    for number in range(len(requests)):
        answers = [post(analyst, path, body, key=f"key-{number}") for path, body in requests]
        replayed = [answer.status_code == 202 for answer in answers]
        assert replayed == [place == number for place in range(len(requests))]
    assert Simulation.objects.count() == 7


# --- The pages' forms -------------------------------------------------------------------------


def sign_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def fields_of(page: str, action: str = "") -> dict[str, str]:
    """The hidden fields of the page's form that is sent to `action`, or to the page itself."""
    form = re.search(rf"<form[^>]*{action}.*?</form>", page, re.DOTALL).group()
    pairs = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)
    return {name: value for name, value in pairs if name != "csrfmiddlewaretoken"}


def test_a_form_that_is_sent_twice_asks_once(analyst: User, outsider: User) -> None:
    client = sign_in(analyst)
    form = fields_of(client.get("/simulations/new/").content.decode(), "data-question")
    first, again = (client.post("/simulations/new/", form | QUESTION) for _ in range(2))
    assert (first.status_code, again.status_code) == (302, 302)
    assert again.headers["Location"] == first.headers["Location"]
    assert "You asked this before" in client.get(again.headers["Location"]).content.decode()
    # Back, and another text: that is another question.
    client.post("/simulations/new/", form | {"query": "Another question?"})
    assert Simulation.objects.count() == 2
    # A page that is loaded anew has a form of its own, and so has everybody else.
    fresh = fields_of(client.get("/simulations/new/").content.decode(), "data-question")
    client.post("/simulations/new/", fresh | QUESTION)
    sign_in(outsider).post("/simulations/new/", form | QUESTION)
    assert Simulation.objects.count() == 4


def test_a_form_that_was_refused_can_be_sent_again(analyst: User) -> None:
    User.objects.filter(pk=analyst.pk).update(monthly_simulation_limit=0)
    client = sign_in(analyst)
    form = fields_of(client.get("/simulations/new/").content.decode(), "data-question")
    refused = client.post("/simulations/new/", form | QUESTION)
    assert refused.status_code == 429
    assert fields_of(refused.content.decode(), "data-question") == form
    User.objects.filter(pk=analyst.pk).update(monthly_simulation_limit=1)
    assert client.post("/simulations/new/", form | QUESTION).status_code == 302


def test_a_follow_up_form_that_is_sent_twice_asks_once(analyst: User) -> None:
    earlier = finished(analyst, Status.COMPLETED)
    client = sign_in(analyst)
    form = fields_of(client.get(f"/simulations/{earlier.pk}/").content.decode(), "follow-up")
    path = f"/simulations/{earlier.pk}/follow-up/"
    first, again = (client.post(path, form | QUESTION) for _ in range(2))
    assert (first.status_code, again.status_code) == (302, 302)
    assert again.headers["Location"] == first.headers["Location"]
    assert Simulation.objects.count() == 2


def test_a_second_click_on_ask_again_asks_nothing_and_a_later_one_asks_anew(analyst: User) -> None:
    lost = finished(analyst, Status.CANCELLED)
    client = sign_in(analyst)
    places = []
    for _ in range(2):
        page = client.get(f"/simulations/{lost.pk}/").content.decode()
        form = fields_of(page, "/new/")
        first, second = (client.post("/simulations/new/", form) for _ in range(2))
        assert first.headers["Location"] == second.headers["Location"]
        places.append(first.headers["Location"])
        Simulation.objects.filter(status=Status.PENDING).transition(Status.CANCELLED)
    assert places[0] != places[1]
    assert Simulation.objects.count() == 3


# --- At the same time -------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_the_same_request_several_times_at_once_makes_one_row(analyst: User) -> None:
    barrier = threading.Barrier(4)
    seen = []

    def submit() -> None:
        try:
            barrier.wait(5)
            made = services.submit(analyst, "A question?", idempotency_key="key-1")
            seen.append((made.pk, made.is_replay))
        finally:
            connections.close_all()

    services.submit(analyst, "The assistant is made by the first question.")
    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len({pk for pk, _ in seen}) == 1
    assert sorted(is_replay for _, is_replay in seen) == [False, True, True, True]
    assert Simulation.objects.count() == 2
