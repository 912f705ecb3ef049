"""What the processes of production write while everything goes wrong: lines, and nobody's words."""

import base64
import json
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from django_otp.oath import totp

from scripts import service
from tests import services
from tests.e2e.stack import PASSWORD, Stack, Template
from tests.e2e.test_main_job import wait_until
from tests.simulations.test_webhooks import signed

pytestmark = pytest.mark.timeout(180)

CANARY = "canary7731"
KEY = f"sk-{CANARY}-key"
# In base64 it is another word.
WEBHOOK_CANARY = base64.b64encode(f"{CANARY}-of-webhooks".encode()).decode()
WEBHOOK_SECRET = f"whsec_{WEBHOOK_CANARY}"
# The provider's own words, as the emulator says them.
PROVIDERS_WORDS = ["sk-revoked", "Country, region", "Sorry about that"]
REQUEST_ID = "asked-by-the-canary-test"

# Only what a row holds can say what failed: databases quote it.
ROW_ERRORS = {
    "sqlite": [
        f"""CREATE TRIGGER refuse_{when} BEFORE {event} ON simulations_simulation
        WHEN NEW.query LIKE '%-row-{when}' AND {condition}
        BEGIN SELECT RAISE(ABORT, '{CANARY} as a failing row'); END"""
        for when, event, condition in [
            ("web", "INSERT", "1"),
            ("worker", "UPDATE", "NEW.raw_answer <> ''"),
        ]
    ],
    "postgresql": [
        f"""ALTER TABLE simulations_simulation ADD CONSTRAINT refuse_{when}
        CHECK (NOT (query LIKE '%-row-{when}' AND {condition}))"""
        for when, condition in [("web", "true"), ("worker", "raw_answer <> ''")]
    ],
}


@pytest.fixture(scope="module")
def stack(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("logs"), template, "responses", latency=0.2)
    stack.environment |= {
        "APP_ENV": "production",
        "LOG_LEVEL": "DEBUG",
        "DJANGO_SECRET_KEY": f"{CANARY}-{'x' * 40}",
        "OPENAI_API_KEY": KEY,
        "METRICS_TOKEN": f"{CANARY}-metrics-token",
    }
    try:
        stack.start()
        stack.execute(*ROW_ERRORS["postgresql" if services.ON_POSTGRESQL else "sqlite"])
        yield stack
    finally:
        stack.stop()


def lines_of(stack: Stack) -> list[dict[str, Any]]:
    """Every one of them is JSON, or this fails."""
    return [json.loads(line) for line in stack.log.read_text().splitlines()]


def test_a_question_s_lines_and_calls_name_the_request_that_asked(stack: Stack) -> None:
    stack.emulator.arm("500", "fetch_run")
    client = stack.client("analyst")
    client.headers["X-Request-ID"] = REQUEST_ID
    accepted = client.submit(f"{CANARY}: who checks badges at the gate?")
    simulation = client.wait(accepted.headers["Location"])
    assert simulation["status"] == "COMPLETED"
    [failed] = [line for line in lines_of(stack) if line.get("step") == "FetchRun"]
    assert (failed["request_id"], failed["simulation_id"]) == (REQUEST_ID, simulation["id"])
    assert failed["provider_request_id"].startswith("req_")
    [run] = stack.emulator.runs(simulation=simulation["id"])
    assert run["client_request_id"] == REQUEST_ID
    assert CANARY in simulation["query"]


def fail_at_the_provider(stack: Stack) -> None:
    client = stack.client("analyst")
    places = []
    for kind in ("401", "403", "404", "429", "500", "reset", "drop", "truncated"):
        for operation in ("start_run", "fetch_run"):
            stack.emulator.arm(kind, operation)
            places.append(client.submit(f"{CANARY} {kind} {operation}").headers["Location"])
    for outcome in ("failed", "incomplete", "refusal", "expired"):
        stack.emulator.control(next_outcome=outcome)
        places.append(client.submit(f"{CANARY} {outcome}").headers["Location"])
    for place in places:
        client.wait(place, seconds=60)


def fail_in_the_database(stack: Stack) -> None:
    client = stack.client("analyst")
    assert client.submit(f"{CANARY}-row-web").status_code == 500
    accepted = client.submit(f"{CANARY}-row-worker")
    assert client.wait(accepted.headers["Location"])["error"]["code"] == "internal_error"


