"""API tokens: made, listed, used and revoked, over the API and on the account page."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import ApiToken, User
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db

TOKENS = "/api/v1/auth/tokens"


def bearer(secret: str) -> Client:
    return Client(headers={"Authorization": f"Bearer {secret}"})


def works(secret: str) -> bool:
    return bearer(secret).get("/api/v1/me").status_code == 200


def sign_in(user: User, **options: object) -> Client:
    client = Client(**options)
    client.force_login(user)
    return client


def api_sign_in(username: str = "analyst", password: str = "pw") -> str:
    body = {"username": username, "password": password}
    response = Client().post("/api/v1/auth/login", body, content_type="application/json")
    return response.json()["token"]


def make(client: Client, **body: object) -> object:
    return client.post(TOKENS, {"name": "Nightly"} | body, content_type="application/json")


@pytest.fixture
def signed_in(analyst: User) -> Client:
    return bearer(api_sign_in())


# --- Over the API -----------------------------------------------------------------------------


def test_a_token_is_shown_once_and_stored_as_a_hash(signed_in: Client, analyst: User) -> None:
    response = make(signed_in)
    made = response.json()
    assert response.status_code == 201
    assert response.headers["Cache-Control"] == "no-store"
    assert re.fullmatch(r"sitrep_[0-9a-f]{64}", made["token"])
    assert works(made["token"])
    listed = signed_in.get(TOKENS).json()["results"]
    assert [token["name"] for token in listed] == ["Nightly", "API sign-in"]
    assert [token["is_current"] for token in listed] == [False, True]
    assert listed[0] == {k: v for k, v in made.items() if k != "token"} | {
        "last_used_at": listed[0]["last_used_at"]
    }
    assert made["token"] not in str(ApiToken.objects.values()) + signed_in.get(TOKENS).text


@pytest.mark.parametrize(("days", "kept"), [(None, 30), (1, 1), (365, 365)])
def test_a_token_expires_when_it_was_asked_to(
    signed_in: Client, days: int | None, kept: int
) -> None:
    make(signed_in, **({"expires_in_days": days} if days else {}))
    lifetime = ApiToken.objects.get(name="Nightly").expiry - timezone.now()
    assert timedelta(days=kept, minutes=-5) < lifetime <= timedelta(days=kept)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"expires_in_days": 366}, "expires_in_days"),
        ({"expires_in_days": 0}, "expires_in_days"),
        ({"expires_in_days": "30"}, "expires_in_days"),
        ({"expires_in_days": None}, "expires_in_days"),
        ({"expires_in_days": True}, "expires_in_days"),
        ({"name": ""}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"expiry": None}, "expiry"),
        ({"user": 1}, "user"),
        ({"session_hash": "x"}, "session_hash"),
        ({"digest": "0" * 128}, "digest"),
    ],
)
def test_a_bad_token_request_names_the_field(
    signed_in: Client, body: dict[str, object], field: str
) -> None:
    response = make(signed_in, **body)
    assert (response.status_code, list(response.json()["details"])) == (400, [field])
    assert ApiToken.objects.count() == 1


def test_names_are_each_users_own(signed_in: Client, outsider: User) -> None:
    assert make(signed_in).status_code == 201
    again = make(signed_in, name="nightly")
    assert (again.status_code, again.json()["error"]) == (409, "TokenNameTaken")
    assert make(bearer(api_sign_in("outsider"))).status_code == 201


def test_tokens_are_bounded_and_expired_ones_make_room(signed_in: Client) -> None:
    for number in range(ApiToken.objects.LIMIT):
        assert make(signed_in, name=f"Number {number}").status_code == 201
    refused = make(signed_in, name="One more")
    assert (refused.status_code, refused.json()["error"]) == (409, "TokenLimitReached")
    ApiToken.objects.filter(name="Number 3").update(expiry=timezone.now())
    assert make(signed_in, name="One more").status_code == 201
    assert not ApiToken.objects.filter(name="Number 3").exists()


def test_the_oldest_sign_in_ends_where_there_are_too_many(signed_in: Client) -> None:
    make(signed_in)
    secrets = [api_sign_in() for _ in range(ApiToken.objects.LIMIT)]
    assert signed_in.get("/api/v1/me").status_code == 401
    assert works(secrets[0])
    assert ApiToken.objects.filter(name="Nightly").exists()


def test_a_programs_token_makes_no_tokens(signed_in: Client) -> None:
    program = bearer(make(signed_in).json()["token"])
    refused = make(program, name="Successor")
    assert (refused.status_code, refused.json()["error"]) == (403, "Forbidden")
    assert "auth/login" in refused.json()["message"]
    assert not ApiToken.objects.filter(name="Successor").exists()


def test_a_session_makes_tokens_with_a_csrf_token_only(analyst: User) -> None:
    client = sign_in(analyst, enforce_csrf_checks=True)
    assert make(client).status_code == 403
    assert not ApiToken.objects.exists()
    client.get("/account/")
    csrf = {"X-CSRFToken": client.cookies["csrftoken"].value}
    body = {"name": "Nightly"}
    made = client.post(TOKENS, body, content_type="application/json", headers=csrf)
    assert made.status_code == 201
    path = f"{TOKENS}/{made.json()['id']}"
    assert client.delete(path).status_code == 403
    assert client.delete(path, headers=csrf).status_code == 204


def test_a_revoked_token_stops_working_at_once(signed_in: Client) -> None:
    made = make(signed_in).json()
    assert works(made["token"])
    assert signed_in.delete(f"{TOKENS}/{made['id']}").status_code == 204
    assert not works(made["token"])
    assert signed_in.delete(f"{TOKENS}/{made['id']}").status_code == 404


def test_nobody_revokes_or_sees_anothers_token(
    signed_in: Client, analyst: User, outsider: User, admin: User
) -> None:
    made = make(signed_in).json()
    for other in (outsider, admin):
        client = ApiClient(other)
        assert client.delete(f"{TOKENS}/{made['id']}").status_code == 404
        assert made["id"] not in client.get(TOKENS).text
        sign_in(other).post(f"/account/tokens/{made['id']}/revoke/")
    assert works(made["token"])


# --- Misuse -----------------------------------------------------------------------------------


def test_a_token_of_another_form_is_refused_without_a_query(
    analyst: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    _, secret = ApiToken.objects.issue(analyst, "Nightly", timedelta(days=1))
    bad = [secret.removeprefix("sitrep_"), secret.upper(), secret[:-1], f"{secret}0"]
    for wrong in (*bad, f"other_{secret.removeprefix('sitrep_')}"):
        with django_assert_num_queries(0):
            assert not works(wrong)
    assert works(secret)


def test_the_beginning_of_a_token_is_not_enough(analyst: User) -> None:
    _, secret = ApiToken.objects.issue(analyst, "Nightly", timedelta(days=1))
    assert not works(secret[:-1] + ("0" if secret[-1] != "0" else "1"))


def test_a_request_costs_one_query_whatever_tokens_there_are(
    analyst: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    secrets = [
        ApiToken.objects.issue(analyst, f"Number {n}", timedelta(days=1))[1] for n in range(5)
    ]
    ApiToken.objects.filter(name="Number 3").update(expiry=timezone.now())
    ApiToken.objects.update(last_used_at=timezone.now())
    with django_assert_num_queries(1):
        bearer(secrets[0]).put("/api/v1/me")
    assert not works(secrets[3])


def test_a_disabled_users_tokens_stop_working_at_once_and_stay_theirs(analyst: User) -> None:
    _, secret = ApiToken.objects.issue(analyst, "Nightly", timedelta(days=1))
    sign_in_secret = api_sign_in()
    User.objects.filter(pk=analyst.pk).update(is_active=False)
    assert not works(secret)
    assert not works(sign_in_secret)
    User.objects.filter(pk=analyst.pk).update(is_active=True)
    assert works(secret)


@pytest.mark.parametrize("door", ["account", "admin", "shell"])
def test_a_changed_password_ends_sign_ins_and_sessions_but_not_programs_tokens(
    analyst: User, admin: User, door: str
) -> None:
    _, program = ApiToken.objects.issue(analyst, "Nightly", timedelta(days=1))
    sign_in_secret, session, here = api_sign_in(), sign_in(analyst), sign_in(analyst)
    new = {"password1": "Bergamot-tea-9", "password2": "Bergamot-tea-9"}
    if door == "account":
        here.post("/account/password/", password_form("Bergamot-tea-9"))
    elif door == "admin":
        new |= {"usable_password": "true", "set-password": "1"}
        sign_in(admin).post(f"/admin/accounts/user/{analyst.pk}/password/", new)
    else:
        analyst.set_password("Bergamot-tea-9")
        analyst.save()
    assert User.objects.get(pk=analyst.pk).check_password("Bergamot-tea-9")
    assert not works(sign_in_secret)
    assert session.get("/account/").status_code == 302
    assert here.get("/account/").status_code == (200 if door == "account" else 302)
    assert works(program)
    assert [
        token.name for token in ApiToken.objects.usable_by(User.objects.get(pk=analyst.pk))
    ] == ["Nightly"]


# --- On the account page ----------------------------------------------------------------------


def password_form(new: str, **other: str) -> dict[str, str]:
    fields = {"old_password": "pw", "new_password1": new, "new_password2": new} | other
    return {f"password-{name}": value for name, value in fields.items()}


def test_the_page_shows_a_new_token_once(analyst: User) -> None:
    client = sign_in(analyst)
    response = client.post("/account/tokens/", {"token-name": "Nightly", "token-days": "90"})
    assert response.status_code == 201
    assert "no-store" in response.headers["Cache-Control"]
    [secret] = re.findall(r"sitrep_[0-9a-f]{64}", response.text)
    assert works(secret)
    page = client.get("/account/")
    assert "Nightly" in page.text
    assert secret not in page.text
    lifetime = ApiToken.objects.get().expiry - timezone.now()
    assert timedelta(days=89) < lifetime <= timedelta(days=90)


@pytest.mark.parametrize(
    ("form", "status", "words"),
    [
        ({"token-name": "", "token-days": "30"}, 400, "Give the token a name"),
        ({"token-name": "New", "token-days": "3650"}, 400, "Select a valid choice"),
        ({"token-name": "TAKEN", "token-days": "30"}, 409, "You have a token “TAKEN” already"),
    ],
)
def test_the_page_says_what_is_wrong_with_a_token(
    analyst: User, form: dict[str, str], status: int, words: str
) -> None:
    ApiToken.objects.issue(analyst, "Taken", timedelta(days=1))
    response = sign_in(analyst).post("/account/tokens/", form)
    assert response.status_code == status
    assert words in response.text
    assert ApiToken.objects.count() == 1


def test_the_page_revokes_a_token(analyst: User) -> None:
    token, secret = ApiToken.objects.issue(analyst, "Nightly", timedelta(days=1))
    client = sign_in(analyst)
    path = f"/account/tokens/{token.token_key}/revoke/"
    assert path in client.get("/account/").text
    assert client.post(path).headers["Location"] == "/account/#tokens"
    assert not works(secret)
    assert "You have no tokens" in client.get("/account/").text


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (password_form("Bergamot-tea-9", old_password="wrong"), "not your current password"),
        (password_form("Bergamot-tea-9", new_password2="other"), "are not the same"),
        (password_form("short"), "too short"),
        (password_form("analyst12345"), "too similar"),
    ],
)
def test_a_refused_password_says_why(analyst: User, form: dict[str, str], words: str) -> None:
    response = sign_in(analyst).post("/account/password/", form)
    assert response.status_code == 400
    assert words in response.text
    assert response.text.count("autofocus") == 1
    assert User.objects.get(pk=analyst.pk).check_password("pw")


def test_changing_the_password_revokes_programs_tokens_if_asked_to(
    analyst: User, outsider: User
) -> None:
    _, program = ApiToken.objects.issue(analyst, "Nightly", timedelta(days=1))
    _, theirs = ApiToken.objects.issue(outsider, "Nightly", timedelta(days=1))
    form = password_form("Bergamot-tea-9", revoke_tokens="on")
    assert sign_in(analyst).post("/account/password/", form).status_code == 302
    assert not works(program)
    assert works(theirs)


def test_the_page_says_what_one_may_and_what_is_left(trainee: User) -> None:
    page = sign_in(trainee).get("/account/").text
    assert re.search(r"Knowledge base</dt><dd[^>]*>No access", page)
    assert "of 50 simulations used" in page
    User.objects.filter(pk=trainee.pk).update(modules=[])
    assert "simulations used" not in sign_in(trainee).get("/account/").text


def test_the_page_costs_few_queries(
    analyst: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(5):
        ApiToken.objects.issue(analyst, f"Number {number}", timedelta(days=1))
    client = sign_in(analyst)
    with django_assert_max_num_queries(5):
        client.get("/account/")
