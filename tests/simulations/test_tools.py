"""Tool calls: what they may read, how many there may be, and that each is answered once."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Module, User
from knowledge.models import Article
from simulations import services
from simulations.engine import Engine
from simulations.models import Assistant, Run, Simulation, Status, ToolCall
from simulations.steps.base import REFUSALS_OUTLIVED
from simulations.turns import building
from simulations.turns.tools import (
    MAX_ARTICLES,
    MAX_CALLS,
    MAX_OUTPUT,
    TOO_MUCH_OUTPUT,
    answer_call,
)
from tests.conftest import Drive
from tests.emulator.process import EmulatorProcess
from tests.simulations.test_lifecycle import runs_of, take_step, take_steps_until

pytestmark = pytest.mark.django_db
both_protocols = pytest.mark.usefixtures("protocol")


@pytest.fixture
def assistants(settings: Settings) -> None:
    settings.OPENAI_PROTOCOL, settings.OPENAI_ASSISTANT_ID = "assistants", "asst_tests"


def asking(tool: str = "search_knowledge", arguments: object = None, times: int = 1) -> str:
    """A question at which the emulator's assistant calls a tool, `times` rounds in a row."""
    return f"A question? [[tool:{tool}*{times} {json.dumps(arguments or {'query': 'guards'})}]]"


def outputs() -> list[dict[str, object]]:
    return [json.loads(call.output) for call in ToolCall.objects.all()]


def titles() -> list[str]:
    return [article["title"] for output in outputs() for article in output["articles"]]


def awaiting_outputs() -> bool:
    return Simulation.objects.filter(awaits_outputs=True).exists()


# --- What they may read -----------------------------------------------------------------------


@both_protocols
def test_search_finds_published_articles_and_no_drafts(
    emulator: EmulatorProcess, drive: Drive, analyst: User, articles: dict[str, Article]
) -> None:
    simulation = drive(services.submit(analyst, asking()))
    assert simulation.status == Status.COMPLETED
    assert titles() == ["Title of alpha-001", "Title of beta-001"]
    assert "Title of alpha-001" in simulation.answer
    assert "gamma-001" not in ToolCall.objects.get().output


def test_search_answers_with_a_few_articles_as_they_would_be_sent(
    analyst: User, articles: dict[str, Article]
) -> None:
    for number in range(4):
        text = "Guards.\n---\n" + "x" * 5_000
        Article.objects.create(slug=f"new-{number}", title="New", text=text, status="published")
    found = json.loads(
        answer_call(Assistant(), analyst, "search_knowledge", '{"query": "guards"}')
    )["articles"]
    assert len(found) == MAX_ARTICLES
    assert found[0]["text"].startswith("Guards.\n\\---\n")
    assert found[0]["text"].endswith("[...truncated]")


@both_protocols
def test_rights_withdrawn_before_the_answer_count(
    emulator: EmulatorProcess,
    engine: Engine,
    drive: Drive,
    analyst: User,
    articles: dict[str, Article],
) -> None:
    simulation = services.submit(analyst, asking())
    take_steps_until(engine, awaiting_outputs)
    User.objects.filter(pk=analyst.pk).update(modules=[Module.SIMULATIONS])
    assert drive(simulation).status == Status.COMPLETED
    assert outputs() == [{"error": "The user may not read the knowledge base."}]
    assert "Title of" not in simulation.answer


def test_who_may_not_read_is_offered_no_tool(
    emulator: EmulatorProcess, drive: Drive, trainee: User, articles: dict[str, Article]
) -> None:
    assert drive(services.submit(trainee, asking())).status == Status.COMPLETED
    assert not ToolCall.objects.exists()


@pytest.mark.usefixtures("assistants")
def test_an_assistant_with_tools_of_its_own_reads_nothing_for_who_may_not(
    emulator: EmulatorProcess, drive: Drive, trainee: User, articles: dict[str, Article]
) -> None:
    simulation = drive(services.submit(trainee, asking()))
    assert simulation.status == Status.COMPLETED
    assert outputs() == [{"error": "The user may not read the knowledge base."}]
    assert "Title of" not in simulation.answer


# --- What can't be answered -------------------------------------------------------------------


