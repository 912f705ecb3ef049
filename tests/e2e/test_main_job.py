"""The main job on real parts: API client, web server, worker, provider."""

import signal
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import httpx2
import pytest

from tests import services
from tests.e2e.stack import Stack

pytestmark = pytest.mark.timeout(180)

QUERY = "How do we improve access control and encryption at the field office?"
HEADERS = ["Executive Summary", "Situational Synthesis", "What to Watch", "Note on Risk"]


def test_an_api_client_gets_a_grounded_cleaned_answer(stack: Stack) -> None:
    client = stack.client("analyst")
    accepted = client.submit(QUERY)
    assert accepted.status_code == 202
    assert accepted.json()["status"] == "PENDING"

    simulation = client.wait(accepted.headers["Location"])

    assert simulation["status"] == "COMPLETED"
    assert "photo badge" in simulation["answer"]  # words of the seed articles
    assert not [header for header in HEADERS if header in simulation["answer"]]
    assert simulation["tokens_used"] > 0
    assert [(row["slug"], row["keywords"]) for row in simulation["citations"]] == [
        ("field-security-handbook-001", ["access control"]),
        ("infosec-intro-001", ["encryption"]),
    ]
    [run] = stack.emulator.runs(simulation=simulation["id"])
    assert "KNOWLEDGE BASE CONTEXT:" in run["input"]


def test_it_says_that_it_is_ready_once_worker_and_beat_are(stack: Stack) -> None:
    wait_until(lambda: httpx2.get(f"{stack.url}/readyz").status_code == 200)


def test_an_agent_runs_by_its_schedule(stack: Stack) -> None:
    """Every minute; the test makes the minute pass."""
    client = stack.client("admin")
    agent = {"name": "Gate watch", "query": QUERY, "owner": "analyst", "schedule": "* * * * *"}
    path = client.post("agents", json=agent).raise_for_status().headers["Location"]
    stack.execute("UPDATE simulations_agent SET next_run_at = CURRENT_TIMESTAMP")
    wait_until(lambda: client.get(f"{path}/runs").json()["results"])
    [*_, run] = client.get(f"{path}/runs").json()["results"]
    assert (run["started_by"], run["skipped"]) == (None, "")
    assert client.wait(f"simulations/{run['simulation']}")["status"] == "COMPLETED"
    client.delete(path).raise_for_status()
    assert stack.client("analyst").get(f"simulations/{run['simulation']}").status_code == 200


def test_what_users_may_not_do(stack: Stack) -> None:
    trainee, analyst = stack.client("trainee"), stack.client("analyst")
    refused = trainee.get("knowledge/search?q=convoy")
    assert refused.status_code == 403
    assert refused.json()["message"] == "No access to module: knowledge-base"
    theirs = trainee.submit("Who checks badges?").headers["Location"]
    assert analyst.get(theirs).status_code == 404
    article = {"slug": "x-001", "title": "X", "category": "X", "text": "X"}
    refused = analyst.post("knowledge/articles", json=article)
    assert refused.status_code == 403
    assert refused.json()["message"] == "Requires role: ADMIN"


def test_fifty_at_once_against_a_limit_of_ten_accept_exactly_ten(stack: Stack) -> None:
    client = stack.client("trainee")
    limit = client.get("me").json()["quota"]["used"] + 10
    stack.execute(
        f"UPDATE accounts_user SET monthly_simulation_limit = {limit} WHERE username = 'trainee'"
    )
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(client.submit, ["At once?"] * 50))
    assert Counter(answer.status_code for answer in answers) == {202: 10, 429: 40}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["details"]["limit"] == limit
    assert int(refused.headers["Retry-After"]) > 0
    assert client.get("me").json()["quota"]["used"] == limit


def test_a_killed_worker_loses_nothing_and_pays_nothing_twice(stack: Stack) -> None:
    client = stack.client("admin")
    stack.emulator.control(latency=3)
    locations = [client.submit(f"Question {n}?").headers["Location"] for n in range(20)]
    wait_until(lambda: stack.query(RUNNING))  # others are being started, or wait

    stack.end_process("worker", signal.SIGKILL)
    if "beat" in stack.processes:
        stack.end_process("beat", signal.SIGKILL)
    running = set(map(str, stack.query(RUNNING)))
    stack.start_workers()

    simulations = [client.wait(location, seconds=90) for location in locations]
    stack.emulator.control(latency=0.5)
    assert {simulation["status"] for simulation in simulations} == {"COMPLETED"}
    runs = Counter(run["metadata"]["simulation"] for run in stack.emulator.ledger()["runs"])
    lost = Counter(map(str, stack.query(LOST)))
    assert running
    for key in (UUID(simulation["id"]) for simulation in simulations):
        accepted, counted = runs[str(key)], lost[stored(key)]
        if stored(key) in running:
            assert (accepted, counted) == (1, 0), "its run was known: nothing was started again"
        else:
            assert 1 <= accepted <= 1 + counted, "each extra run is counted"


def wait_until(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "It did not happen"
        time.sleep(0.05)


# Those whose run's id was saved, and the runs that count as sent and never found again.
RUNNING = "SELECT id FROM simulations_simulation WHERE status = 'RUNNING'"
LOST = "SELECT simulation_id FROM simulations_run WHERE outcome IN ('lost', 'unwanted')"


def stored(key: UUID) -> str:
    return str(key) if services.ON_POSTGRESQL else key.hex