def fail_in_the_api(stack: Stack) -> None:
    client = stack.client("analyst")
    json_type = {"Content-Type": "application/json"}
    for body in (f'{{"query": "{CANARY}', f'{{"{CANARY}": 1}}', f'["{CANARY}"]', '{"query": 5}'):
        client.post("simulations", content=body, headers=json_type)
    client.post("simulations", json={"query": CANARY * 20_000})
    with suppress(httpx2.TransportError):  # refused before it is read
        httpx2.post(f"{client.base_url}simulations", content=CANARY * 200_000)
    client.get(f"simulations?{CANARY}={CANARY}")
    client.get(f"knowledge/search?q={CANARY}")
    client.get(f"knowledge/articles/{CANARY}")
    client.post("knowledge/match", json={"text": [CANARY]})
    client.post("auth/login", json={"username": CANARY, "password": CANARY})
    client.post("auth/login", json={"username": "analyst", "password": CANARY})
    client.get("me", headers={"Authorization": f"Bearer sitrep_{CANARY}"})
    client.get("me", headers={"X-Request-ID": f"{CANARY} {CANARY}"})


def fail_on_pages(stack: Stack) -> None:
    with httpx2.Client(base_url=stack.url, timeout=30) as browser:

        def send(path: str, **fields: Any) -> httpx2.Response:
            browser.get("/sign-in/")
            form = fields | {"csrfmiddlewaretoken": browser.cookies["csrftoken"]}
            return browser.post(path, data=form)

        browser.post("/sign-in/", data={"username": "admin", "password": CANARY})  # no CSRF
        send("/sign-in/", username="admin", password=CANARY)
        send("/sign-in/", username=CANARY, password=PASSWORD)
        browser.get(f"/sign-in/?next=/{CANARY}")
        browser.get("/metrics", headers={"Authorization": f"Bearer {CANARY}"})
        browser.get("/", headers={"Host": f"{CANARY}.example"})
        browser.get("/", headers={"Cookie": f"sessionid={CANARY}"})
        browser.request("TRACE", "/", headers={"X-Custom": CANARY})
        sign_in_as_admin(stack, browser)
        for what in ("codes", "remove"):
            send(f"/account/second-factor/{what}/", **{"factor-code": CANARY})
        wrong = {"factor-code": "000000", "factor-password": CANARY}
        assert send("/account/second-factor/remove/", **wrong).status_code == 400
        send("/simulations/new/", query=f"{CANARY}-row-web")
        send("/simulations/new/", query="")
        send("/simulations/new/", query=CANARY * 20_000)
        send("/simulations/new/", **{f"{CANARY}{n}": n for n in range(1100)})
        send("/admin/accounts/user/add/", username="x y", password1=CANARY, password2=PASSWORD)
        send("/admin/accounts/user/1/erase/", username=CANARY)
        send("/account/password/", **{f"password-{name}": CANARY for name in PASSWORD_FIELDS})
        send("/account/tokens/", **{"token-name": CANARY, "token-days": CANARY})
        send(f"/account/tokens/{CANARY}/revoke/")
        send("/simulations/new/sources/", query=f"{CANARY}\0")
        send("/admin/knowledge/article/add/", slug=f"{CANARY} not a slug", text=CANARY)
        browser.get(f"/admin/accounts/user/?q={CANARY}&o=x")
        browser.get(f"/{CANARY}")


