"""What `make audit` says of what pip-audit answers."""

import json
import sys

import pytest

from scripts import audit

SOUND = {"name": "sound", "version": "1.0", "vulns": []}
OPEN = {"name": "open", "version": "2.0", "vulns": [{"id": "CVE-1", "fix_versions": ["2.1"]}]}
UNKNOWN = {"name": "unknown", "skip_reason": "Dependency not found on PyPI"}


def say(monkeypatch: pytest.MonkeyPatch, code: str) -> int:
    """pip-audit's part is played by this code."""
    monkeypatch.setattr(audit, "COMMAND", [sys.executable, "-c", code])
    return audit.main()


@pytest.mark.parametrize(
    ("dependencies", "status", "said"),
    [
        ([SOUND], 0, ["1 of 1 packages audited: 0 known vulnerabilities."]),
        (
            [SOUND, OPEN, UNKNOWN],
            1,
            [
                "open 2.0: CVE-1, fixed in 2.1",
                "2 of 3 packages audited: 1 known vulnerabilities.",
            ],
        ),
        ([UNKNOWN], 0, ["Not audited: the registry answers for none of the packages."]),
    ],
    ids=["sound", "open", "unknown"],
)
def test_what_is_known_is_told_and_what_is_not(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    dependencies: list[dict[str, object]],
    status: int,
    said: list[str],
) -> None:
    assert say(monkeypatch, f"print({json.dumps({'dependencies': dependencies})!r})") == status
    assert capsys.readouterr().out.splitlines() == said


def test_a_service_that_does_not_answer_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert say(monkeypatch, "raise ConnectionError('refused')") == 0
    assert capsys.readouterr().out == "Not audited: ConnectionError: refused\n"


def test_an_audit_that_takes_too_long_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "SECONDS", 0.1)
    assert say(monkeypatch, "import time; time.sleep(60)") == 0
    assert capsys.readouterr().out == "Not audited: no answer within 0.1 s.\n"
