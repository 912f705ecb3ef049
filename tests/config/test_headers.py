"""What answers tell browsers, whoever made them; and what is refused before anybody looks at it."""

import re
from collections.abc import Iterator
from itertools import product

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from config.refusals import METHODS
from knowledge.models import Article
from simulations import services
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db

Answers = Iterator[tuple[HttpResponse, str]]

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
POLICY = ["default-src 'none'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"]
# Pages, data, files, redirects, refusals, failures: one of each that is made somewhere else.
PLACES = [
    *("/", "/sign-in/", "/simulations/", "/account/", "/nowhere/", "/usage/?months=x"),
    *("/usage/by-user.csv", "/usage/by-user.csv?months=x", "/account/export/", "/agents/"),
    *("/knowledge/articles/gate-001/", "/knowledge/articles/nothing-001/", "/webhooks/openai/"),
    *("/healthz", "/readyz", "/metrics", "/static/css/sitrep.css", "/static/nothing.css"),
    *("/static/", "/static/css/"),
    *("/api/v1/me", "/api/v1/simulations", "/api/v1/nothing", "/api/v1/docs", "/api/v1/schema"),
    *("/api", "/admin/", "/admin/nothing/", "/admin/accounts/user/", "/admin/jsi18n/"),
]


@pytest.fixture
def places(analyst: User) -> list[str]:
    article = {"slug": "gate-001", "title": "Gate", "category": "Testing", "text": "Text."}
    Article.objects.create(status="published", **article)
    simulation = services.submit(analyst, "Who checks the gate?")
    own = ["", "status/", "manifest/", "manifest.json", "answer.md", "follow-up/"]
    return PLACES + [f"/simulations/{simulation.pk}/{rest}" for rest in own]


@pytest.fixture
def visitors(analyst: User, admin: User) -> list[Client]:
    found = [Client(), Client(), Client(), ApiClient(analyst)]
    for visitor, user in zip(found[1:], [analyst, admin], strict=False):
        visitor.force_login(user)
    for visitor in found:
        visitor.raise_request_exception = False
    return found


@pytest.fixture
def answers(places: list[str], visitors: list[Client]) -> Answers:
    return ask(places, visitors)


def ask(places: list[str], visitors: list[Client]) -> Answers:
    for place, visitor in product(places, visitors):
        response = visitor.get(place)
        yield response, place
        response.close()


def test_every_answer_has_them(answers: Answers) -> None:
    for response, place in answers:
        assert {name: response.headers.get(name) for name in HEADERS} == HEADERS, place
        assert "camera=()" in response.headers["Permissions-Policy"], place
        policy = response.headers["Content-Security-Policy"].split("; ")
        assert set(POLICY) <= set(policy), place
        assert "unsafe" not in response.headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in response.headers


def test_nothing_of_anybodys_is_kept_in_a_cache(answers: Answers) -> None:
    for response, place in answers:
        if not place.startswith("/static/css/sitrep"):
            assert "no-store" in response.headers["Cache-Control"], place


def test_what_was_typed_for_a_question_outlives_the_back_button(analyst: User) -> None:
    """Browsers restore no form of a page that must not be stored; this one shows no question."""
    client = Client()
    client.force_login(analyst)
    kept = client.get("/simulations/new/").headers["Cache-Control"]
    assert {"private", "no-cache"} == set(kept.replace(" ", "").split(","))
    assert client.post("/simulations/new/", {}).headers["Cache-Control"] == "no-store"


def test_texts_name_their_characters(answers: Answers) -> None:
    for response, place in answers:
        kind = response.headers.get("Content-Type", "")
        assert kind, place
        if kind.startswith(("text/", "application/xml")):
            assert re.search(r"; charset=.?utf-8", kind), f"{place}: {kind}"


def test_there_are_no_directory_listings() -> None:
    for place in ("/static/", "/static/css/", "/static/js"):
        assert Client().get(place).status_code == 404


@pytest.mark.parametrize("method", ["TRACE", "TRACK", "CONNECT", "PROPFIND"])
@pytest.mark.parametrize("place", ["/", "/sign-in/", "/admin/", "/api/v1/me", "/static/css/x.css"])
def test_methods_that_nothing_has_are_refused(method: str, place: str) -> None:
    response = Client(headers={"X-Custom": "echo-me"}).generic(method, place)
    assert (response.status_code, response.headers["Allow"]) == (405, ", ".join(METHODS))
    assert "echo-me" not in response.text


# --- Without TLS, where the site is served with it --------------------------------------------


@pytest.fixture
def https(settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_REDIRECT_EXEMPT = [
        *(r"^healthz$", r"^readyz$", r"^api/", r"^webhooks/", r"^metrics$")
    ]


@pytest.mark.usefixtures("https")
@pytest.mark.parametrize(
    "place", ["/api/v1/me", "/api/v1/auth/login", "/webhooks/openai/", "/metrics"]
)
def test_programs_are_not_redirected_but_told(analyst: User, place: str) -> None:
    response = ApiClient(analyst).post(place)
    assert response.status_code == 403
    assert "Only https is accepted" in response.json()["message"]


@pytest.mark.usefixtures("https")
def test_people_are_redirected_and_probes_are_answered() -> None:
    for place in ("/", "/sign-in/", "/simulations/?q=gate", "/admin/"):
        response = Client().get(place)
        assert response.status_code == 301
        assert response.headers["Location"] == f"https://testserver{place}"
    assert Client().get("/healthz").status_code == 200
    assert Client().get("/api/v1/me", secure=True).status_code == 401


def test_cookies_are_out_of_the_reach_of_scripts_and_other_sites(analyst: User) -> None:
    client = Client()
    client.get("/sign-in/")
    client.post("/sign-in/", {"username": "analyst", "password": "pw"})
    assert set(client.cookies) == {settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME}
    for cookie in client.cookies.values():
        assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
        assert (cookie["path"], cookie["domain"]) == ("/", "")
