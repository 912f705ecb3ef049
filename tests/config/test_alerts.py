"""The alert rules that are delivered fit the metrics that are exposed."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from prometheus_client.exposition import generate_latest

from simulations.models import EnginePulse, Tally
from simulations.monitoring.metrics import registry

RULES = yaml.safe_load(
    (Path(__file__).resolve().parents[2] / "deploy" / "prometheus-rules.yml").read_text("utf-8")
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]


@pytest.mark.django_db
def test_every_alert_is_about_metrics_and_labels_that_exist() -> None:
    EnginePulse.objects.create(pk=1, looked_at=NOW, claimed_at=NOW, ticked_at=NOW)
    for kind in Tally.Kind:
        Tally.objects.create(kind=kind, label="any", total=1)
    exposed = generate_latest(registry).decode()
    for alert in ALERTS:
        names = set(re.findall(r"sitrep_\w+", alert["expr"]))
        assert names or "up{" in alert["expr"]
        for name in names:
            assert re.search(rf"^{name}[ {{]", exposed, re.MULTILINE), (alert["alert"], name)
        for name, label in re.findall(r"(sitrep_\w+)\{(\w+)", alert["expr"]):
            assert f"{name}{{{label}=" in exposed, (alert["alert"], label)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_says_in_a_sentence_what_to_do(alert: dict) -> None:
    assert set(alert) - {"for"} == {"alert", "expr", "labels", "annotations"}
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["expr"].count("(") == alert["expr"].count(")")
    for sentence in (alert["annotations"]["summary"], alert["annotations"]["action"]):
        assert re.fullmatch(r"[A-Z].{15,}\.", sentence)


def test_no_two_alerts_have_one_name() -> None:
    assert len({alert["alert"] for alert in ALERTS}) == len(ALERTS)
