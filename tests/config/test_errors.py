"""The one shape in which API clients see every failure."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from django.db import OperationalError, connection
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from simulations import services
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("app_env", "message"),
    [
        ("production", "An unexpected error occurred"),
        ("development", "RuntimeError: the reason"),
    ],
)
def test_an_unforeseen_failure_hides_its_message_in_production(
    analyst: User,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    app_env: str,
    message: str,
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("the reason")

    settings.ENV = replace(settings.ENV, app_env=app_env)
    monkeypatch.setattr(services, "submit", fail)
    response = ApiClient(analyst).post_json("simulations", {"query": "Why?"})
    assert response.status_code == 500
    body = response.json()
    assert body == {
        "error": "InternalServerError",
        "message": message,
        "statusCode": 500,
        "requestId": response.headers["X-Request-ID"],
    }


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/v1/", "/api/v1/nothing", "/api/v1/simulations/7"]
)
@pytest.mark.parametrize("method", ["get", "post", "delete", "put"])
def test_unknown_places_answer_in_json(analyst: User, path: str, method: str) -> None:
    response = getattr(ApiClient(analyst), method)(path)
    assert response.status_code == 404
    assert response.json()["error"] == "NotFound"


def test_a_wrong_method_answers_in_the_one_shape(analyst: User) -> None:
    response = ApiClient(analyst).delete("/api/v1/simulations")
    assert response.status_code == 405
    assert response.json()["error"] == "MethodNotAllowed"
    assert "GET" in response.headers["Allow"]


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/api/v1/me", {"Host": "elsewhere.example"}, 400),
        ("/api/v1/nothing", {}, 404),
        ("/api", {}, 404),
        ("/api/v1/me", {"Accept": "text/html"}, 406),
        ("/api/v1/knowledge/articles/a%00b", {}, 404),
        ("/api/v1/knowledge/articles/%ED%A0%80", {}, 404),
        ("/api/v1/simulations?cursor=%00", {}, 400),
        ("/api/v1/knowledge/search?q=%00", {}, 400),
        ("/api/v1/agents/99999999999999999999", {}, 404),
    ],
)
def test_no_failure_is_a_page(
    admin: User, settings: Settings, debug: bool, path: str, headers: dict[str, str], status: int
) -> None:
    settings.DEBUG = debug
    response = ApiClient(admin).get(path, headers=headers | {"X-Request-ID": "abcd-1234"})
    assert (response.status_code, response.json()["statusCode"]) == (status, status)
    assert response.json()["requestId"] == response.headers["X-Request-ID"] == "abcd-1234"


@pytest.mark.parametrize("given", ["short", "x" * 129, "a b c d e f", "line\tbreak", "ünïcödé-id"])
def test_an_odd_request_id_is_replaced(given: str) -> None:
    response = ApiClient().get("/api/v1/me", headers={"X-Request-ID": given})
    assert response.headers["X-Request-ID"] != given
    assert response.json()["requestId"] == response.headers["X-Request-ID"]


def test_whoever_signs_in_by_session_needs_the_csrf_token(analyst: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(analyst)
    refused = client.post("/api/v1/simulations", {"query": "Why?"}, "application/json")
    assert (refused.status_code, refused.json()["error"]) == (403, "Forbidden")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("knowledge/match", {"text": "x", "include_drafts": 1}, "include_drafts"),
        ("knowledge/match", {"text": "x", "include_drafts": "yes"}, "include_drafts"),
        ("knowledge/keywords", {"phrase": "x", "whole_word": "no"}, "whole_word"),
        ("knowledge/keywords", {"phrase": "x", "position": "7"}, "position"),
        ("answer-rules", {"phrase": "Overview", "is_active": 0}, "is_active"),
        ("auth/logout", {"all": True}, "all"),
        ("auth/login", {"username": 5, "password": "x"}, "username"),
    ],
)
def test_a_value_of_another_type_is_refused_by_field(
    admin: User, path: str, body: object, field: str
) -> None:
    response = ApiClient(admin).post_json(path, body)
    assert response.status_code == 400
    assert field in response.json()["details"]


@pytest.fixture
def database_away() -> Iterator[None]:
    def refuse(*args: object) -> None:
        raise OperationalError("the connection was refused")

    with connection.execute_wrapper(refuse):
        yield


@pytest.mark.usefixtures("database_away")
def test_while_the_database_is_away_clients_are_told_to_try_again() -> None:
    response = ApiClient().get(
        "/api/v1/simulations", headers={"Authorization": f"Bearer sitrep_{'0' * 64}"}
    )
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert response.json()["error"] == "ServiceUnavailable"


def test_a_page_says_so_too(analyst: User) -> None:
    client = Client()
    client.force_login(analyst)

    def refuse(execute: Callable[..., object], sql: str, *args: object) -> object:
        if "simulations_simulation" in sql:
            raise OperationalError("the connection was refused")
        return execute(sql, *args)

    with connection.execute_wrapper(refuse):
        response = client.get("/simulations/")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert b"database can" in response.content
