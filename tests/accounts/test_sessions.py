"""How long a session lasts, and that users see and end theirs."""

import re
import time
from datetime import timedelta

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends import db
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import User
from accounts.sessions import BEGAN, PRECISION, BrowserSession, SessionStore
from accounts.user_agents import name_browser

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
    row = BrowserSession.objects.get()
    data = SessionStore().decode(row.session_data)
    data[BEGAN] -= int(passed.total_seconds())
    row.session_data = SessionStore().encode(data)
    row.expire_date -= passed
    row.save()


def ends_in() -> timedelta:
    return BrowserSession.objects.get().expire_date - timezone.now()


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
    began = SessionStore().decode(BrowserSession.objects.get().session_data)[BEGAN]
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
    key = BrowserSession.objects.get().session_key
    reading, writing = SessionStore(key), SessionStore(key)
    assert reading.get("note") is None
    writing["note"] = "written meanwhile"
    writing.save()
    assert SessionStore(key)["note"] == "written meanwhile"
    assert not reading.modified


FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1"
)
EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/150.0.0.0 Safari/537.36 Edg/150.0.0.0"
)


def sign_in_with(user_agent: str, username: str = "analyst") -> Client:
    client = Client(headers={"User-Agent": user_agent})
    client.post("/sign-in/", {"username": username, "password": "pw"})
    return client


def buttons(client: Client) -> list[str]:
    return re.findall(r'action="(/account/sessions/\w+/end/)"', client.get("/account/").text)


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        (SAFARI, "Safari on iPhone"),
        (EDGE, "Edge on Windows"),
        ("<b>Mine</b> Android", "Another browser on Android"),
        ("", "Another browser"),
    ],
)
def test_browsers_are_named_for_people_to_recognise(user_agent: str, name: str) -> None:
    assert name_browser(user_agent) == name


def test_users_see_their_browsers_and_sign_one_out(analyst: User, outsider: User) -> None:
    here, phone, others = (
        sign_in_with(FIREFOX),
        sign_in_with(SAFARI),
        sign_in_with(EDGE, "outsider"),
    )
    page = here.get("/account/")
    assert "Firefox on Linux</strong> <span" in page.text
    assert "Safari on iPhone</strong></p>" in page.text
    assert "Edge on Windows" not in page.text
    assert here.cookies["sessionid"].value not in page.text
    assert phone.cookies["sessionid"].value not in page.text
    (end_phone,) = buttons(here)
    assert here.post(end_phone).status_code == 302
    assert not gets_in(phone)
    assert gets_in(here)
    assert gets_in(others)
    assert buttons(here) == []


def test_nobody_signs_out_another_users_browser(analyst: User, outsider: User) -> None:
    phone, here = sign_in_with(SAFARI), sign_in_with(FIREFOX)
    (end_phone,) = buttons(here)
    sign_in_with(EDGE, "outsider").post(end_phone)
    assert gets_in(phone)


def test_what_is_over_is_not_among_a_users_browsers(analyst: User) -> None:
    sign_in_with(SAFARI)
    User.objects.filter(pk=analyst.pk).end_sign_ins()
    here, idle = sign_in_with(FIREFOX), sign_in_with(EDGE)
    assert len(buttons(here)) == 1
    rows = BrowserSession.objects.filter(session_key=idle.cookies["sessionid"].value)
    rows.update(expire_date=timezone.now())
    assert buttons(here) == []


@pytest.mark.django_db(transaction=True)
def test_who_was_signed_in_before_there_were_browsers_stays_so(analyst: User) -> None:
    executor = MigrationExecutor(connection)
    executor.migrate([("accounts", "0008_longer_request_ids")])
    try:
        for user in (analyst.pk, 0):
            store = db.SessionStore()
            store[SESSION_KEY] = str(user)
            store.save()
    finally:
        executor.loader.build_graph()
        executor.migrate(executor.loader.graph.leaf_nodes())
    assert [row.user for row in BrowserSession.objects.all()] == [analyst]