def sign_in_as_admin(stack: Stack, browser: httpx2.Client) -> None:
    """With a second factor, set up anew; wrong codes come before right ones."""
    stack.shell(
        "from accounts import second_factor; from accounts.models import User; "
        "second_factor.remove(User.objects.get(username='admin'))"
    )

    def send(path: str, **fields: str) -> httpx2.Response:
        return browser.post(path, data=fields | {"csrfmiddlewaretoken": token})

    browser.get("/sign-in/")
    token = browser.cookies["csrftoken"]
    send("/sign-in/", username="admin", password=PASSWORD)
    send("/sign-in/enrol/", code=CANARY)
    page = browser.get("/sign-in/enrol/").text
    key = re.search(r'<code class="enrol-text"[^>]*>([A-Z2-7 ]+)<', page)[1].replace(" ", "")
    codes = send("/sign-in/enrol/", code=f"{totp(base64.b32decode(key)):06}").text
    assert browser.get("/admin/").status_code == 200
    with httpx2.Client(base_url=stack.url, timeout=30) as other:
        other.get("/sign-in/")
        form = {"csrfmiddlewaretoken": other.cookies["csrftoken"]}
        other.post("/sign-in/", data=form | {"username": "admin", "password": PASSWORD})
        assert other.post("/sign-in/code/", data=form | {"code": CANARY}).status_code == 200
        code = {"code": RECOVERY_CODE.search(codes)[0]}
        assert other.post("/sign-in/code/?recovery", data=form | code).status_code == 302
    written = stack.log.read_text()
    assert "A recovery code" in written
    for secret in (key, base64.b32decode(key).hex(), *RECOVERY_CODE.findall(codes)):
        assert secret not in written


RECOVERY_CODE = re.compile(r"(?:[a-z2-7]{4}-){5}[a-z2-7]{4}")
PASSWORD_FIELDS = ["old_password", "new_password1", "new_password2"]


def fail_to_sign_in_until_locked_out(stack: Stack) -> None:
    with httpx2.Client(base_url=stack.url, timeout=30) as browser:
        browser.get("/sign-in/")
        token = browser.cookies["csrftoken"]
        for _ in range(11):
            body = {"username": "trainee", "password": CANARY}
            on_the_page = browser.post("/sign-in/", data=body | {"csrfmiddlewaretoken": token})
            over_the_api = browser.post("/api/v1/auth/login", json=body | {"username": CANARY})
        assert (on_the_page.status_code, over_the_api.status_code) == (429, 429)


