"""What a log line says, and what it never does."""

import io
import json
import logging
import logging.config
import uuid
from collections.abc import Iterator

import pytest
from django.db import IntegrityError, OperationalError, connection
from django.test import Client
from structlog.contextvars import bound_contextvars

from accounts.models import User
from config.logs import logging_config
from config.request_id import request_id
from tests.conftest import ApiClient

CANARY = "canary-of-a-prompt"


def formatter(*, for_machines: bool = True) -> logging.Formatter:
    config = logging_config("DEBUG", for_machines=for_machines)
    configurator = logging.config.DictConfigurator(config)
    return configurator.configure_formatter(config["formatters"]["line"])


def line_of(record: logging.LogRecord, *, for_machines: bool = True) -> str:
    return formatter(for_machines=for_machines).format(record)


def record_of(
    message: str, error: BaseException | None = None, **extra: object
) -> logging.LogRecord:
    exc_info = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("a.logger", logging.ERROR, "file", 1, message, (), exc_info)
    made.__dict__.update(extra)
    return made


@pytest.fixture
def context() -> Iterator[None]:
    token = request_id.set("request-1")
    with bound_contextvars(simulation_id="simulation-1"):
        yield
    request_id.reset(token)


@pytest.mark.usefixtures("context")
def test_a_line_of_production_is_json_with_its_request_and_simulation() -> None:
    line = json.loads(line_of(record_of("What happened", status=200, other="left out")))
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "What happened",
        "level": "error",
        "logger": "a.logger",
        "request_id": "request-1",
        "simulation_id": "simulation-1",
        "status": 200,
    }


@pytest.mark.usefixtures("context")
def test_a_line_of_development_can_be_read() -> None:
    line = line_of(record_of("What happened", raised(ValueError(CANARY))), for_machines=False)
    assert "What happened" in line
    assert "request_id=request-1" in line
    assert f"ValueError: {CANARY}" in line


def test_a_line_of_development_does_not_show_the_variables_of_an_error() -> None:
    try:
        answer = CANARY * 2
        raise ValueError(len(answer))
    except ValueError as error:
        line = line_of(record_of("What happened", error), for_machines=False)
    assert "ValueError: 36" in line
    assert CANARY * 2 not in line


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except type(error) as caught:
        return caught


def test_errors_are_told_without_the_words_they_quote() -> None:
    error = raised(IntegrityError(f"Failing row contains ({CANARY})"), ValueError(CANARY))
    text = line_of(record_of("It failed", error))
    assert CANARY not in text
    first, cause = json.loads(text)["error"]
    assert (first["type"], cause["type"]) == (
        "django.db.utils.IntegrityError",
        "builtins.ValueError",
    )
    assert first["places"][-1].endswith("raised")


def test_an_outage_of_the_database_is_one_short_line() -> None:
    error = raised(OperationalError(f"connection refused\nCONTEXT: {CANARY}"))
    line = json.loads(line_of(record_of("It failed", error)))
    assert line["database"] == "connection refused"
    assert "error" not in line


def test_what_celery_django_and_gunicorn_say_is_cut() -> None:
    task = record_of(f"Task advance raised {CANARY}", name="celery.app.trace", data={"name": "go"})
    assert json.loads(line_of(task))["event"] == "Task go failed"
    request = record_of(f"Internal Server Error: /{CANARY}", name="django.request")
    assert json.loads(line_of(request))["event"] == "Internal Server Error"
    refused = record_of(f"Invalid host {CANARY}", name="django.security.DisallowedHost")
    assert json.loads(line_of(refused))["event"] == "Refused: DisallowedHost"
    for said, told in [
        (f"Invalid request from ip=::1: Invalid Header: '{CANARY}'", "Invalid request from ip=::1"),
        (f"Error handling request GET /{CANARY}", "Error handling request"),
        ("Listening at: http://127.0.0.1:3001", "Listening at: http://127.0.0.1:3001"),
    ]:
        assert json.loads(line_of(record_of(said, name="gunicorn.error")))["event"] == told


