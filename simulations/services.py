"""The use cases that touch several nouns."""

import hashlib
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from accounts.models import User
from config.errors import AppError, Forbidden
from config.request_id import current_request_id
from config.throttling import REPLAYS, SUBMISSIONS, spend
from simulations.models import (
    Agent,
    Assistant,
    Conversation,
    ErrorCode,
    Feedback,
    Run,
    Simulation,
    Status,
    StopReason,
)
from simulations.quota import Quota


class OpenAINotConfigured(AppError):
    status_code = 503
    message = (
        "OpenAI not configured: an administrator must set OPENAI_API_KEY "
        "(and OPENAI_ASSISTANT_ID for the assistants protocol)"
    )


class QueryTooLong(AppError):
    status_code = 413
    LIMIT = 100_000
    message = (
        f"The query is longer than {LIMIT:,} characters. "
        f"Shorten it to {Simulation.QUERY_LIMIT:,} or fewer."
    )


class AssistantSwitchedOff(AppError):
    status_code = 409


class AgentCannotRun(AppError):
    status_code = 409


class InvalidState(AppError):
    status_code = 409


class IdempotencyKeyReused(AppError):
    status_code = 422
    message = (
        "Idempotency-Key: this key was used for another request. Send a new key with a new request."
    )


def submit(
    owner: User,
    query: str,
    *,
    assistant: Assistant | None = None,
    idempotency_key: str = "",
) -> Simulation:
    """Accepts a query: a PENDING row that the engine takes from there.

    Without `assistant` the default one answers. What is longer than QUERY_LIMIT is cut, and the
    row says so. Raises OpenAINotConfigured, AssistantSwitchedOff, QueryTooLong,
    MonthlyLimitReached or IdempotencyKeyReused, and then creates nothing.
    """
    chosen = [f"assistant {assistant.pk}"] if assistant else []
    return _accept(owner, query, idempotency_key, digest(query, *chosen), assistant=assistant)


def follow_up(
    owner: User, simulation: Simulation, query: str, *, idempotency_key: str = ""
) -> Simulation:
    """Asks the same assistant on in the same conversation; waits there for its turn.

    Raises as `submit` does.
    """
    _check_owner(owner, simulation)
    return _accept(
        owner,
        query,
        idempotency_key,
        digest(query, f"follow-up {simulation.pk}"),
        assistant=simulation.assistant,
        conversation=simulation.conversation,
        follows=simulation,
    )


def retry(owner: User, simulation: Simulation, *, idempotency_key: str = "") -> Simulation:
    """Asks the same assistant a failed question anew: another simulation, which names the old one.

    It goes on in the conversation it was asked in, if that holds earlier answers and the provider
    still knows it. Raises as `submit` does, and InvalidState for what has not failed or was
    retried before.
    """
    _check_owner(owner, simulation)
    if simulation.status != Status.FAILED:
        raise InvalidState("Only a failed simulation can be retried.")
    earlier = simulation.conversation.simulations.filter(status=Status.COMPLETED)
    goes_on = simulation.error_code != ErrorCode.CONVERSATION_GONE and earlier.exists()
    return _accept(
        owner,
        simulation.query,
        idempotency_key,
        digest(f"retry {simulation.pk}"),
        assistant=simulation.assistant,
        conversation=simulation.conversation if goes_on else None,
        retry_of=simulation,
        query_truncated=simulation.query_truncated,
    )


def run_agent(
    agent: Agent, *, started_by: User | None = None, idempotency_key: str = ""
) -> Simulation:
    """Asks an agent's question on its owner's quota: by its schedule, or by an administrator.

    Raises as `submit` does, and AgentCannotRun. A key is the administrator's own.
    """
    key = digest(f"agent, by {started_by.pk}", idempotency_key) if idempotency_key else ""
    with transaction.atomic():
        # Of two at once, the second one is to see the first one's run.
        agent = Agent.objects.select_for_update().get(pk=agent.pk)
        simulation = _accept(
            agent.owner,
            agent.query,
            key,
            digest(f"agent {agent.pk}"),
            assistant=agent.assistant,
            agent=agent,
        )
        if not simulation.is_replay:
            agent.runs.create(simulation=simulation, started_by=started_by)
    return simulation


def cancel(simulation: Simulation) -> None:
    """Ends what is waiting at once; what is running is first ended at the provider.

    Raises InvalidState for what is over already.
    """
    row = Simulation.objects.filter(pk=simulation.pk)
    with transaction.atomic():
        if row.filter(status=Status.PENDING).transition(Status.CANCELLED):
            # A create call may be under way: its answer is waited for, and then ended.
            simulation.runs.filter(outcome="").discard(
                Run.Fault.CANCELLED, after=settings.START_LEASE
            )
        elif not _request_stop(row):
            raise InvalidState("The simulation is over: there is nothing to cancel.")
    simulation.refresh_from_db()


