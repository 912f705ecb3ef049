"""Sign-in is refused for a while after too many failures: of one user from one address."""

from datetime import timedelta

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db.models import F, Sum
from django.http import HttpResponse
from django.test import Client, RequestFactory
from pytest_django import Settings

from accounts.models import FailedSignIn, User
from config.client_address import client_address

LIMIT = 3
HOME, STRANGE = "192.0.2.10", "198.51.100.7"

DOORS = ["page", "admin", "api"]


@pytest.fixture(autouse=True)
def limit(settings: Settings) -> None:
    settings.AXES_FAILURE_LIMIT = LIMIT


def sign_in(
    door: str = "page",
    password: str = "pw",
    username: str = "analyst",
    address: str = HOME,
    **headers: str,
) -> HttpResponse:
    client = Client(REMOTE_ADDR=address, headers=headers)
    body = {"username": username, "password": password}
    if door == "api":
        return client.post("/api/v1/auth/login", body, content_type="application/json")
    return client.post("/sign-in/" + ("?next=/admin/" if door == "admin" else ""), body)


def gets_in(**options: str) -> bool:
    response = sign_in(**options)
    return response.status_code == (200 if options.get("door") == "api" else 302)


def fail(times: int = LIMIT, **options: str) -> HttpResponse:
    for _ in range(times):
        response = sign_in(password="wrong", **options)
    return response


@pytest.mark.django_db
@pytest.mark.parametrize("door", DOORS)
def test_too_many_failures_close_every_door_and_say_until_when(analyst: User, door: str) -> None:
    assert fail(LIMIT - 1, door=door).status_code == (401 if door == "api" else 200)
    response = fail(1, door=door)
    assert response.status_code == 429
    assert 14 * 60 < int(response.headers["Retry-After"]) <= 15 * 60
    assert "Try again in 15 minutes, at" in response.text
    if door == "api":
        assert response.json()["error"] == "LockedOut"
    else:
        assert 'role="alert"' in response.text  # in the form, which keeps the username
        assert 'value="analyst"' in response.text
    for other in DOORS:
        refused = sign_in(other)
        assert (refused.status_code, "Retry-After" in refused.headers) == (429, True)


@pytest.mark.django_db
def test_fewer_failures_are_forgotten_with_a_success(analyst: User) -> None:
    for door in ("page", "api"):
        fail(LIMIT - 1)
        assert gets_in(door=door)
    assert not FailedSignIn.objects.exists()


@pytest.mark.django_db
def test_a_stranger_locks_nobody_else_out(analyst: User, outsider: User) -> None:
    fail(LIMIT * 2, address=STRANGE)
    assert not gets_in(address=STRANGE)
    assert gets_in(address=HOME)
    assert gets_in(address=STRANGE, username="outsider")


@pytest.mark.django_db
def test_other_browsers_count_together(analyst: User) -> None:
    for number in range(LIMIT):
        fail(1, **{"User-Agent": f"Browser {number}"})
    assert FailedSignIn.objects.count() == LIMIT
    assert not gets_in()


@pytest.mark.django_db
def test_a_lockout_ends_and_knocking_does_not_make_it_last(analyst: User) -> None:
    fail()
    before = list(FailedSignIn.objects.values())
    fail(LIMIT)
    assert list(FailedSignIn.objects.values()) == before
    FailedSignIn.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=15))
    assert gets_in()


@pytest.mark.django_db
def test_who_does_not_exist_is_treated_alike(analyst: User) -> None:
    known = [fail(1, username="analyst") for _ in range(LIMIT + 1)]
    unknown = [fail(1, username="nobody") for _ in range(LIMIT + 1)]
    assert [answer.status_code for answer in known] == [answer.status_code for answer in unknown]
    assert [status.status_code for status in known] == [200, 200, 429, 429]


