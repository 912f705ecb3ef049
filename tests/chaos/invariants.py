"""What must hold whatever went wrong: each check yields what contradicts it, in words.

The judges are the provider's own ledger, the users' journal and the database's history of states;
the product's rows are what is judged.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

from tests.chaos.causes import causes
from tests.chaos.clients import TERMINAL
from tests.chaos.evidence import Evidence, Row, grouped, round_of

Check = Callable[[Evidence], Iterator[str]]

CITATION_MARK = re.compile(r"【\d+:\d+†[^】]+】")
# How a simulation may fail of what the soak does to it.
EXPECTED_FAILURES = {"run_timeout", "start_timeout"}
ACTIVE_UPSTREAM = {"queued", "in_progress", "cancelling"}


def every_question_has_one_row(evidence: Evidence) -> Iterator[str]:
    """However often it was sent; every answer but the first says that it was there before.

    A question that nobody was told of as accepted has at most one.
    """
    rows = grouped(evidence.simulations, "query")
    for key, question in evidence.journal.asked.items():
        found = {row["id"] for row in rows[question.text]}
        accepted = evidence.journal.accepted[key]
        told = {acceptance.ident for acceptance in accepted}
        if len(found) > 1 or (told and found != told):
            yield f"question {question.number}: told of {sorted(told)}, rows {sorted(found)}"
        if not all(acceptance.is_replay for acceptance in accepted[1:]):
            yield f"question {question.number}: accepted as new more than once"


def every_row_ends_once(evidence: Evidence) -> Iterator[str]:
    """From PENDING to one terminal state, which absorbs; nothing is skipped or written after it."""
    for row in evidence.simulations:
        history = evidence.history_of[row["id"]]
        befores, afters = [[entry[name] for entry in history] for name in ("before", "after")]
        ends = [state for state in afters if state in TERMINAL]
        starts_well = befores[:1] == [None] and afters[:1] == ["PENDING"]
        if not (starts_well and befores[1:] == afters[:-1] and ends == afters[-1:]):
            yield f"{row['id']}: {' > '.join(afters)}"


def every_answer_is_its_runs(evidence: Evidence) -> Iterator[str]:
    """The raw answer is what the ledger has for the row's run; for one without id, for any."""
    own_runs = {run["id"]: run for run in evidence.runs}
    for row in evidence.simulations:
        if row["status"] != "COMPLETED":
            continue
        run = own_runs.get(row["run_id"], {"provider_id": None})
        candidates = [
            CITATION_MARK.sub("", entry["answer"] or "")
            for entry in evidence.ledger_of[row["id"]]
            if run["provider_id"] in ("", entry["id"])
        ]
        if row["raw_answer"] not in candidates:
            yield f"{row['id']}: its answer is not that of run {run['provider_id'] or 'by text'}"


def every_failure_is_explained(evidence: Evidence) -> Iterator[str]:
    """A row fails only in ways in which the soak's faults make one fail."""
    for row in evidence.simulations:
        if row["status"] == "FAILED" and row["error_code"] not in EXPECTED_FAILURES:
            yield f"{row['id']}: {row['error_code']}: {row['error_message']} {row['error_detail']}"


def every_paid_run_is_known(evidence: Evidence) -> Iterator[str]:
    """Each run in the ledger has a Run row of its own, by its id or as one whose id was lost."""
    for ident, entries in evidence.ledger_of.items():
        runs = evidence.runs_of[ident]
        known = {run["provider_id"] for run in runs} - {""}
        nameless = [run for run in runs if not run["provider_id"] and may_have_been_paid(run)]
        unknown = {entry["id"] for entry in entries} - known
        if len(unknown) > len(nameless):
            yield f"{ident or 'no simulation'}: {len(unknown)} runs paid without a trace"
    for run in evidence.runs:
        if run["provider_id"] and run["provider_id"] not in evidence.ledger_by_id:
            yield f"{run['simulation']}: run {run['provider_id']} is not the provider's"


def every_intent_comes_first(evidence: Evidence) -> Iterator[str]:
    """A Run row is written before the call that pays for it is sent."""
    for run in evidence.runs:
        entry = evidence.ledger_by_id.get(run["provider_id"])
        if entry and entry["created_at"] < run["requested_at"].timestamp():
            yield f"{run['simulation']}: run {run['provider_id']} was paid before its intent"


def every_extra_run_has_its_fault(evidence: Evidence) -> Iterator[str]:
    """Beyond one a round, a run is one that a fault hid: its row has an outcome and says which."""
    for row in evidence.simulations:
        spare = [run for run in evidence.runs_of[row["id"]] if is_spare(run, row)]
        explained = Counter(run["round"] for run in spare if causes(evidence, run))
        paid = Counter(map(round_of, evidence.ledger_of[row["id"]]))
        for (_, number), count in paid.items():
            if count - 1 > explained[number]:
                yield f"{row['id']}: {count} runs in round {number}, {explained[number]} explained"