@pytest.mark.usefixtures("assistants")
def test_an_unknown_tool_gets_an_error_and_the_run_goes_on(
    emulator: EmulatorProcess, drive: Drive, analyst: User
) -> None:
    simulation = drive(services.submit(analyst, asking("delete_everything")))
    assert simulation.status == Status.COMPLETED
    assert outputs() == [{"error": "There is no tool named 'delete_everything'."}]


@both_protocols
def test_bad_arguments_get_an_error_and_the_run_goes_on(
    emulator: EmulatorProcess, drive: Drive, analyst: User
) -> None:
    query = "Well? [[tool:search_knowledge {query}]] [[tool:search_knowledge]]"
    simulation = drive(services.submit(analyst, query))
    assert simulation.status == Status.COMPLETED
    assert [set(output) for output in outputs()] == [{"error"}, {"error"}]


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "{",
        "[]",
        "null",
        '"guards"',
        "{}",
        '{"query": null}',
        '{"query": ["guards"]}',
        '{"query": 7}',
        '{"query":' * 100_000,
        "[" * 100_000,
        '{"query": ' + "9" * 5_000 + "}",
    ],
)
def test_arguments_that_make_no_sense_get_an_error(analyst: User, arguments: str) -> None:
    [problem] = json.loads(
        answer_call(Assistant(), analyst, "search_knowledge", arguments)
    ).values()
    assert "The arguments must be" in problem


@pytest.mark.parametrize("query", ["", "?", "\0", "\ud800", '"', "NEAR(a) OR *"])
def test_any_text_can_be_searched_for(analyst: User, query: str) -> None:
    output = answer_call(Assistant(), analyst, "search_knowledge", json.dumps({"query": query}))
    assert json.loads(output) == {"articles": []}


def test_too_long_a_query_gets_an_error_that_says_so(analyst: User) -> None:
    output = answer_call(
        Assistant(), analyst, "search_knowledge", json.dumps({"query": "guards " * 10_000})
    )
    assert json.loads(output) == {"error": "Search for at most 500 characters."}


# --- Rounds -----------------------------------------------------------------------------------


@both_protocols
def test_five_rounds_are_answered(
    emulator: EmulatorProcess, drive: Drive, analyst: User, protocol: str
) -> None:
    simulation = drive(services.submit(analyst, asking(times=5)))
    assert (simulation.status, simulation.tool_rounds) == (Status.COMPLETED, 5)
    assert list(ToolCall.objects.values_list("round", flat=True)) == [1, 2, 3, 4, 5]
    upstream = runs_of(emulator, simulation)
    runs = list(simulation.runs.values_list("round", "outcome", "provider_id", "total_tokens"))
    rounds = [int(run["metadata"]["round"]) for run in upstream]
    assert rounds == ([1, 2, 3, 4, 5, 6] if protocol == "responses" else [1])
    assert runs == [
        (number, "completed", run["id"], run["usage"]["total_tokens"])
        for number, run in zip(rounds, upstream, strict=True)
    ]
    assert simulation.tokens_used == sum(run["usage"]["total_tokens"] for run in upstream)


@both_protocols
def test_the_sixth_round_is_the_limit_and_leaves_a_conversation_that_goes_on(
    emulator: EmulatorProcess, drive: Drive, analyst: User, protocol: str
) -> None:
    earlier = drive(services.submit(analyst, "A question?"))
    simulation = drive(services.follow_up(analyst, earlier, asking(times=6)))
    assert (simulation.error_code, simulation.error_status) == ("tool_limit", 502)
    assert "narrower" in simulation.error_message
    assert ToolCall.objects.filter(round=6, output="").count() == 1
    last = runs_of(emulator, simulation)[-1]
    assert last["cancelled_by_request"] is (protocol == "assistants")
    assert drive(services.follow_up(analyst, earlier, "And then?")).status == Status.COMPLETED


@both_protocols
def test_each_round_has_the_whole_run_timeout(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User
) -> None:
    simulation = services.submit(analyst, asking())
    take_steps_until(engine, awaiting_outputs)
    age_round(simulation)
    emulator.control(latency=600)
    for _ in range(3):
        take_step(engine)
    simulation.refresh_from_db()
    assert (simulation.status, simulation.stop_reason) == (Status.RUNNING, "")
    assert not simulation.awaits_outputs
    age_round(simulation)
    emulator.control(latency=0.05)
    assert drive(simulation).error_code == "run_timeout"


