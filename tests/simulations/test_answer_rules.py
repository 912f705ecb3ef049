"""The answer rules in the database: the seed, what may be written, versions and the cache."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from config.settings import CURATION_MAX_AGE
from simulations import services
from simulations.answer_rules import current
from simulations.answer_rules.current import RulesCache, current_rules
from simulations.answer_rules.recleaning import apply_changes, find_changes
from simulations.models import AnswerRule, RulesVersion, Run, Simulation, Status
from simulations.models.rules import MAX_RULES
from simulations.sanitizing.cleaner import NO_ANALYSIS, AnswerCleaner, presentable
from simulations.turns import outcomes
from tests.conftest import ApiClient, Drive
from tests.emulator.process import EmulatorProcess
from tests.simulations.sanitizing.oracle import joined
from tests.simulations.sanitizing.seeded import PHRASES
from tests.simulations.sanitizing.test_vectors import PROSE, VECTORS

pytestmark = pytest.mark.django_db

NOW = timedelta(0)


def test_the_seed_is_the_document_s_and_the_first_version() -> None:
    assert tuple(AnswerRule.objects.phrases()) == PHRASES
    assert current_rules().version == RulesVersion.objects.get().pk
    for rule in AnswerRule.objects.all():
        assert rule.revisions.get().phrase == rule.phrase
        rule.full_clean()


def test_the_rules_in_the_database_agree_on_every_vector() -> None:
    clean = current_rules().cleaner.clean
    assert [joined(clean(it["input"])) for it in VECTORS] == [it["output"] for it in VECTORS]


@pytest.mark.parametrize(
    ("fields", "field", "problem"),
    [
        ({"phrase": "## Outlook"}, "phrase", "Begin with a letter"),
        ({"phrase": "Out\u202elook"}, "phrase", "invisible character U+202E"),
        ({"phrase": ":"}, "phrase", "Write the words"),
        ({"phrase": "x" * 101}, "phrase", "at most 100 characters"),
        ({"phrase": "executive  SUMMARY:"}, "__all__", "a rule for this phrase already"),
        ({"kind": "regex"}, "kind", "not a valid choice"),
        ({"kind": "disclaimer", "inside_text": True}, "inside_text", "Only headers"),
    ],
)
def test_what_a_rule_may_not_be(fields: dict[str, object], field: str, problem: str) -> None:
    with pytest.raises(ValidationError) as raised:
        AnswerRule(**{"phrase": "Outlook"} | fields).full_clean()
    assert problem in str(raised.value.message_dict[field])


def test_the_database_keeps_the_rules_of_rules() -> None:
    for fields in ({"phrase": "RED TEAM"}, {"kind": "disclaimer", "inside_text": True}):
        with pytest.raises(IntegrityError), transaction.atomic():
            AnswerRule.objects.create(**{"phrase": "Outlook"} | fields)


def test_there_is_an_end_to_rules() -> None:
    existing = AnswerRule.objects.count()
    AnswerRule.objects.bulk_create(
        AnswerRule(phrase=f"Rule {number}", position=number)
        for number in range(MAX_RULES - existing)
    )
    with pytest.raises(ValidationError, match="There are 100 rules"):
        AnswerRule(phrase="Outlook").full_clean()
    AnswerRule.objects.last().full_clean()


def test_a_version_is_what_is_active_in_its_order() -> None:
    first = current_rules()
    rule = AnswerRule.objects.create(phrase="Outlook")
    second = current_rules()
    assert second.version != first.version
    assert second.phrases == (*first.phrases, rule_phrase(rule))
    AnswerRule.objects.filter(pk=rule.pk).update(is_active=False)
    assert current_rules().version == first.version
    AnswerRule.objects.filter(phrase="Risk disclaimer").update(position=0)
    assert current_rules().phrases[0].text == "Risk disclaimer"
    assert RulesVersion.objects.count() == 3
    assert RulesVersion.objects.get(pk=first.version).phrases == list(PHRASES)


def rule_phrase(rule: AnswerRule) -> object:
    return next(it for it in AnswerRule.objects.phrases() if it.text == rule.phrase)


def test_rules_are_read_when_they_are_old_and_compiled_when_they_have_changed(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    assert timedelta(seconds=2) >= CURATION_MAX_AGE
    clock = 1000.0
    monkeypatch.setattr(current.time, "monotonic", lambda: clock)
    cache = RulesCache()
    with django_assert_num_queries(2):
        first = cache.get(CURATION_MAX_AGE)
    AnswerRule.objects.filter(phrase="Red Team").update(is_active=False)
    clock += CURATION_MAX_AGE.total_seconds() / 2
    with django_assert_num_queries(0):
        assert cache.get(CURATION_MAX_AGE) is first
    clock += CURATION_MAX_AGE.total_seconds()
    second = cache.get(CURATION_MAX_AGE)
    assert "Red Team" not in [phrase.text for phrase in second.phrases]
    assert cache.get(NOW).cleaner is second.cleaner


def test_a_simulation_records_the_version_it_was_cleaned_with(
    analyst: User, emulator: EmulatorProcess, drive: Drive
) -> None:
    first = drive(services.submit(analyst, "Who opens the gate?"))
    assert "Executive Summary" not in first.answer
    assert first.rules_version_id == current_rules().version
    AnswerRule.objects.all().delete()
    second = drive(services.submit(analyst, "Who opens the gate?"))
    assert second.answer.startswith("## Executive Summary")
    assert second.rules_version.rules == []
    assert second.rules_version_id != first.rules_version_id


def break_down(*_: object) -> None:
    raise RuntimeError("it quotes the answer")


@pytest.mark.usefixtures("protocol")
def test_an_answer_that_cannot_be_cleaned_is_kept_and_says_so(
    analyst: User,
    api: type[ApiClient],
    emulator: EmulatorProcess,
    drive: Drive,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(AnswerCleaner, "answer_of", break_down)
        simulation = drive(services.submit(analyst, "Who opens the gate? \x1b[31m"))
    assert (simulation.status, simulation.is_uncleaned) == (Status.COMPLETED, True)
    assert simulation.answer == presentable(simulation.raw_answer)
    assert "Executive Summary" in simulation.answer
    assert simulation.tokens_used == simulation.run.total_tokens
    assert simulation.run.outcome == Run.Outcome.COMPLETED
    client = api(analyst)
    assert client.get(f"/api/v1/simulations/{simulation.pk}").json()["is_uncleaned"] is True
    client.force_login(analyst)
    for path in ["", "answer.md"]:
        page = client.get(f"/simulations/{simulation.pk}/{path}").content.decode()
        assert "This answer was not cleaned" in page

    rules = current_rules()
    row = Simulation.objects.filter(pk=simulation.pk)
    assert apply_changes(find_changes(row, rules), rules, None) == 1
    simulation.refresh_from_db()
    assert "Executive Summary" not in simulation.answer
    assert simulation.is_uncleaned is False


def test_rules_that_cannot_be_read_lose_no_answer(
    analyst: User, emulator: EmulatorProcess, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "current_rules", break_down)
    simulation = drive(services.submit(analyst, "Who opens the gate?"))
    assert (simulation.status, simulation.is_uncleaned) == (Status.COMPLETED, True)


def test_one_whose_text_the_rules_leave_as_it_is_becomes_a_cleaned_one(
    analyst: User, emulator: EmulatorProcess, drive: Drive
) -> None:
    simulation = drive(services.submit(analyst, "Who opens the gate?"))
    row = Simulation.objects.filter(pk=simulation.pk)
    row.update(raw_answer=PROSE, answer=PROSE, rules_version=None)
    rules = current_rules()
    assert apply_changes(find_changes(row, rules), rules, None) == 1
    assert row.get().rules_version_id == rules.version


def test_what_deceives_is_in_the_raw_answer_alone() -> None:
    answer_of = current_rules().cleaner.answer_of
    raw = (
        "Executive Summary:\r\nGuards \x1b[31mcheck\x1b[0m \u202eevery badge\u202c at the gate.\x07"
    )
    assert answer_of(f"{raw}\x07 {PROSE}") == f"Guards check every badge at the gate. {PROSE}"
    assert answer_of(f"\x1b]8;;https://evil.example\x07{PROSE}\x1b]8;;\x1b\\") == PROSE
    assert answer_of("\x1b[2J" * 50) == NO_ANALYSIS
    assert answer_of(f"{PROSE}\r\r{PROSE}\t👩\u200d🚒 \u200fعربي") == (
        f"{PROSE}\n\n{PROSE}\t👩\u200d🚒 \u200fعربي"
    )
