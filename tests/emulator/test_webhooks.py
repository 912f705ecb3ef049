"""Webhooks, received over HTTP and unwrapped by the real SDK."""

from __future__ import annotations

import asyncio
import socket
import time

import openai
import pytest

from emulator import webhooks
from emulator.runs import Run
from tests.emulator.listener import Listener

SECRET = "whsec_c2l4dGVlbi1ieXRlcy4uLg=="


@pytest.fixture
def listener():
    with Listener() as listener:
        yield listener


@pytest.fixture
def hooked(emulator, listener):
    emulator.control(webhook_url=listener.url, webhook_secret=SECRET)
    return emulator


def delivered(emulator, count):
    """The deliveries, once `count` of them have been answered with 2xx."""
    deadline = time.monotonic() + 5
    while sum(delivery["delivered_at"] is not None for delivery in emulator.webhooks()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return emulator.webhooks()


def test_a_finished_response_is_announced(hooked, listener, client, ask):
    run = ask()
    [(body, headers)] = listener.wait_for(1)
    event = client.webhooks.unwrap(body, headers, secret=SECRET)
    assert (event.object, event.type, event.data.id) == ("event", "response.completed", run.id)
    assert abs(event.created_at - time.time()) < 10
    assert headers["webhook-id"] == event.id
    assert headers["content-type"] == "application/json"
    assert listener.paths == ["/hooks?from=emulator"]
    [delivery] = delivered(hooked, 1)
    assert delivery == {
        "id": event.id,
        "run": run.id,
        "type": "response.completed",
        "attempts": 1,
        "delivered_at": pytest.approx(time.time(), abs=10),
    }


def test_the_signature_is_of_the_secret_and_the_body(hooked, listener, client, ask):
    ask()
    [(body, headers)] = listener.wait_for(1)
    for payload, secret in ((body, "whsec_AAAA"), (body + b" ", SECRET)):
        with pytest.raises(openai.InvalidWebhookSignatureError):
            client.webhooks.unwrap(payload, headers, secret=secret)


def test_it_is_over_when_it_is_announced(hooked, listener, client, ask):
    hooked.control(latency=0.05)
    for count in range(1, 6):
        run = ask(f"Is depot {count} safe?")
        listener.wait_for(count)
        assert client.responses.retrieve(run.id).status == "completed"
    assert listener.connections == 1


@pytest.mark.parametrize("outcome", ["failed", "incomplete"])
def test_other_ends_are_announced(hooked, listener, client, ask, outcome):
    ask(metadata={"emulator_outcome": outcome})
    [(body, headers)] = listener.wait_for(1)
    assert client.webhooks.unwrap(body, headers, secret=SECRET).type == f"response.{outcome}"


def test_a_cancelled_response_is_announced_once_and_at_once(hooked, listener, client, ask):
    hooked.control(latency=0.3)
    run = ask()
    client.responses.cancel(run.id)
    client.responses.cancel(run.id)
    time.sleep(0.4)
    [(body, headers)] = listener.wait_for(1)
    assert client.webhooks.unwrap(body, headers, secret=SECRET).type == "response.cancelled"


def test_a_released_response_is_announced_once_and_at_once(hooked, listener, ask):
    hooked.control(latency=0.3)
    ask()
    hooked.control(latency=60)
    ask("Is it far?")
    hooked.release()
    listener.wait_for(2)
    time.sleep(0.4)
    assert [delivery["attempts"] for delivery in hooked.webhooks()] == [1, 1]


def test_many_at_once_share_a_few_connections(hooked, listener, ask):
    hooked.control(latency=60)
    runs = {ask(f"Is depot {number} safe?").id for number in range(60)}
    hooked.release()
    listener.wait_for(60)
    assert {delivery["run"] for delivery in delivered(hooked, 60)} == runs
    assert listener.connections <= webhooks.AT_A_TIME


def test_an_endless_response_is_announced_once_it_is_cancelled(hooked, listener, client, ask):
    run = ask(metadata={"emulator_outcome": "stuck"})
    ask("Is it far?")
    listener.wait_for(1)
    client.responses.cancel(run.id)
    listener.wait_for(2)
    assert [(delivery["run"] == run.id, delivery["type"]) for delivery in hooked.webhooks()] == [
        (False, "response.completed"),
        (True, "response.cancelled"),
    ]


def test_only_background_responses_are_announced(hooked, listener, client, threads, ask):
    client.responses.create(model="demo", input="What threatens the depot?")
    thread = threads.create(messages=[{"role": "user", "content": "Is the depot safe?"}])
    threads.runs.create(thread.id, assistant_id="asst_demo")
    run = ask()
    listener.wait_for(1)
    assert [delivery["run"] for delivery in hooked.webhooks()] == [run.id]


def test_without_a_url_nothing_is_announced(hooked, listener, ask):
    hooked.control(webhook_url=None)
    ask()
    assert hooked.request("GET", "/control")["webhook_secret"] == SECRET
    hooked.control(webhook_url=listener.url)
    run = ask()
    listener.wait_for(1)
    assert [delivery["run"] for delivery in hooked.webhooks()] == [run.id]


def test_what_is_not_taken_comes_again(emulator, ask):
    with Listener(keeps_connections=False) as listener:  # a kept one that closes is no attempt
        emulator.control(webhook_url=listener.url, webhook_secret=SECRET)
        listener.statuses = [500, 302, 0]
        for number in range(3):
            ask(f"Is depot {number} safe?")
        listener.wait_for(3)
        started = time.monotonic()
        listener.wait_for(6)
        assert time.monotonic() - started > 0.5
        ids = [headers["webhook-id"] for _, headers in listener.received]
        assert sorted(ids[:3]) == sorted(ids[3:])
        assert [delivery["attempts"] for delivery in delivered(emulator, 3)] == [2, 2, 2]


def test_a_reset_forgets_what_is_under_way(hooked, listener, ask):
    listener.statuses = [500]
    ask()
    listener.wait_for(1)
    hooked.control(latency=0.3)
    ask("Is it far?")
    hooked.request("DELETE", "/ledger")
    assert hooked.webhooks() == []
    time.sleep(1.1)
    assert len(listener.received) == 1


def test_a_server_that_keeps_no_connection(emulator, ask):
    with Listener(keeps_connections=False) as listener:
        listener.statuses = [200]  # ends with the connection, not with a length
        emulator.control(webhook_url=listener.url, webhook_secret=SECRET)
        ask()
        ask("Is it far?")
        listener.wait_for(2)
        assert [delivery["attempts"] for delivery in delivered(emulator, 2)] == [1, 1]


def test_a_kept_connection_that_was_closed_is_replaced(emulator, ask):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        emulator.control(webhook_url=url, webhook_secret=SECRET)
        server.settimeout(5)
        for question in ("Is it far?", "Is it safe?"):
            ask(question)
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        assert [delivery["attempts"] for delivery in delivered(emulator, 2)] == [1, 1]


def deliveries_of(scenario):
    """What is on its way after an async function was run on its own `Webhooks`, without errors."""
    hooks = webhooks.Webhooks()
    hooks.url, hooks.secret = "http://127.0.0.1:1/", SECRET
    errors = []

    async def supervised():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: errors.append(context))
        await scenario(hooks)

    asyncio.run(supervised())
    assert errors == []
    return hooks.deliveries


