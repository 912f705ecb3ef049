"""What a run ends with: tool calls, an answer, or the outcome a test wished for."""

from __future__ import annotations

from collections.abc import Callable

from emulator.answers import cite_first_sentence, compose_answer
from emulator.articles import split_prompt
from emulator.runs import ERRORS, TRIGGER, Item, Run, wanted_calls

ENDLESS = {"stuck": "in_progress", "strange": "reviewing"}
"""The status such a run comes to and keeps until it is cancelled; nobody knows `reviewing`."""
FAILED = "failed"
OUTCOMES = (
    FAILED,
    *(f"{FAILED}:{code}" for code in ERRORS),
    *("incomplete", "expired", "refusal", "empty", "unclean"),
    *ENDLESS,
)
"""`failed:invalid_prompt` fails with that code, `failed` with `server_error`. A response has no
status `expired`: it fails instead."""
OUTCOME_KEY = "emulator_outcome"
"""A run whose metadata has this key ends that way."""
REFUSAL = "I'm sorry, but I can't help with that request."
UNCLEAN = "\x00\ud800"
"""What JSON can carry and PostgreSQL's text cannot: NUL and a lone surrogate."""

NewId = Callable[[str], str]


def decide(run: Run, wish: str | None, new_id: NewId) -> None:
    """Sets the status and the output that the run will show once it is ready."""
    calls = [] if wish else _calls(run, new_id)
    if calls:
        run.outcome = "completed" if run.protocol == "responses" else "requires_action"
        run.output = calls
    elif wish == "expired" and run.protocol == "assistants":
        run.outcome, run.output = wish, []
    elif wish == "expired" or (wish and wish.startswith(FAILED)):
        run.outcome, run.output = FAILED, []
        run.error_code = wish.partition(":")[2] or run.error_code
    elif wish in ENDLESS:
        run.outcome, run.output = ENDLESS[wish], []
    else:
        _decide_answer(run, wish, new_id("msg"))


def _calls(run: Run, new_id: NewId) -> list[Item]:
    """A response can only call the tools it was given; an assistant has its own."""
    given = {tool.get("name") for tool in run.tools}
    query, _ = split_prompt(run.prompt)
    return [
        Item(
            id=new_id("fc"),
            kind="function_call",
            created_at=run.ready_at,
            call_id=new_id("call"),
            name=name,
            text=arguments,
            run_id=run.id,
        )
        for name, arguments in wanted_calls(query, run.rounds)
        if run.protocol == "assistants" or name in given
    ]


def _decide_answer(run: Run, wish: str | None, message_id: str) -> None:
    text = _text(run, wish)
    kept = text[: _room(run, text, wish)]
    complete = kept == text and wish != "incomplete"
    run.outcome = "completed" if complete else "incomplete"
    run.output = [
        Item(
            id=message_id,
            kind="message",
            created_at=run.ready_at,
            text=kept,
            refusal=wish == "refusal",
            complete=complete,
            run_id=run.id,
        )
    ]


def _text(run: Run, wish: str | None) -> str:
    if wish == "refusal":
        return REFUSAL
    if wish == "empty":
        return ""
    if run.wished_answer is not None:
        return run.wished_answer
    prompt = TRIGGER.sub("", run.prompt)
    answer = compose_answer(prompt, run.findings)
    _, articles = split_prompt(prompt)
    if run.protocol == "assistants" and articles:
        answer = cite_first_sentence(answer)
    return answer + UNCLEAN if wish == "unclean" else answer


def _room(run: Run, text: str, wish: str | None) -> int:
    """How many characters of the answer fit: four to a token."""
    tokens = run.request.get("max_output_tokens") or run.request.get("max_completion_tokens")
    room = len(text) if tokens is None else tokens * 4
    return min(room, len(text) // 2) if wish == "incomplete" else room