@pytest.mark.parametrize(
    ("asked", "django", "axes"),
    [
        ("DEBUG", "INFO", "WARNING"),
        ("INFO", "INFO", "WARNING"),
        ("WARNING", "WARNING", "WARNING"),
        ("ERROR", "ERROR", "ERROR"),
    ],
)
def test_no_logger_tells_more_than_was_asked_for(asked: str, django: str, axes: str) -> None:
    """And some less: their lower levels quote what people wrote."""
    loggers = logging_config(asked, for_machines=True)["loggers"]
    named = {name: logger["level"] for name, logger in loggers.items() if "level" in logger}
    assert (named["django"], named["gunicorn.error"], named["axes"]) == (django, django, axes)
    levels = logging.getLevelNamesMapping()
    assert min(levels[level] for level in named.values()) >= levels[asked]


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged meanwhile, as in production."""
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(formatter())
    logging.getLogger().addHandler(handler)
    yield handler.stream
    logging.getLogger().removeHandler(handler)


def parsed(lines: io.StringIO, *, of_sign_ins: bool = False) -> list[dict[str, object]]:
    """Those of sign-ins are apart: tests sign in where they need to."""
    found = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [line for line in found if (line["logger"] == "sitrep.sign_in") == of_sign_ins]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "route", "status"),
    [
        ("/knowledge/articles/what-somebody-typed/", "knowledge/articles/<slug:slug>/", 302),
        ("/api/v1/simulations?cursor=typed", "api/v1/simulations", 401),
        ("/typed", None, 404),
    ],
)
def test_each_request_has_one_line_without_what_was_typed(
    lines: io.StringIO, path: str, route: str | None, status: int
) -> None:
    Client(headers={"X-Request-ID": "abcd-1234"}).get(path)
    [line] = parsed(lines)
    assert (line["route"], line["status"]) == (route, status)
    assert (line["request_id"], line["user_id"]) == ("abcd-1234", None)
    assert "typed" not in lines.getvalue()


def test_a_request_s_line_names_the_user_and_the_simulation(
    lines: io.StringIO, analyst: User
) -> None:
    key = str(uuid.uuid4())
    ApiClient(analyst).get(f"/api/v1/simulations/{key}")
    browser = Client()
    browser.force_login(analyst)
    browser.get(f"/simulations/{key}/")
    browser.get("/account/")
    by_token, by_session, another = parsed(lines)
    assert by_token["user_id"] == by_session["user_id"] == another["user_id"] == analyst.pk
    assert by_token["simulation_id"] == by_session["simulation_id"] == key
    assert "simulation_id" not in another


@pytest.mark.parametrize("door", ["page", "api"])
def test_who_signs_in_and_out_and_who_fails_to_is_told(
    lines: io.StringIO, analyst: User, door: str
) -> None:
    client = Client(REMOTE_ADDR="192.0.2.10")
    path = {"page": "/sign-in/", "api": "/api/v1/auth/login"}[door]
    for password in (CANARY, "pw"):
        body = {"username": "analyst", "password": password}
        kind = {} if door == "page" else {"content_type": "application/json"}
        client.post(path, body, **kind)
    client.post("/sign-out/")
    told = parsed(lines, of_sign_ins=True)
    expected = [("Failed to sign in", None), ("Signed in", analyst.pk)]
    if door == "page":
        expected.append(("Signed out", analyst.pk))
    assert [(line["event"], line["user_id"]) for line in told] == expected
    assert {line["address"] for line in told} == {"192.0.2.10"}
    assert all(line["request_id"] and line["timestamp"].endswith("Z") for line in told)
    assert CANARY not in lines.getvalue()
    assert "analyst" not in lines.getvalue()


def test_who_is_refused_is_told(lines: io.StringIO, analyst: User) -> None:
    """With what, by whom and how: the request's own line says it."""
    ApiClient(analyst).post_json("agents", {})
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(analyst)
    browser.post("/simulations/new/", {"query": CANARY})
    browser.get("/agents/")
    told = [line for line in parsed(lines) if line["logger"] == "sitrep.request"]
    assert [(line["route"], line["status"], line["user_id"]) for line in told] == [
        ("api/v1/agents", 403, analyst.pk),
        ("simulations/new/", 403, analyst.pk),
        ("agents/", 403, analyst.pk),
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/simulations/", "/nothing", "/api/v1/me"])
def test_while_the_database_is_away_a_request_logs_no_traceback(
    lines: io.StringIO, analyst: User, path: str
) -> None:
    client = Client(raise_request_exception=False)
    client.force_login(analyst)

    def refuse(*args: object) -> None:
        raise OperationalError(f"the connection was refused\nCONTEXT: {CANARY}")

    with connection.execute_wrapper(refuse):
        response = client.get(path)
    if path == "/healthz":
        assert (response.status_code, parsed(lines)) == (200, [])
        return
    outage, request = parsed(lines)
    assert outage["event"] == "The database is away: the connection was refused"
    assert request["status"] == response.status_code == 503
    assert "error" not in outage | request