def age_round(simulation: Simulation) -> None:
    long_ago = timezone.now() - timedelta(seconds=100)
    Simulation.objects.filter(pk=simulation.pk).update(round_started_at=long_ago)


@both_protocols
def test_several_calls_of_a_round_are_answered_together_and_in_order(
    emulator: EmulatorProcess, drive: Drive, analyst: User, articles: dict[str, Article]
) -> None:
    query = " ".join(
        f'[[tool:search_knowledge {{"query": "{words}"}}]]' for words in ("alpha", "beta", "none")
    )
    assert drive(services.submit(analyst, query)).tool_rounds == 1
    assert list(ToolCall.objects.values_list("position", flat=True)) == [1, 2, 3]
    assert [len(output["articles"]) for output in outputs()] == [1, 1, 0]


@both_protocols
def test_calls_beyond_the_limit_get_an_error_and_the_conversation_goes_on(
    emulator: EmulatorProcess,
    drive: Drive,
    analyst: User,
    articles: dict[str, Article],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered = []
    monkeypatch.setattr(
        building, "answer_call", lambda *args: answered.append(args) or answer_call(*args)
    )
    query = '[[tool:search_knowledge {"query": "guards"}]] ' * (MAX_CALLS + 40)
    simulation = drive(services.submit(analyst, query))
    assert simulation.status == Status.COMPLETED
    assert len(answered) == MAX_CALLS
    made = outputs()
    assert all("articles" in output for output in made[:MAX_CALLS])
    assert (
        made[MAX_CALLS:] == [{"error": f"Not answered: only {MAX_CALLS} calls at a time are."}] * 40
    )
    follow_up = services.follow_up(analyst, simulation, "And then?")
    assert drive(follow_up).status == Status.COMPLETED


def test_the_outputs_of_a_round_are_bounded_together(
    emulator: EmulatorProcess, drive: Drive, analyst: User, articles: dict[str, Article]
) -> None:
    Article.objects.update(text="Guards. " * 1_000)
    query = '[[tool:search_knowledge {"query": "guards"}]] ' * MAX_CALLS
    assert drive(services.submit(analyst, query)).status == Status.COMPLETED
    kept = [call.output for call in ToolCall.objects.all()]
    assert sum(map(len, kept)) <= MAX_OUTPUT + MAX_CALLS * len(TOO_MUCH_OUTPUT)
    assert "articles" in json.loads(kept[0])
    assert kept[-1] == TOO_MUCH_OUTPUT


# --- Outages ----------------------------------------------------------------------------------


def send_outputs_operation(protocol: str) -> str:
    return "start_run" if protocol == "responses" else "submit_tool_outputs"


@pytest.mark.parametrize("kind", ["429", "500", "drop", "truncated"])
def test_outputs_get_through_an_outage_and_are_made_once(
    emulator: EmulatorProcess,
    engine: Engine,
    drive: Drive,
    analyst: User,
    articles: dict[str, Article],
    protocol: str,
    kind: str,
) -> None:
    simulation = services.submit(analyst, asking())
    take_steps_until(engine, awaiting_outputs)
    emulator.arm(kind, send_outputs_operation(protocol), seconds=0.05)
    take_step(engine)
    made = ToolCall.objects.get().output
    assert "Title of alpha-001" in made
    Article.objects.update(title="Renamed")

    assert drive(simulation).status == Status.COMPLETED
    assert ToolCall.objects.get().output == made
    assert "Title of alpha-001" in simulation.answer
    assert "Renamed" not in simulation.answer
    accepted = {"responses": 2, "assistants": 1}
    assert len(runs_of(emulator, simulation)) == accepted[protocol]


@pytest.mark.parametrize(
    ("kind", "code"), [("429", "run_timeout"), ("500", "run_timeout"), ("403", "provider_auth")]
)
@pytest.mark.usefixtures("assistants")
def test_outputs_that_never_get_through_end_it(
    emulator: EmulatorProcess,
    engine: Engine,
    drive: Drive,
    analyst: User,
    settings: Settings,
    kind: str,
    code: str,
) -> None:
    simulation = services.submit(analyst, asking())
    take_steps_until(engine, awaiting_outputs)
    emulator.arm(kind, "submit_tool_outputs", count=1_000)
    for _ in range(3):
        take_step(engine)
    simulation.refresh_from_db()
    assert simulation.status == Status.RUNNING
    settings.RUN_TIMEOUT = settings.START_TIMEOUT = timedelta(0)
    assert drive(simulation).error_code == code
    take_step(engine)
    assert [run["cancelled_by_request"] for run in emulator.ledger()["runs"]] == [True]


@pytest.mark.usefixtures("assistants")
def test_the_provider_names_the_next_poll_when_it_takes_the_outputs(
    emulator: EmulatorProcess, engine: Engine, analyst: User
) -> None:
    simulation = services.submit(analyst, asking())
    take_steps_until(engine, awaiting_outputs)
    emulator.control(latency=600, poll_after_ms=7_000)
    take_steps_until(engine, lambda: not awaiting_outputs())
    simulation.refresh_from_db()
    wait = (simulation.due_at - simulation.round_started_at).total_seconds()
    assert wait == pytest.approx(7, abs=0.01)


@pytest.mark.parametrize("kind", ["401", "403", "404", "no_quota"])
def test_rounds_that_are_paid_for_outlive_a_few_refusals(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User, protocol: str, kind: str
) -> None:
    simulation = services.submit(analyst, asking())
    take_steps_until(engine, awaiting_outputs)
    emulator.arm(kind, send_outputs_operation(protocol), count=REFUSALS_OUTLIVED)
    assert drive(simulation).status == Status.COMPLETED


def test_rounds_whose_outputs_stay_refused_fail(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User, protocol: str
) -> None:
    simulation = services.submit(analyst, asking())
    take_steps_until(engine, awaiting_outputs)
    emulator.arm("403", send_outputs_operation(protocol), count=1_000)
    assert drive(simulation).error_code == "provider_auth"


@pytest.mark.usefixtures("assistants")
def test_a_run_forgotten_while_it_waited_for_outputs_is_lost(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User
) -> None:
    simulation = services.submit(analyst, asking())
    take_steps_until(engine, awaiting_outputs)
    emulator.reset()
    drive(simulation, slices=10)
    assert (simulation.error_code, simulation.error_status) == ("run_lost", 502)


@pytest.mark.parametrize("times", [1, 2])
def test_a_lost_round_is_adopted_by_what_follows_our_outputs(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User, times: int
) -> None:
    """On responses; with two rounds it is a tool call that is found."""
    simulation = services.submit(analyst, asking(times=times))
    take_steps_until(engine, awaiting_outputs)
    emulator.arm("drop", "start_run")
    assert drive(simulation).status == Status.COMPLETED
    assert len(emulator.ledger()["runs"]) == simulation.runs.count() == times + 1
    assert [run.round for run in simulation.runs.filter(adopted=True)] == [2]
    assert simulation.runs.filter(outcome=Run.Outcome.COMPLETED).count() == times + 1
    assert simulation.tokens_used is None


def test_a_lost_round_that_still_goes_on_is_waited_for(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User
) -> None:
    simulation = services.submit(analyst, asking())
    take_steps_until(engine, awaiting_outputs)
    emulator.control(latency=600)
    emulator.arm("drop", "start_run")
    for _ in range(10):
        take_step(engine)
    assert len(runs_of(emulator, simulation)) == 2
    emulator.release()
    assert drive(simulation).status == Status.COMPLETED
    assert len(runs_of(emulator, simulation)) == 2


def test_a_round_that_was_refused_is_asked_for_again(
    emulator: EmulatorProcess, engine: Engine, drive: Drive, analyst: User
) -> None:
    simulation = services.submit(analyst, asking())
    take_steps_until(engine, awaiting_outputs)
    emulator.arm("429", "start_run", count=2)
    assert drive(simulation).status == Status.COMPLETED
    rounds = list(simulation.runs.values_list("round", "outcome"))
    assert rounds == [(1, "completed"), (2, "rejected"), (2, "rejected"), (2, "completed")]