def every_lost_run_has_its_fault(evidence: Evidence) -> Iterator[str]:
    """Whether it was billed or not, the product never loses a run by itself."""
    for run in evidence.runs:
        if run["outcome"] == "lost" and not causes(evidence, run):
            yield f"{run['simulation']}: lost ({run['fault']}), but no fault fell on it"


def every_run_is_in_its_conversation(evidence: Evidence) -> Iterator[str]:
    """A row's run went on in the conversation that the row names, where a next turn will be."""
    own_runs = {run["id"]: run for run in evidence.runs}
    for row in evidence.simulations:
        run = own_runs.get(row["run_id"])
        entry = evidence.ledger_by_id.get(run["provider_id"]) if run else None
        if entry and entry["conversation_id"] != row["conversation"]:
            yield f"{row['id']}: in {row['conversation']}, its run in {entry['conversation_id']}"


def every_quota_is_exact(evidence: Evidence) -> Iterator[str]:
    """Used are the rows whose runs may have been billed, among them all in the ledger."""
    charged = Counter()
    for row in evidence.simulations:
        is_charged = any(may_have_been_paid(run) for run in evidence.runs_of[row["id"]])
        charged[row["owner"]] += is_charged or row["status"] not in TERMINAL
        if evidence.ledger_of[row["id"]] and not is_charged:
            yield f"{row['id']}: billed by the provider, but not charged"
    for user, used in evidence.journal.quotas.items():
        if used != charged[user]:
            yield f"{user}: told of {used} used, {charged[user]} rows are charged"


def every_cancellation_is_somebodys(evidence: Evidence) -> Iterator[str]:
    """Cancelled is what its user cancelled; that ends cancelled, unless its answer came first."""
    for row in evidence.simulations:
        was_told = evidence.journal.cancelled.get(row["id"])
        if row["status"] == "CANCELLED" and was_told is None:
            yield f"{row['id']}: cancelled, but by nobody"
        if was_told and row["status"] not in {"CANCELLED", "COMPLETED"}:
            yield f"{row['id']}: cancelled by its user, but {row['status']}"


def no_stranger_sees_anything(evidence: Evidence) -> Iterator[str]:
    """What isn't a user's own is not there."""
    for status, count in evidence.journal.strangers.items():
        if status != 404:
            yield f"{count} times a stranger got {status}"


def no_user_is_misled(evidence: Evidence) -> Iterator[str]:
    """What users saw happen did happen, and what they saw in the end is what the rows say."""
    yield from evidence.journal.unexpected
    for row in evidence.simulations:
        states = [entry["after"] for entry in evidence.history_of[row["id"]]]
        seen = evidence.journal.seen[row["id"]]
        if not is_in_order(seen, states):
            yield f"{row['id']}: users saw {seen}, the history is {states}"
        finally_seen = evidence.journal.finally_seen.get(row["id"])
        if finally_seen and finally_seen["status"] != row["status"]:
            yield f"{row['id']}: users see {finally_seen['status']}, it is {row['status']}"


def nothing_is_left_over(evidence: Evidence) -> Iterator[str]:
    """No row waits, no intent is open, and nothing goes on upstream."""
    for row in evidence.simulations:
        if row["due_at"] is not None or row["status"] not in TERMINAL:
            yield f"{row['id']}: still {row['status']}, due {row['due_at']}"
    for run in evidence.runs:
        if not run["outcome"]:
            yield f"{run['simulation']}: run {run['provider_id'] or run['id']} has no outcome"
    for entry in evidence.ledger:
        if entry["status"] in ACTIVE_UPSTREAM:
            yield f"run {entry['id']} is still {entry['status']} upstream"


CHECKS: list[Check] = [
    every_question_has_one_row,
    every_row_ends_once,
    every_answer_is_its_runs,
    every_failure_is_explained,
    every_paid_run_is_known,
    every_intent_comes_first,
    every_extra_run_has_its_fault,
    every_lost_run_has_its_fault,
    every_run_is_in_its_conversation,
    every_quota_is_exact,
    every_cancellation_is_somebodys,
    no_stranger_sees_anything,
    no_user_is_misled,
    nothing_is_left_over,
]


def may_have_been_paid(run: Row) -> bool:
    return run["outcome"] != "rejected"


def is_spare(run: Row, row: Row) -> bool:
    """Whether it may have been paid without being the row's own, and its row says why."""
    is_own = run["id"] == row["run_id"]
    return not is_own and run["outcome"] in {"lost", "unwanted"} and bool(run["fault"])


def is_in_order(some: list[str], states: list[str]) -> bool:
    """Whether `some` is what can be seen of `states` by looking now and then."""
    following = iter(states)
    return all(state in following for state in some)