def give_feedback(
    owner: User, simulation: Simulation, *, is_useful: bool, reason: str = ""
) -> Feedback:
    """Says whether an answer was of use; takes the place of what was said before.

    Raises InvalidState where there is no answer.
    """
    if simulation.owner_id != owner.pk:
        raise Forbidden("Only its owner can say whether the answer was useful.")
    if simulation.status != Status.COMPLETED:
        raise InvalidState("There is no answer to judge.")
    feedback, _ = Feedback.objects.update_or_create(
        simulation=simulation, defaults={"is_useful": is_useful, "reason": reason}
    )
    return feedback


def _request_stop(row: Any) -> bool:
    """Fences off the step under way, so that it can't put off what is due now."""
    running = row.filter(status=Status.RUNNING)
    running.filter(stop_reason="").update(
        stop_reason=StopReason.CANCEL,
        stop_requested_at=Now(),
        due_at=Now(),
        step_number=F("step_number") + 1,
    )
    return running.exists()


def digest(*parts: str) -> str:
    """What an idempotency key stands for."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _check_owner(user: User, simulation: Simulation) -> None:
    if simulation.owner_id != user.pk:
        raise Forbidden("Only its owner can do this: it counts against the owner's limit.")


def _accept(
    owner: User,
    query: str,
    idempotency_key: str,
    request_digest: str,
    *,
    assistant: Assistant | None,
    conversation: Conversation | None = None,
    query_truncated: bool = False,
    follows: Simulation | None = None,
    retry_of: Simulation | None = None,
    agent: Agent | None = None,
) -> Simulation:
    assistant = assistant or Assistant.objects.get_or_create_default()
    if replayed := _find_replay(owner, idempotency_key, request_digest):
        spend(REPLAYS, owner.pk)
        return replayed
    if agent is None:  # else it is a schedule's, or an administrator's and not the owner's
        spend(SUBMISSIONS, owner.pk)
    with transaction.atomic():
        # The lock makes count and insert one: concurrent submissions of a user take turns.
        # SQLite has no row locks; there the transaction is IMMEDIATE.
        locked = User.objects.select_for_update(no_key=True).get(pk=owner.pk)
        # The same request may have come through since.
        if replayed := _find_replay(locked, idempotency_key, request_digest):
            return replayed
        _check_followed(follows)
        _check_retried(retry_of)
        _check_agent(agent)
        _check_assistant(assistant)
        _check_query(query)
        Quota.of(locked).check()
        return Simulation.objects.create(
            owner=owner,
            assistant=assistant,
            conversation=conversation or _open_conversation(owner),
            query=query[: Simulation.QUERY_LIMIT],
            query_truncated=query_truncated or len(query) > Simulation.QUERY_LIMIT,
            retry_of=retry_of,
            idempotency_key=idempotency_key,
            request_digest=request_digest if idempotency_key else "",
            request_id=current_request_id(),
        )


def _open_conversation(owner: User) -> Conversation:
    return Conversation.objects.create(owner=owner, protocol=settings.OPENAI_PROTOCOL)


def _find_replay(owner: User, idempotency_key: str, request_digest: str) -> Simulation | None:
    if not idempotency_key:
        return None
    found = owner.simulations.filter(idempotency_key=idempotency_key).first()
    if found is None:
        return None
    if found.request_digest != request_digest:
        raise IdempotencyKeyReused
    found.is_replay = True
    return found


def _check_followed(follows: Simulation | None) -> None:
    if follows and follows.status in {Status.FAILED, Status.CANCELLED}:
        raise InvalidState("There is no answer to follow up. Retry the question, or ask a new one.")


def _check_retried(retry_of: Simulation | None) -> None:
    retried = Simulation.objects.filter(retry_of=retry_of).first() if retry_of else None
    if retried:
        raise InvalidState(
            "This simulation was retried before.", details={"retried_as": str(retried.pk)}
        )


def _check_agent(agent: Agent | None) -> None:
    if agent and (obstacle := agent.obstacle()):
        raise AgentCannotRun(obstacle)


def _check_assistant(assistant: Assistant) -> None:
    if not assistant.is_active:
        raise AssistantSwitchedOff(
            f"The assistant “{assistant}” is switched off. Ask another one, as a new question."
        )


def _check_query(query: str) -> None:
    if not settings.OPENAI_CONFIGURED:
        raise OpenAINotConfigured
    if len(query) > QueryTooLong.LIMIT:
        raise QueryTooLong