@pytest.mark.django_db
def test_a_session_that_was_left_open_is_no_way_to_guess_the_password(analyst: User) -> None:
    client = Client(REMOTE_ADDR=HOME)
    client.force_login(analyst)
    new = {"password-new_password1": "Bergamot-tea-9", "password-new_password2": "Bergamot-tea-9"}

    def change(old: str) -> HttpResponse:
        return client.post("/account/password/", new | {"password-old_password": old})

    assert [change("wrong").status_code for _ in range(LIMIT)] == [400] * (LIMIT - 1) + [429]
    refused = change("pw")
    assert (refused.status_code, "Retry-After" in refused.headers) == (429, True)
    assert "Try again in 15 minutes" in refused.text
    assert not gets_in()
    FailedSignIn.objects.all().delete()
    assert change("pw").status_code == 302


@pytest.mark.django_db
@pytest.mark.parametrize("door", DOORS)
def test_nothing_that_was_sent_is_kept(analyst: User, door: str) -> None:
    sign_in(door, password="a-canary")
    client = Client(REMOTE_ADDR=HOME)
    client.force_login(analyst)
    fields = ("old_password", "new_password1", "new_password2")
    body = {f"password-{name}": "a-canary" for name in fields}
    assert client.post("/account/password/?hint=a-canary", body).status_code == 400
    kept = FailedSignIn.objects.get()
    assert kept.failures_since_start == 2
    assert "canary" not in str(FailedSignIn.objects.values())


class CountingHasher(MD5PasswordHasher):
    hashed = 0

    def encode(self, password: str, salt: str) -> str:
        CountingHasher.hashed += 1
        return super().encode(password, salt)


@pytest.mark.django_db
@pytest.mark.parametrize("door", ["page", "api"])
def test_a_wrong_password_costs_the_same_whoever_it_is_for(
    analyst: User, outsider: User, settings: Settings, door: str
) -> None:
    User.objects.filter(pk=outsider.pk).update(is_active=False)
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    costs = []
    for username in ("analyst", "nobody", "outsider"):
        CountingHasher.hashed = 0
        fail(1, door=door, username=username)
        costs.append(CountingHasher.hashed)
    assert costs == [1, 1, 1]


@pytest.mark.django_db
def test_an_admin_sees_and_lifts_a_lockout(analyst: User, admin: User) -> None:
    for number in range(LIMIT):
        fail(1, **{"User-Agent": f"Browser {number}"})
    fail(1, address=STRANGE)
    client = Client()
    client.force_login(admin)
    page = client.get("/admin/accounts/failedsignin/").text
    assert page.count('class="field-locked_out nowrap">') == LIMIT  # a time
    assert page.count('class="field-locked_out">-') == 1
    chosen = FailedSignIn.objects.filter(ip_address=HOME).first()
    action = {"action": "lift", "_selected_action": [chosen.pk]}
    assert client.post("/admin/accounts/failedsignin/", action).status_code == 302
    assert gets_in()
    assert FailedSignIn.objects.aggregate(left=Sum("failures_since_start")) == {"left": 1}


# --- Behind a proxy ---------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_forged_address_evades_nothing(analyst: User, settings: Settings) -> None:
    for trusted, written in [(False, ""), (True, f", {HOME}")]:
        settings.TRUST_PROXY = trusted
        for number in range(LIMIT):
            fail(1, **{"X-Forwarded-For": f"203.0.113.{number}{written}"})
        assert not gets_in(**{"X-Forwarded-For": f"203.0.113.99{written}"})
        FailedSignIn.objects.all().delete()


@pytest.mark.django_db
def test_behind_a_proxy_people_are_told_apart(analyst: User, settings: Settings) -> None:
    settings.TRUST_PROXY = True
    fail(**{"X-Forwarded-For": STRANGE})
    assert not gets_in(**{"X-Forwarded-For": STRANGE})
    assert gets_in(**{"X-Forwarded-For": HOME})


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::", "2001:db8:1:2::"),
        ("", None),
        ("unknown", None),
    ],
)
def test_the_address_that_counts(address: str, counted: str | None) -> None:
    assert client_address(RequestFactory(REMOTE_ADDR=address).get("/")) == counted