def fail_at_uploads(stack: Stack) -> None:
    """Too large ones, and imports that can't be read."""
    with httpx2.Client(base_url=stack.url, timeout=30) as browser:
        browser.get("/sign-in/")
        form = {"csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        large = {"file": (f"{CANARY}.bin", CANARY.encode() * 200_000)}
        with suppress(httpx2.TransportError):  # refused before it is read
            path = f"{stack.url}/sign-in/"
            assert httpx2.post(path, data=form, files=large).status_code == 413
        sign_in_as_admin(stack, browser)
        form = {"csrfmiddlewaretoken": browser.cookies["csrftoken"]}
        path = "/admin/knowledge/article/import/"
        for kind, content in enumerate([CANARY, f"slug,title\n{CANARY} x,{CANARY}", "{" + CANARY]):
            for number in range(2):
                file = {"import_file": (f"{CANARY}.{kind}", content.encode() + b"\xff" * number)}
                answer = browser.post(path, data=form | {"format": str(number)}, files=file)
                assert answer.status_code < 500


def fail_webhooks(stack: Stack) -> None:
    """At a web process of their own: the others would poll less while they wait for some."""
    port = service.free_port()
    stack.environment["OPENAI_WEBHOOK_SECRET"] = WEBHOOK_SECRET
    stack.start_process("webhooks", service.web("127.0.0.1", port))
    del stack.environment["OPENAI_WEBHOOK_SECRET"]
    url = f"http://127.0.0.1:{port}"
    wait_until(lambda: reaches(f"{url}/healthz"))
    event = json.dumps({"type": "response.completed", "data": {"id": f"resp_{CANARY}"}}).encode()
    good = signed(event, secret=WEBHOOK_SECRET)
    bad = [
        {},
        signed(event, secret="whsec_" + base64.b64encode(CANARY.encode()).decode()),
        signed(event, secret=WEBHOOK_SECRET, age=400),
        good | {"webhook-signature": f"v1,{CANARY}"},
        good | {"webhook-signature": f"v1,\xe9{CANARY}"},
        good | {"webhook-timestamp": CANARY},
        good | {"webhook-id": CANARY},
    ]
    for headers in bad:
        assert post_event(url, event, headers) == 400
    for body in (f"{CANARY} is no JSON", f'{{"type": "{CANARY}"}}', f'["{CANARY}"]'):
        assert post_event(url, body.encode(), signed(body.encode(), secret=WEBHOOK_SECRET)) == 204
    assert post_event(url, event, good) == 204  # of a run that nobody knows
    assert post_event(url, CANARY.encode() * 10_000, good) == 413
    stack.end_process("webhooks")
    assert WEBHOOK_CANARY not in stack.log.read_text()


def post_event(url: str, body: bytes, headers: dict[str, str]) -> int:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return httpx2.post(f"{url}/webhooks/openai/", content=body, headers=raw).status_code


def reaches(url: str) -> bool:
    try:
        return httpx2.get(url).status_code == 200
    except httpx2.TransportError:
        return False


def send_what_is_no_http(stack: Stack) -> None:
    """The web server itself refuses it, before the site sees anything."""
    place = urlsplit(stack.url)
    for text in [
        f"{CANARY}",
        f"GET /{CANARY}",
        f"GET /{CANARY} HTTP/9.{CANARY}",
        f"{CANARY}! / HTTP/1.1",
        f"GET / HTTP/1.1\r\n{CANARY}",
        f"GET / HTTP/1.1\r\nHost: a\r\nX {CANARY}: {CANARY}",
        f"GET / HTTP/1.1\r\nHost: a\r\nX-A: {CANARY}\0",
        f"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {CANARY}",
        f"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: {CANARY}",
        f"GET / HTTP/1.1\r\nHost: a\r\nExpect: {CANARY}",
        f"GET /{CANARY * 1000} HTTP/1.1",
        f"GET / HTTP/1.1\r\nHost: a\r\nX-A: {CANARY * 1000}",
        f"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{CANARY}",
        f"PROXY TCP4 {CANARY}",
    ]:
        with socket.create_connection((place.hostname, place.port), timeout=10) as connection:
            connection.sendall(f"{text}\r\n\r\n".encode("latin-1"))
            answer = connection.makefile("rb").readline()
        assert answer.split()[1:2] != [b"200"], text
        assert b" 500 " not in answer, text


def lose_the_broker(stack: Stack) -> None:
    """A worker and a beat with a password for a broker that isn't there."""
    away = stack.environment | {"CELERY_BROKER_URL": f"redis://:{CANARY}@127.0.0.1:1/0"}
    before = stack.log.stat().st_size
    with stack.log.open("ab") as log:
        commands = [service.CELERY_WORKER, service.CELERY_BEAT]
        started = [
            subprocess.Popen(command, cwd=service.ROOT, env=away, stdout=log, stderr=log)
            for command in commands
        ]
        wait_until(lambda: stack.log.read_bytes()[before:].count(b"onnect") >= 2, seconds=60)
        for process in started:
            process.kill()
            process.wait()


def lose_the_database(stack: Stack) -> None:
    if not services.ON_POSTGRESQL:
        return  # a file is not away
    client = stack.client("analyst")
    place = client.submit(f"{CANARY} while the database is away").headers["Location"]
    stack.refuse_connections()
    assert client.submit(CANARY).status_code == 503
    wait_until(lambda: "simulations.tasks" in stack.log.read_text())
    stack.allow_connections()
    client.wait(place, seconds=60)


@pytest.mark.parametrize(
    "fail",
    [
        fail_at_the_provider,
        fail_in_the_database,
        fail_in_the_api,
        fail_on_pages,
        fail_to_sign_in_until_locked_out,
        fail_at_uploads,
        fail_webhooks,
        send_what_is_no_http,
        lose_the_broker,
        lose_the_database,
    ],
)
def test_no_secret_prompt_or_answer_is_in_any_line(
    stack: Stack, fail: Callable[[Stack], None]
) -> None:
    fail(stack)
    lines_of(stack)
    written = stack.log.read_text()
    for words in (CANARY, PASSWORD, *PROVIDERS_WORDS):
        assert words not in written


def test_a_bad_environment_is_told_without_its_values(stack: Stack) -> None:
    wrong = stack.environment | {"OPENAI_API_KEY": CANARY, "DATABASE_URL": f"pg://{CANARY}"}
    wrong.pop("OPENAI_BASE_URL")
    command = service.web("127.0.0.1", service.free_port())
    told = subprocess.run(command, cwd=service.ROOT, env=wrong, capture_output=True, text=True)
    assert told.returncode != 0
    assert "DATABASE_URL" in told.stderr
    assert CANARY not in told.stdout + told.stderr
