"""How many requests a minute are taken, and what becomes of those beyond."""

import logging
import re
import time
from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from pytest_django import Settings

from accounts.models import ApiToken, User
from config import throttling
from simulations.models import Simulation
from tests import services
from tests.conftest import ApiClient

pytestmark = pytest.mark.django_db

QUESTION = {"query": "Who checks the gate?"}
MOMENT = 1_800_000_015.0  # a quarter into its minute


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stands still, so that no minute ends within a test."""
    monkeypatch.setattr(throttling, "now", lambda: MOMENT)
    monkeypatch.setattr(throttling, "counter", throttling.CacheCounter())
    cache.clear()
    yield
    cache.clear()


def statuses(client: Client, times: int, path: str = "me") -> list[int]:
    return [client.get(f"/api/v1/{path}").status_code for _ in range(times)]


def submit(client: Client, key: str = "", query: str = "Who checks the gate?") -> object:
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(
        "/api/v1/simulations", {"query": query}, content_type="application/json", headers=headers
    )


def test_beyond_the_limit_it_is_429_with_when_to_try_again(
    analyst: User, settings: Settings
) -> None:
    settings.THROTTLE_TOKEN = 2
    client = ApiClient(analyst)
    taken = client.get("/api/v1/me")
    assert taken.headers["RateLimit-Policy"] == '"token";q=2;w=60'
    assert taken.headers["RateLimit"] == '"token";r=1;t=45'
    assert client.get("/api/v1/me").headers["RateLimit"] == '"token";r=0;t=45'
    refused = client.get("/api/v1/me")
    body = refused.json()
    assert (refused.status_code, body["error"], body["statusCode"]) == (429, "TooManyRequests", 429)
    assert refused.headers["Retry-After"] == "45"
    assert refused.headers["RateLimit"] == '"token";r=0;t=45'
    assert (
        "Only 2 requests with a token are accepted a minute. Try again in 45 s." in body["message"]
    )


def test_the_next_minute_starts_anew(
    analyst: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.THROTTLE_TOKEN = 1
    client = ApiClient(analyst)
    assert statuses(client, 2) == [200, 429]
    monkeypatch.setattr(throttling, "now", lambda: MOMENT + 44.9)
    assert client.get("/api/v1/me").headers["Retry-After"] == "1"
    monkeypatch.setattr(throttling, "now", lambda: MOMENT + 45)
    assert statuses(client, 2) == [200, 429]


def test_tokens_count_for_themselves_and_for_their_user(
    analyst: User, outsider: User, settings: Settings
) -> None:
    settings.THROTTLE_TOKEN, settings.THROTTLE_USER = 2, 3
    first, second = ApiClient(analyst), ApiClient(analyst)
    assert statuses(first, 3) == [200, 200, 429]
    assert statuses(second, 1) == [429]  # the refused one counted for the user
    session = Client()
    session.force_login(analyst)
    assert statuses(session, 1) == [429]
    assert statuses(ApiClient(outsider), 2) == [200, 200]


def test_both_policies_are_told(analyst: User, settings: Settings) -> None:
    settings.THROTTLE_TOKEN, settings.THROTTLE_USER = 2, 3
    response = ApiClient(analyst).get("/api/v1/me")
    assert response.headers["RateLimit-Policy"] == '"user";q=3;w=60, "token";q=2;w=60'
    assert response.headers["RateLimit"] == '"user";r=2;t=45, "token";r=1;t=45'


def test_signing_in_counts_for_the_address_on_the_page_and_over_the_api(
    analyst: User, settings: Settings
) -> None:
    settings.THROTTLE_ADDRESS = 2
    client = Client(REMOTE_ADDR="192.0.2.1")
    body = {"username": "analyst", "password": "pw"}
    assert client.post("/sign-in/", body | {"password": "wrong"}).status_code == 200
    login = {"data": body, "content_type": "application/json"}
    assert client.post("/api/v1/auth/login", **login).status_code == 200
    assert client.post("/api/v1/auth/login", **login).status_code == 429
    page = client.post("/sign-in/", body)
    assert (page.status_code, page.headers["Retry-After"]) == (429, "45")
    assert "<h1>Only 2 requests without sign-in" in page.text
    elsewhere = Client(REMOTE_ADDR="192.0.2.2")
    assert elsewhere.post("/sign-in/", body).status_code == 302


def test_neither_webhooks_nor_metrics_are_throttled(settings: Settings) -> None:
    settings.THROTTLE_ADDRESS = 1
    for path, method in [("/webhooks/openai/", "post"), ("/metrics", "get")]:
        answers = [getattr(Client(), method)(path).status_code for _ in range(3)]
        assert 429 not in answers


def test_new_simulations_and_their_replays_have_limits_of_their_own(
    analyst: User, settings: Settings
) -> None:
    settings.THROTTLE_SUBMISSIONS, settings.THROTTLE_REPLAYS = 2, 3
    client = ApiClient(analyst)
    assert [submit(client, f"key-{n}").status_code for n in range(3)] == [202, 202, 429]
    # The creating throttle has no say in what is no creation, nor has the quota.
    User.objects.filter(pk=analyst.pk).update(monthly_simulation_limit=2)
    replays = [submit(client, "key-0") for _ in range(4)]
    assert [answer.status_code for answer in replays] == [202, 202, 202, 429]
    assert replays[0].headers["Idempotent-Replayed"] == "true"
    assert "repeated requests" in replays[3].json()["message"]
    assert Simulation.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_slow_cache_holds_no_lock(
    analyst: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.THROTTLE_SUBMISSIONS = settings.THROTTLE_REPLAYS = 9
    client, counted, count = ApiClient(analyst), [], throttling.counter.raise_by_one

    def watch(key: str) -> int | None:
        counted.append((key.split(":")[1], connection.in_atomic_block))
        return count(key)

    monkeypatch.setattr(throttling.counter, "raise_by_one", watch)
    assert [submit(client, "key").status_code for _ in range(2)] == [202, 202]
    assert counted == [("submissions", False), ("replays", False)]


def test_what_a_throttle_refused_can_be_sent_again_with_its_key(
    analyst: User, settings: Settings
) -> None:
    settings.THROTTLE_SUBMISSIONS = 1
    client = ApiClient(analyst)
    assert [submit(client, key).status_code for key in ("one", "two")] == [202, 429]
    cache.clear()
    again = submit(client, "two")
    assert (again.status_code, "Idempotent-Replayed" in again.headers) == (202, False)


@pytest.mark.parametrize("door", ["form", "retry", "follow-up"])
def test_every_door_has_the_limit_of_new_simulations(
    analyst: User, settings: Settings, door: str
) -> None:
    settings.THROTTLE_SUBMISSIONS = 1
    first = submit(ApiClient(analyst)).json()["id"]
    if door == "retry":
        Simulation.objects.transition("FAILED")
    client = Client()
    client.force_login(analyst)
    paths = {"form": "new/", "retry": f"{first}/retry/", "follow-up": f"{first}/follow-up/"}
    response = client.post(f"/simulations/{paths[door]}", QUESTION, follow=True)
    assert "Only 1 new simulations of a user" in response.text
    assert Simulation.objects.count() == 1


def test_without_a_limit_nothing_is_told(analyst: User) -> None:
    assert "RateLimit" not in ApiClient(analyst).get("/api/v1/me").headers


# --- The cache --------------------------------------------------------------------------------


def use_redis(settings: Settings, url: str) -> None:
    options = {"socket_connect_timeout": 0.5, "socket_timeout": 0.5}
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": url,
            "KEY_PREFIX": "sitrep-tests",
            "OPTIONS": options,
        }
    }


def test_while_the_cache_is_away_nothing_is_refused_and_the_log_says_so_once(
    analyst: User,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    use_redis(settings, "redis://127.0.0.1:1/0")  # nobody listens there
    settings.THROTTLE_TOKEN = 1
    client = ApiClient(analyst)
    monkeypatch.setattr(throttling, "PAUSE", 0)
    with caplog.at_level(logging.WARNING, "config.throttling"):
        assert statuses(client, 3) == [200, 200, 200]
        assert ["not throttled" in message for message in caplog.messages] == [True]
        throttling.counter.silent_until = time.monotonic()
        assert statuses(client, 1) == [200]
        assert len(caplog.records) == 2


def test_a_cache_that_is_away_is_left_alone_for_a_while(analyst: User, settings: Settings) -> None:
    use_redis(settings, "redis://127.0.0.1:1/0")
    settings.THROTTLE_TOKEN = 1
    client = ApiClient(analyst)
    statuses(client, 1)
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "new"}
    }
    assert statuses(client, 2) == [200, 200]
    throttling.counter.paused_until = time.monotonic()
    assert statuses(client, 2) == [200, 429]


@pytest.mark.skipif(
    not services.IN_CI and not services.answers(services.BROKER_URL), reason="No Redis answers"
)
def test_redis_counts_for_all_processes_and_forgets(analyst: User, settings: Settings) -> None:
    use_redis(settings, services.BROKER_URL)
    settings.THROTTLE_TOKEN = 2
    client = ApiClient(analyst)
    key = f"throttle:token:{ApiToken.objects.get().pk}:{MOMENT // 60:.0f}"
    cache.delete(key)
    assert statuses(client, 3) == [200, 200, 429]
    lifetime = cache._cache.get_client().ttl(cache.make_key(key))
    assert 0 < lifetime <= 120
    cache.delete(key)


def test_every_limit_has_its_variable() -> None:
    example = (services.Path(__file__).parents[2] / ".env.example").read_text()
    policies = [
        value for value in vars(throttling).values() if isinstance(value, throttling.Policy)
    ]
    assert len(policies) == 5
    for policy in policies:
        assert re.search(rf"^{policy.setting}=\d+$", example, re.MULTILINE)