def background_run(ends_in, outcome="completed"):
    run = Run("resp_1", "responses", None, 0, "", "", "", "", {}, [], request={"background": True})
    run.ready_at, run.outcome = time.time() + ends_in, outcome
    return run


def test_it_gives_up_after_the_fourth_attempt(monkeypatch):
    waits = [seconds / 1000 for seconds in webhooks.RETRY_AFTER]
    monkeypatch.setattr(webhooks, "RETRY_AFTER", waits)

    async def announce(hooks):
        hooks.watch(background_run(0))
        await asyncio.sleep(0.2)

    [delivery] = deliveries_of(announce)
    assert (delivery.attempts, delivery.delivered_at) == (4, None)


def test_an_early_timer_waits_for_the_end():
    async def postpone(hooks):
        run = background_run(0.01)
        hooks.watch(run)
        run.ready_at += 0.2
        await asyncio.sleep(0.1)
        assert hooks.deliveries == []
        await asyncio.sleep(0.2)

    assert len(deliveries_of(postpone)) == 1


@pytest.mark.parametrize("forget", [False, True])
def test_timers_that_no_longer_count_are_cancelled(forget):
    async def watch_again(hooks):
        run = background_run(0.05)
        hooks.watch(run)
        hooks.clear() if forget else hooks.watch(run)
        await asyncio.sleep(0.1)

    assert len(deliveries_of(watch_again)) == (0 if forget else 1)


def test_an_endless_response_is_not_looked_at(monkeypatch):
    looks = []
    monkeypatch.setattr(Run, "is_over", lambda run, now: looks.append(now))

    async def wait(hooks):
        hooks.watch(background_run(0, outcome="in_progress"))
        await asyncio.sleep(0.02)

    assert deliveries_of(wait) == looks == []
