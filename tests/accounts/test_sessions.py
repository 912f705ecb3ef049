"""How long a session lasts: so long in all, and so long without a request."""

import time
from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import User
from accounts.sessions import BEGAN, PRECISION, SessionStore

pytestmark = pytest.mark.django_db

LIFETIME, IDLE = timedelta(hours=12), timedelta(minutes=60)


@pytest.fixture
def client(analyst: User, settings: Settings) -> Client:
    settings.SESSION_LIFETIME, settings.SESSION_IDLE = LIFETIME, IDLE
    client = Client()
    client.post("/sign-in/", {"username": "analyst", "password": "pw"})
    return client


def gets_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def pass_time(passed: timedelta) -> None:
    """For the one session: it began, and was asked for, so much earlier."""
    row = Session.objects.get()
    data = SessionStore().decode(row.session_data)
    data[BEGAN] -= int(passed.total_seconds())
    row.session_data = SessionStore().encode(data)
    row.expire_date -= passed
    row.save()


def ends_in() -> timedelta:
    return Session.objects.get().expire_date - timezone.now()


def test_a_session_ends_after_so_long_without_a_request(client: Client) -> None:
    pass_time(IDLE - timedelta(seconds=10))
    assert gets_in(client)
    pass_time(IDLE - timedelta(seconds=10))
    assert gets_in(client)
    pass_time(IDLE + PRECISION)
    assert not gets_in(client)


def test_whoever_is_active_stays_where_the_idle_time_is_short(
    client: Client, settings: Settings
) -> None:
    settings.SESSION_IDLE = timedelta(minutes=5)
    gets_in(client)
    pass_time(IDLE - timedelta(minutes=5))  # what is left is that idle time
    for _ in range(4):
        pass_time(timedelta(minutes=3))
        assert gets_in(client)
    pass_time(timedelta(minutes=5))
    assert not gets_in(client)


def test_a_session_ends_however_busy_it_is(client: Client) -> None:
    for _ in range(14):
        pass_time(timedelta(minutes=50))
        assert gets_in(client)
    assert ends_in() < timedelta(minutes=21)
    pass_time(timedelta(minutes=21))
    assert not gets_in(client)


def test_the_cookie_ends_with_the_lifetime(client: Client) -> None:
    assert client.cookies["sessionid"]["max-age"] == pytest.approx(LIFETIME.total_seconds(), abs=5)


def test_a_new_password_gives_no_more_time(client: Client) -> None:
    pass_time(timedelta(minutes=50))
    form = {"old_password": "pw", "new_password1": "Bergamot-tea-9"}
    form |= {"new_password2": "Bergamot-tea-9"}
    client.post("/account/password/", {f"password-{name}": text for name, text in form.items()})
    assert gets_in(client)
    began = SessionStore().decode(Session.objects.get().session_data)[BEGAN]
    assert time.time() - began > 49 * 60


def test_only_now_and_then_a_request_moves_the_end(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(2):  # session and user
        client.get("/agents/")
    pass_time(PRECISION + timedelta(seconds=10))
    with django_assert_num_queries(3):
        client.get("/agents/")
    with django_assert_num_queries(2):
        client.get("/agents/")
    assert ends_in() > IDLE - timedelta(seconds=10)


def test_a_request_that_moves_the_end_writes_over_nothing(client: Client) -> None:
    """As two requests at a time do: one has read the session, the other writes to it."""
    pass_time(timedelta(minutes=10))
    key = Session.objects.get().session_key
    reading, writing = SessionStore(key), SessionStore(key)
    assert reading.get("note") is None
    writing["note"] = "written meanwhile"
    writing.save()
    assert SessionStore(key)["note"] == "written meanwhile"
    assert not reading.modified
