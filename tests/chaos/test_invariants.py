"""Each invariant notices what it is there for, and nothing else does."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from tests.chaos import invariants
from tests.chaos.clients import Acceptance, Journal
from tests.chaos.evidence import Evidence, Row
from tests.chaos.invariants import CHECKS
from tests.chaos.plan import Fault, Question

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
QUESTION = Question(
    at=0, number=1, key="key", asker=0, stranger=1, subject="doors", wish="answer", patience=0
)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def a_run(ident: str = "run", **changes: object) -> Row:
    return {
        "id": ident,
        "simulation": "simulation",
        "round": 1,
        "requested_at": at(2),
        "accepted_at": at(3),
        "finished_at": at(5),
        "provider_id": f"resp_{ident}",
        "outcome": "completed",
        "fault": "",
    } | changes


def a_lost_run() -> Row:
    return a_run("lost", requested_at=at(1), accepted_at=None, provider_id="", outcome="lost") | {
        "fault": "timeout",
        "finished_at": at(2),
    }


def a_paid_run(ident: str = "resp_run") -> Row:
    return {
        "id": ident,
        "metadata": {"simulation": "simulation", "round": "1"},
        "conversation_id": "conv",
        "created_at": at(2.5).timestamp(),
        "status": "completed",
        "answer": "Lock【4:0†source】 it.",
    }


def a_hit(kind: str = "drop") -> Row:
    metadata = {"simulation": "simulation", "round": "1"}
    moment = at(1.5).timestamp()
    return {"kind": kind, "operation": "start_run", "at": moment, "metadata": metadata}


@pytest.fixture
def evidence() -> Evidence:
    """One question, answered by its second run: a fault had hidden the first."""
    journal = Journal()
    journal.asked["key"] = QUESTION
    journal.accepted["key"] = [Acceptance("simulation", False), Acceptance("simulation", True)]
    journal.seen["simulation"] = ["PENDING", "COMPLETED"]
    journal.finally_seen["simulation"] = {"status": "COMPLETED"}
    journal.quotas["user-0"] = 1
    journal.strangers[404] = 1
    simulation = {
        "id": "simulation",
        "query": QUESTION.text,
        "owner": "user-0",
        "status": "COMPLETED",
        "raw_answer": "Lock it.",
        "error_code": "",
        "error_message": "",
        "error_detail": "",
        "conversation": "conv",
        "run_id": "run",
        "due_at": None,
    }
    states = [None, "PENDING", "RUNNING", "COMPLETED"]
    return Evidence(
        journal=journal,
        faults=[],
        simulations=[simulation],
        runs=[a_lost_run(), a_run()],
        history=[
            {"simulation": "simulation", "before": before, "after": after}
            for before, after in pairwise(states)
        ],
        ledger=[a_paid_run("resp_lost"), a_paid_run()],
        hits=[a_hit()],
    )


def test_sound_evidence_breaks_none(evidence: Evidence) -> None:
    assert [text for check in CHECKS for text in check(evidence)] == []


def a_second_row(evidence: Evidence) -> None:
    evidence.simulations.append(evidence.simulations[0] | {"id": "another"})


def accepted_as_new_twice(evidence: Evidence) -> None:
    evidence.journal.accepted["key"][1] = Acceptance("simulation", False)


def accepted_and_gone(evidence: Evidence) -> None:
    evidence.simulations.clear()


def ends_twice(evidence: Evidence) -> None:
    state = {"simulation": "simulation", "before": "COMPLETED", "after": "FAILED"}
    evidence.history.append(state)


def comes_back_from_its_end(evidence: Evidence) -> None:
    state = {"simulation": "simulation", "before": "COMPLETED", "after": "COMPLETED"}
    evidence.history.append(state)


def has_another_answer(evidence: Evidence) -> None:
    evidence.ledger[1]["answer"] = "Leave it open."


def fails_by_itself(evidence: Evidence) -> None:
    evidence.simulations[0] |= {"status": "FAILED", "error_code": "internal_error"}


def paid_without_a_trace(evidence: Evidence) -> None:
    evidence.ledger.append(a_paid_run("resp_unknown"))


def believed_in_vain(evidence: Evidence) -> None:
    del evidence.ledger[1]


def paid_before_the_intent(evidence: Evidence) -> None:
    evidence.ledger[1]["created_at"] = at(1.9).timestamp()


def an_extra_run_without_a_fault(evidence: Evidence) -> None:
    evidence.hits.clear()


def an_extra_run_without_words(evidence: Evidence) -> None:
    evidence.runs[0]["fault"] = ""


def a_fault_that_hides_nothing(evidence: Evidence) -> None:
    evidence.hits[:] = [a_hit("429")]


def a_fault_that_came_later(evidence: Evidence) -> None:
    began, ended = at(4).timestamp(), at(5).timestamp()
    evidence.hits.clear()
    evidence.faults.append(Fault(4, "kill_worker", 0, began=began, ended=ended))


def in_another_conversation(evidence: Evidence) -> None:
    evidence.simulations[0]["conversation"] = "conv_other"


def charged_too_much(evidence: Evidence) -> None:
    evidence.journal.quotas["user-0"] = 2


def paid_and_not_charged(evidence: Evidence) -> None:
    for run in evidence.runs:
        run["outcome"] = "rejected"


def cancelled_by_nobody(evidence: Evidence) -> None:
    evidence.simulations[0]["status"] = "CANCELLED"


def cancelled_in_vain(evidence: Evidence) -> None:
    evidence.simulations[0]["status"] = "FAILED"
    evidence.journal.cancelled["simulation"] = True


def a_stranger_reads(evidence: Evidence) -> None:
    evidence.journal.strangers[200] += 1


def a_user_sees_what_never_was(evidence: Evidence) -> None:
    evidence.journal.seen["simulation"] = ["COMPLETED", "PENDING"]


def a_user_sees_another_end(evidence: Evidence) -> None:
    evidence.journal.finally_seen["simulation"] = {"status": "FAILED"}


def still_due(evidence: Evidence) -> None:
    evidence.simulations[0]["due_at"] = at(9)


def an_open_intent(evidence: Evidence) -> None:
    evidence.runs[0]["outcome"] = ""


def going_on_upstream(evidence: Evidence) -> None:
    evidence.ledger[0]["status"] = "in_progress"


@pytest.mark.parametrize(
    ("check", "break_it"),
    [
        (invariants.every_question_has_one_row, a_second_row),
        (invariants.every_question_has_one_row, accepted_as_new_twice),
        (invariants.every_question_has_one_row, accepted_and_gone),
        (invariants.every_row_ends_once, ends_twice),
        (invariants.every_row_ends_once, comes_back_from_its_end),
        (invariants.every_answer_is_its_runs, has_another_answer),
        (invariants.every_failure_is_explained, fails_by_itself),
        (invariants.every_paid_run_is_known, paid_without_a_trace),
        (invariants.every_paid_run_is_known, believed_in_vain),
        (invariants.every_intent_comes_first, paid_before_the_intent),
        (invariants.every_extra_run_has_its_fault, an_extra_run_without_a_fault),
        (invariants.every_extra_run_has_its_fault, an_extra_run_without_words),
        (invariants.every_extra_run_has_its_fault, a_fault_that_came_later),
        (invariants.every_lost_run_has_its_fault, a_fault_that_hides_nothing),
        (invariants.every_run_is_in_its_conversation, in_another_conversation),
        (invariants.every_quota_is_exact, charged_too_much),
        (invariants.every_quota_is_exact, paid_and_not_charged),
        (invariants.every_cancellation_is_somebodys, cancelled_by_nobody),
        (invariants.every_cancellation_is_somebodys, cancelled_in_vain),
        (invariants.no_stranger_sees_anything, a_stranger_reads),
        (invariants.no_user_is_misled, a_user_sees_what_never_was),
        (invariants.no_user_is_misled, a_user_sees_another_end),
        (invariants.nothing_is_left_over, still_due),
        (invariants.nothing_is_left_over, an_open_intent),
        (invariants.nothing_is_left_over, going_on_upstream),
    ],
    ids=lambda value: value.__name__,
)
def test_an_invariant_notices(
    evidence: Evidence, check: invariants.Check, break_it: Callable[[Evidence], None]
) -> None:
    break_it(evidence)
    assert list(check(evidence))


def test_all_invariants_are_tested() -> None:
    [marks] = [mark for mark in test_an_invariant_notices.pytestmark if mark.name == "parametrize"]
    assert {check for check, _ in marks.args[1]} == set(CHECKS)
