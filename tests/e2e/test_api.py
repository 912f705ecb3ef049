"""The running API against its own description and its documentation.

schemathesis as an analyst and as an admin; the clients of docs/api.md as they are written there.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.service import ROOT
from tests import services
from tests.e2e.failing_proxy import FailingProxy
from tests.e2e.stack import Stack

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(not services.ON_POSTGRESQL, reason="Once, on the database of production"),
    pytest.mark.parametrize("stack", ["responses"], indirect=True, scope="module"),
]


CLIENTS = re.findall(r"```(bash|python)\n(.*?)```", (ROOT / "docs/api.md").read_text(), re.DOTALL)


@pytest.mark.parametrize(("language", "code"), CLIENTS, ids=[language for language, _ in CLIENTS])
def test_a_client_of_the_documentation_runs_as_written(
    stack: Stack, language: str, code: str
) -> None:
    result = run(stack, stack.url, language, code)
    assert result.returncode == 0, result.stderr
    assert "COMPLETED" in result.stdout
    assert "photo badge" in result.stdout  # words of the seed article that it cites
    assert "field-security-handbook-001" in result.stdout


@pytest.mark.parametrize(("language", "code"), CLIENTS, ids=[language for language, _ in CLIENTS])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_client_survives_what_fails_on_the_way_and_asks_once(
    stack: Stack, language: str, code: str, method: str
) -> None:
    asked = "SELECT count(*) FROM simulations_simulation"
    [before] = stack.query(asked)
    failures = ["lost", "busy", "page", "cut", "throttled"]
    with FailingProxy(stack.url, method, failures) as proxy:
        result = run(stack, proxy.url, language, code)
        assert result.returncode == 0, result.stderr
        assert proxy.failures == []
    assert "COMPLETED" in result.stdout
    assert "Bad Gateway" not in result.stdout
    assert len(proxy.keys) == (6 if method == "POST" else 1)
    assert len(set(proxy.keys) - {None}) == 1
    assert stack.query(asked) == [before + 1]


@pytest.mark.parametrize(("language", "code"), CLIENTS, ids=[language for language, _ in CLIENTS])
def test_a_client_stops_at_once_where_asking_again_does_not_help(
    stack: Stack, language: str, code: str
) -> None:
    wrong = code.replace('"query"', '"question"')
    with FailingProxy(stack.url) as proxy:
        result = run(stack, proxy.url, language, wrong)
    assert result.returncode == 1
    assert "Unknown field" in result.stderr
    assert len(proxy.keys) == 1


def run(stack: Stack, url: str, language: str, code: str) -> subprocess.CompletedProcess[str]:
    token = stack.client("trainee").headers["Authorization"].removeprefix("Bearer ")
    environment = os.environ | {"SITREP_URL": url, "SITREP_TOKEN": token}
    command = ["bash", "-c", code] if language == "bash" else [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("username", ["analyst", "admin"])
def test_the_api_is_what_it_says(stack: Stack, username: str) -> None:
    """All checks, stateful ones too; among them that nothing is answered with a 5xx.

    After the clients above: an admin's part leaves the knowledge base in another state.
    """
    stack.execute("UPDATE accounts_user SET monthly_simulation_limit = 1000000")
    token = stack.client(username).headers["Authorization"]
    command = [
        *(str(Path(sys.executable).parent / "schemathesis"), "--config-file"),
        *("tests/e2e/schemathesis.toml", "run", "docs/openapi.yaml", "--url", stack.url),
        *("--header", f"Authorization: {token}", "--no-color"),
    ]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
