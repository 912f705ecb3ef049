"""Which passwords are taken, and that each is compared as it was typed."""

import gzip
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import global_settings
from django.contrib.auth import password_validation
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.exceptions import ValidationError
from django.test import Client

import config.settings
from accounts.models import User
from accounts.passwords import words_of
from tests.accounts.test_tokens import api_sign_in, password_form, sign_in, works

STATIC = Path(__file__).resolve().parents[2] / "static" / "js"
LONG = "correct horse battery staple " * 5

UNUSUAL = [
    "twelve-chars",
    "onlylowercaseletters",
    "391740268517",
    "пароль-из-многих-слов",
    "🦊🦔🐢🐬🦉🐝🦋🐌🐞🦀🐙🦑",
    LONG,
    "x" * 50 + "'\";<&>\\`$(){}|" + "y" * 64,
    "two  spaces and a tab\t inside",
    "Sitrep is where our gates are watched",
]


def change(user: User, password: str, **other: str) -> int:
    return sign_in(user).post("/account/password/", password_form(password, **other)).status_code


@pytest.mark.django_db
@pytest.mark.parametrize("password", UNUSUAL)
def test_any_characters_and_any_length_make_a_password(analyst: User, password: str) -> None:
    assert change(analyst, password) == 302
    client = Client()
    client.post("/sign-in/", {"username": "analyst", "password": password})
    assert client.get("/account/").status_code == 200
    assert works(api_sign_in(password=password))


@pytest.mark.django_db
@pytest.mark.parametrize("door", ["page", "api"])
def test_a_password_is_compared_as_it_was_typed(analyst: User, door: str) -> None:
    password = f" {LONG}Ä "
    assert change(analyst, password) == 302
    for other in (password.strip(), password.lower(), password[:72], f"{password}x", LONG):
        body = {"username": "analyst", "password": other}
        if door == "page":
            assert Client().post("/sign-in/", body).status_code == 200
        else:
            path = "/api/v1/auth/login"
            assert Client().post(path, body, content_type="application/json").status_code == 401


def common_passwords() -> list[str]:
    path = Path(password_validation.__file__).with_name("common-passwords.txt.gz")
    with gzip.open(path, "rt") as lines:
        return [line.strip() for line in lines if len(line.strip()) >= 12]


REFUSED = [
    ("eleven-char", "too short"),
    ("analyst12345", "too similar"),
    (common_passwords()[0], "too common"),
    ("Sitrep-2026!!", "would try for this site"),
    ("localhost-SITREP-1", "would try for this site"),
    ("admin.SITREP.Analyst.2026", "would try for this site"),
    ("Security-Password-99", "would try for this site"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("password", "words"), REFUSED)
@pytest.mark.parametrize("door", ["account", "admin", "new"])
def test_what_is_easily_guessed_is_refused(
    analyst: User, admin: User, password: str, words: str, door: str
) -> None:
    twice = {"password1": password, "password2": password, "usable_password": "true"}
    if door == "account":
        response = sign_in(analyst).post("/account/password/", password_form(password))
    elif door == "admin":
        path = f"/admin/accounts/user/{analyst.pk}/password/"
        response = sign_in(admin).post(path, twice | {"set-password": "1"})
    else:
        form = {"username": "analyst-2", "role": "ANALYST", "monthly_simulation_limit": "7"}
        response = sign_in(admin).post("/admin/accounts/user/add/", form | twice)
    assert words in response.text
    assert User.objects.get(pk=analyst.pk).check_password("pw")
    assert not User.objects.filter(username="analyst-2").exists()


def test_the_host_s_own_words_are_among_them() -> None:
    words = words_of("https://risk-desk.ngo-alliance.example.org:8443")
    assert words == {"risk", "desk", "alliance", "example"}


def test_words_of_the_place_do_not_spoil_a_long_password() -> None:
    for password in UNUSUAL:
        password_validation.validate_password(password)
    with pytest.raises(ValidationError, match="words that anybody would try"):
        password_validation.validate_password("sitrep sitrep sitrep")


@pytest.mark.django_db
def test_a_change_needs_the_current_password(analyst: User) -> None:
    assert change(analyst, "Bergamot-tea-9", old_password="") == 400
    assert change(analyst, "Bergamot-tea-9", old_password="wrong") == 400
    assert User.objects.get(pk=analyst.pk).check_password("pw")


# --- How they are typed -----------------------------------------------------------------------


class PasswordInputs(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        fields = dict(attrs)
        if tag == "input" and "password" in (fields.get("name") or ""):
            self.found.append(fields)


@pytest.mark.django_db
def test_passwords_are_masked_and_left_to_password_managers(analyst: User, admin: User) -> None:
    pages = [
        (Client(), "/sign-in/", {"current-password"}),
        (sign_in(analyst), "/account/", {"current-password", "new-password"}),
        (sign_in(admin), "/admin/accounts/user/add/", {"new-password"}),
        (sign_in(admin), f"/admin/accounts/user/{analyst.pk}/password/", {"new-password"}),
    ]
    for client, path, purposes in pages:
        inputs = [
            field
            for field in PasswordInputs(client.get(path).text).found
            if field["type"] not in {"radio", "checkbox", "submit"}
        ]
        assert {field["type"] for field in inputs} == {"password"}, path
        assert {field["autocomplete"] for field in inputs} == purposes, path
        assert not any("maxlength" in field or "onpaste" in field for field in inputs), path


def test_no_script_looks_at_what_is_pasted() -> None:
    scripts = [path.read_text(encoding="utf-8") for path in STATIC.glob("*.js")]
    assert scripts
    assert not any(re.search(r"\bpaste\b", script) for script in scripts)


# --- How they are kept ------------------------------------------------------------------------


def test_they_are_kept_as_slow_hashes() -> None:
    """Tests use a quick one; the product has Django's own."""
    assert not hasattr(config.settings, "PASSWORD_HASHERS")
    kept_with = global_settings.PASSWORD_HASHERS[0]
    assert kept_with == f"{PBKDF2PasswordHasher.__module__}.{PBKDF2PasswordHasher.__qualname__}"
    assert PBKDF2PasswordHasher.digest.__name__ == "openssl_sha256"
    assert PBKDF2PasswordHasher.iterations >= 600_000


@pytest.mark.django_db
def test_a_new_installation_has_no_users() -> None:
    assert not User.objects.exists()
