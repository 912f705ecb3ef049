"""Answer rules as admins work with them: list, form, preview, API, and cleaning again."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.test import Client

from accounts.models import User
from simulations import services
from simulations.answer_rules import recleaning
from simulations.answer_rules.current import current_rules
from simulations.answer_rules.preview import LATEST
from simulations.documents.manifest import build_manifest
from simulations.models import AnswerRule, Conversation, Simulation, Status
from tests.conftest import ApiClient
from tests.simulations.sanitizing.test_vectors import PROSE

pytestmark = pytest.mark.django_db

RULES, PREVIEW = "/admin/simulations/answerrule/", "/admin/simulations/answerrule/preview/"
SIMULATIONS = "/admin/simulations/simulation/"
API = "/api/v1/answer-rules"
JSON = "application/json"
RAW = f"Executive Summary\n\n{PROSE}\n\nOutlook:\nIt holds."


@pytest.fixture
def curator(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


def answered(owner: User, raw: str = RAW, count: int = 1) -> list[Simulation]:
    """As the engine leaves them."""
    rules = current_rules()
    conversation = Conversation.objects.create(owner=owner, protocol="responses")
    return Simulation.objects.bulk_create(
        Simulation(
            owner=owner,
            assistant=services.Assistant.objects.get_or_create_default(),
            conversation=conversation,
            query=f"Question {number}",
            status=Status.COMPLETED,
            raw_answer=raw,
            answer=rules.cleaner.answer_of(raw),
            rules_version_id=rules.version,
            finished_at=Now(),
        )
        for number in range(count)
    )


def text_of(response: Any) -> str:
    return " ".join(response.content.decode().split())


# --- Editing ----------------------------------------------------------------------------------


def test_a_rule_is_added_changed_and_restored(curator: Client) -> None:
    form = {"phrase": " Outlook: ", "kind": "header", "is_active": "on", "position": "20"}
    assert curator.post(f"{RULES}add/", form).status_code == 302
    rule = AnswerRule.objects.get(phrase="Outlook")
    form |= {"phrase": "Outlook – Week"}
    assert curator.post(f"{RULES}{rule.pk}/change/", form).status_code == 302
    latest, first = rule.revisions.all()
    assert latest.history_user.username == "admin"
    path = f"{RULES}{rule.pk}/history/{first.pk}/restore/"
    assert curator.post(path, {"latest": latest.pk}).status_code == 302
    rule.refresh_from_db()
    assert rule.phrase == "Outlook"
    again = curator.post(f"{RULES}add/", form | {"phrase": "OUTLOOK"})
    assert "There is a rule for this phrase already" in text_of(again)


def test_the_list_switches_rules_off(curator: Client) -> None:
    rules = list(AnswerRule.objects.all())
    form = {"form-TOTAL_FORMS": len(rules), "form-INITIAL_FORMS": len(rules), "_save": "Save"}
    for place, rule in enumerate(rules):
        form |= {f"form-{place}-id": rule.pk, f"form-{place}-position": rule.position}
    assert curator.post(RULES, form).status_code == 302
    assert current_rules().phrases == ()
    assert all(rule.revisions.count() == 2 for rule in rules)


# --- Preview ----------------------------------------------------------------------------------


def test_the_preview_shows_before_and_after(curator: Client) -> None:
    rules = list(AnswerRule.objects.values_list("pk", flat=True))
    page = text_of(curator.post(PREVIEW, {"text": RAW, "rules": rules}))
    assert '<del title="Executive Summary">Executive Summary </del>' in page
    assert "<strong>1 removal</strong>" in page
    assert f'<p class="rules-text">{PROSE} Outlook: It holds.</p>' in page
    form = {"text": RAW, "rules": rules[1:], "phrase": "outlook", "kind": "header"}
    page = text_of(curator.post(PREVIEW, form, headers={"HX-Request": "true"}))
    assert '<del title="outlook">' in page
    assert '<del title="Executive Summary">' not in page
    assert "<form" not in page


def test_the_preview_runs_on_the_latest_raw_answers(
    curator: Client, analyst: User, outsider: User
) -> None:
    answered(outsider, raw=f"Old one. {PROSE}")
    answered(analyst, count=LATEST)
    page = text_of(curator.get(PREVIEW))
    assert f"The last {LATEST} raw answers" in page
    assert "All come out as with the current rules" in page
    assert "Old one." not in page
    assert '<th scope="row">Executive Summary</th><td>50</td><td>50</td>' in page
    page = text_of(curator.post(PREVIEW, {"phrase": "Outlook"}))
    assert "<strong>50</strong> would come out differently" in page


def test_the_preview_shows_what_is_not_saved(curator: Client, analyst: User) -> None:
    answered(analyst)
    rule = AnswerRule.objects.get(phrase="Executive Summary")
    form = {"phrase": "Outlook", "kind": "header", "replaces": rule.pk, "position": "1"}
    page = text_of(curator.post(PREVIEW, form | {"is_active": "on"}))
    assert "<strong>1</strong> would come out differently" in page
    assert '<th scope="row">Outlook</th>' in page
    assert '<th scope="row">Executive Summary</th>' not in page
    page = text_of(curator.post(PREVIEW, form))
    assert '<th scope="row">Outlook</th>' not in page
    assert AnswerRule.objects.filter(phrase="Executive Summary").exists()


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"phrase": "# x"}, "phrase: Begin with a letter"),
        ({"phrase": "Outlook", "kind": "disclaimer", "inside_text": "on"}, "Only headers can be"),
        ({"rules": ["999999"]}, "rules: Select a valid choice"),
    ],
)
def test_the_preview_says_what_is_wrong(
    curator: Client, fields: dict[str, Any], problem: str
) -> None:
    response = curator.post(PREVIEW, fields)
    assert response.status_code == 400
    assert problem in text_of(response)


# --- API --------------------------------------------------------------------------------------


def test_rules_over_the_api(admin: User) -> None:
    client = ApiClient(admin)
    assert len(client.get(API).json()["results"]) == 11
    made = client.post_json("answer-rules", {"phrase": "Outlook:", "inside_text": True})
    assert made.status_code == 201
    body = made.json()
    assert body == {
        "id": body["id"],
        "phrase": "Outlook",
        "kind": "header",
        "inside_text": True,
        "is_active": True,
        "position": 12,
    }
    path = made.headers["Location"]
    assert client.patch(path, {"is_active": False}, JSON).json()["is_active"] is False
    stale = client.patch(path, {}, JSON, headers={"If-Match": made.headers["ETag"]})
    assert stale.status_code == 412
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        ({}, "phrase", "required"),
        ({"phrase": "RED TEAM"}, "phrase", "already"),
        ({"phrase": "# x"}, "phrase", "Begin with a letter"),
        ({"phrase": ["x"]}, "phrase", "Not a valid string"),
        ({"phrase": "x" * 101}, "phrase", "100 characters"),
        ({"phrase": "Outlook", "kind": "regex"}, "kind", "Use one of: header, disclaimer."),
        (
            {"phrase": "Outlook", "kind": "disclaimer", "inside_text": True},
            "inside_text",
            "Only headers",
        ),
        ({"phrase": "Outlook", "pattern": ".*"}, "pattern", "Unknown field"),
        ({"phrase": "Outlook", "position": -1}, "position", "greater than or equal to 0"),
    ],
)
def test_what_the_api_refuses(admin: User, body: Any, field: str, problem: str) -> None:
    response = ApiClient(admin).post_json("answer-rules", body)
    assert response.status_code == 400
    assert problem in response.json()["details"][field][0]


def test_a_change_is_judged_with_what_it_does_not_name(admin: User) -> None:
    rule = AnswerRule.objects.get(phrase="Note on Risk")
    response = ApiClient(admin).patch(f"{API}/{rule.pk}", {"inside_text": True}, JSON)
    assert response.status_code == 400
    assert "inside_text" in response.json()["details"]


def test_the_preview_over_the_api(admin: User, analyst: User) -> None:
    client = ApiClient(admin)
    [simulation] = answered(analyst)
    shown = client.post_json("answer-rules/preview", {"text": f"{RAW}\x1b[1m"}).json()
    assert shown["rules_version"] == current_rules().version
    assert shown["text"]["clean"] == f"{PROSE}\n\nOutlook:\nIt holds.\x1b[1m"
    assert shown["text"]["answer"] == simulation.answer
    [removed] = shown["text"]["removed"]
    assert (removed["phrase"], removed["position"], removed["end"]) == ("Executive Summary", 0, 18)
    assert shown["latest"]["changes"] == []
    body = {"rules": [{"phrase": "Outlook"}]}
    shown = client.post_json("answer-rules/preview", body).json()
    assert shown["text"] is shown["rules_version"] is None
    assert shown["latest"]["removed"] == [{"phrase": "Outlook", "removals": 1, "answers": 1}]
    assert [it["simulation"] for it in shown["latest"]["changes"]] == [str(simulation.pk)]
    refused = client.post_json("answer-rules/preview", {"rules": [{"phrase": "#"}]})
    assert refused.status_code == 400


# --- Cleaning again ---------------------------------------------------------------------------


@pytest.fixture
def stale(analyst: User) -> list[Simulation]:
    """Two answers that the rules of today would change, and one that they would not."""
    rows = [*answered(analyst, count=2), *answered(analyst, raw=f"Quiet. {PROSE}")]
    AnswerRule.objects.create(phrase="Outlook")
    return rows


def test_the_admin_states_what_changes_before_it_does(
    curator: Client, admin: User, stale: list[Simulation]
) -> None:
    form = {"action": "clean_again", "_selected_action": [str(row.pk) for row in stale]}
    page = text_of(curator.post(SIMULATIONS, form))
    assert "<strong>2 of 3 answers</strong> would change" in page
    assert "<del>Outlook:</del>" in page
    assert Simulation.objects.get(pk=stale[0].pk).answer == stale[0].answer
    version = current_rules().version
    done = curator.post(SIMULATIONS, form | {"version": version}, follow=True)
    assert "Cleaned again: 2 of 3 answers changed" in text_of(done)
    for row in stale[:2]:
        now = Simulation.objects.get(pk=row.pk)
        assert (now.raw_answer, now.rules_version_id) == (RAW, version)
        assert "Outlook" not in now.answer
        [earlier] = now.earlier_answers.all()
        assert (earlier.answer, earlier.rules_version_id) == (row.answer, row.rules_version_id)
        assert earlier.replaced_by == admin
    assert not stale[2].earlier_answers.exists()


def test_the_admin_finds_what_was_not_cleaned(curator: Client, stale: list[Simulation]) -> None:
    uncleaned, *others = stale
    Simulation.objects.filter(pk=uncleaned.pk).update(answer=RAW, rules_version=None)
    page = text_of(curator.get(SIMULATIONS, {"answer": "uncleaned"}))
    assert str(uncleaned.pk) in page
    assert not any(str(row.pk) in page for row in others)


def test_rules_that_changed_meanwhile_are_looked_at_again(
    curator: Client, stale: list[Simulation]
) -> None:
    form = {"action": "clean_again", "_selected_action": [str(row.pk) for row in stale]}
    old = current_rules().version
    AnswerRule.objects.create(phrase="Quiet")
    page = text_of(curator.post(SIMULATIONS, form | {"version": old}))
    assert "The rules have changed since." in page
    assert Simulation.objects.get(pk=stale[0].pk).answer == stale[0].answer


def test_the_manifest_shows_the_old_answer(
    curator: Client, analyst: User, stale: list[Simulation]
) -> None:
    rules = current_rules()
    row = Simulation.objects.filter(pk=stale[0].pk)
    assert recleaning.apply_changes(recleaning.find_changes(row, rules), rules, None) == 1
    answer = build_manifest(row.get(), analyst)["answer"]
    assert answer["rules_version"]["number"] == rules.version
    assert [it["phrase"] for it in answer["removed"]] == ["Outlook", "Executive Summary"][::-1]
    [earlier] = answer["earlier"]
    assert earlier["clean"] == stale[0].answer
    assert earlier["rules_version"]["number"] == stale[0].rules_version_id
    assert earlier["replaced_by"] is None


def test_two_who_clean_at_the_same_time_keep_one_old_answer(stale: list[Simulation]) -> None:
    rules = current_rules()
    changes = [list(recleaning.find_changes(Simulation.objects.all(), rules)) for _ in range(2)]
    assert [recleaning.apply_changes(it, rules, None) for it in changes] == [2, 0]
    assert stale[0].earlier_answers.count() == 1


def test_the_command_works_in_batches(
    stale: list[Simulation], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recleaning, "BATCH", 1)
    assert "2 of 3 answers change" in run("--all")
    assert stale[0].earlier_answers.count() == 0
    assert "1 of 1 answers change" in run(str(stale[0].pk))
    assert "Changed: 2." in run("--all", "--yes")
    assert "0 of 3 answers change" in run("--all", "--yes")
    with pytest.raises(CommandError, match="use --all"):
        run()
    with pytest.raises(CommandError, match="There is no simulation"):
        run("00000000-0000-4000-8000-000000000000")
    with pytest.raises(CommandError, match="There is no user nobody"):
        run("--all", "--user", "nobody")


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("clean_answers", *arguments, stdout=out)
    return out.getvalue()
