"""The pages, as the server renders them."""

import re
from collections.abc import Callable

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import Module, User
from knowledge.models import Article
from simulations import services
from simulations.models import Assistant, Simulation, Status, StopReason

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


def sign_in(user: User, **options: object) -> Client:
    client = Client(**options)
    client.force_login(user)
    return client


@pytest.fixture
def page(analyst: User) -> Client:
    return sign_in(analyst)


@pytest.fixture
def waiting(analyst: User) -> Simulation:
    return services.submit(analyst, "Who opens the barrier?")


@pytest.fixture
def running(waiting: Simulation) -> Simulation:
    return change(waiting, **started(waiting))


@pytest.fixture
def failed(analyst: User) -> Simulation:
    simulation = services.submit(analyst, "Who locks the door?")
    return end(simulation, Status.FAILED, error_message="Alas.")


@pytest.fixture
def answered(analyst: User) -> Simulation:
    simulation = services.submit(analyst, "Who checks the gate?")
    simulation.citations.create(
        position=1,
        slug="alpha-001",
        title="The Alpha Article",
        category="Testing",
        text="The text that was sent.",
        keywords=["gate"],
    )
    answer = "**The guard** does.<script>x</script>"
    return end(simulation, Status.COMPLETED, answer=answer, tokens_used=1234)


def url(simulation: Simulation, name: str = "detail") -> str:
    return reverse(f"simulations:{name}", args=[simulation.pk])


def text_of(response: object) -> str:
    return response.content.decode()


def started(simulation: Simulation) -> dict[str, object]:
    run = simulation.runs.create(provider_id="run_1", accepted_at=Now())
    times = dict.fromkeys(["admitted_at", "due_at", "started_at", "round_started_at"], Now())
    return times | {"status": Status.RUNNING, "run": run}


def change(simulation: Simulation, **fields: object) -> Simulation:
    Simulation.objects.filter(pk=simulation.pk).update(**fields)
    simulation.refresh_from_db()
    return simulation


def end(simulation: Simulation, status: Status, **fields: object) -> Simulation:
    assert Simulation.objects.filter(pk=simulation.pk).transition(status, **fields)
    simulation.refresh_from_db()
    return simulation


def test_submitting_leads_to_the_page_that_watches(page: Client) -> None:
    response = page.post("/simulations/new/", {"query": "Who checks\r\nthe gate?"})
    simulation = Simulation.objects.get()
    assert (response.status_code, response.headers["Location"]) == (302, url(simulation))
    assert simulation.query == "Who checks\nthe gate?"
    watching = text_of(page.get(url(simulation)))
    assert f'hx-get="{url(simulation, "status")}' in watching
    assert '<noscript><meta http-equiv="refresh"' in watching


def test_a_terminal_page_asks_no_more(page: Client, answered: Simulation) -> None:
    shown = text_of(page.get(url(answered)))
    assert "hx-get" not in shown
    assert "http-equiv" not in shown
    assert "<strong>The guard</strong>" in shown
    assert "<script>x" not in shown
    assert "The Alpha Article" in shown
    assert "gate" in shown
    assert "1,234" in shown


def test_an_unchanged_status_is_not_sent_again(page: Client, analyst: User) -> None:
    simulation = services.submit(analyst, "Who checks the gate?")
    shown = text_of(page.get(url(simulation, "status"), headers=HTMX))
    [seen] = re.findall(r"\?seen=([^\"&]+)", shown)
    again = page.get(url(simulation, "status"), {"seen": seen}, headers=HTMX)
    assert again.status_code == 204
    assert int(again.headers["Retry-After"]) >= 1
    Simulation.objects.filter(pk=simulation.pk).transition(Status.FAILED, error_message="Alas.")
    changed = page.get(url(simulation, "status"), {"seen": seen}, headers=HTMX)
    assert "Alas." in text_of(changed)


def test_a_session_that_ended_reloads_the_page_to_sign_in(analyst: User) -> None:
    simulation = services.submit(analyst, "Who checks the gate?")
    response = Client().get(url(simulation, "status"), headers=HTMX)
    assert response.headers["HX-Refresh"] == "true"
    assert "gate" not in text_of(response)


@pytest.mark.parametrize("name", ["detail", "status"])
def test_others_simulations_are_not_there(
    answered: Simulation, outsider: User, admin: User, name: str
) -> None:
    client = Client()
    client.force_login(outsider)
    assert client.get(url(answered, name)).status_code == 404
    client.force_login(admin)
    assert client.get(url(answered, name)).status_code == 200


def test_article_text_needs_the_module(page: Client, answered: Simulation, analyst: User) -> None:
    assert "The text that was sent." in text_of(page.get(url(answered)))
    User.objects.filter(pk=analyst.pk).update(modules=[Module.SIMULATIONS])
    shown = text_of(page.get(url(answered)))
    assert "The text that was sent." not in shown
    assert "The Alpha Article" in shown


def no_key(settings: Settings) -> None:
    settings.OPENAI_CONFIGURED = False


def no_quota(settings: Settings) -> None:
    User.objects.update(monthly_simulation_limit=0)


@pytest.mark.parametrize(
    ("arrange", "query", "status", "words"),
    [
        (no_key, "Keep me", 503, "OpenAI not configured"),
        (no_quota, "Keep me", 429, "Monthly simulation limit reached"),
        (lambda settings: None, "Keep me" + "x" * 100_000, 413, "longer than 100,000"),
        (lambda settings: None, "  ", 400, "Write the question"),
        (lambda settings: None, "Keep me\0", 400, "Null characters"),
    ],
)
def test_a_refused_submission_says_why_and_keeps_the_text(
    page: Client,
    settings: Settings,
    arrange: Callable[[Settings], None],
    query: str,
    status: int,
    words: str,
) -> None:
    arrange(settings)
    response = page.post("/simulations/new/", {"query": query})
    assert response.status_code == status
    assert ("Retry-After" in response.headers) == (status == 429)
    assert words in text_of(response)
    assert query.strip("\0 ") in text_of(response)
    assert not Simulation.objects.exists()


def test_an_assistant_is_chosen_where_there_are_several(page: Client, analyst: User) -> None:
    default = Assistant.objects.get_or_create_default()
    assert 'name="assistant"' not in text_of(page.get("/simulations/new/"))
    other = Assistant.objects.create(name="Another")
    off = Assistant.objects.create(name="Switched off", is_active=False)
    names = re.findall(r"<option[^>]*>([^<]*)<", text_of(page.get("/simulations/new/")))
    assert names == [default.name, "Another"]
    for chosen in (default, other):
        page.post("/simulations/new/", {"query": "Who?", "token": "t", "assistant": chosen.pk})
    assert [simulation.assistant for simulation in analyst.simulations.all()] == [other, default]
    refused = page.post("/simulations/new/", {"query": "Keep me", "assistant": off.pk})
    assert refused.status_code == 400
    assert "This assistant takes no questions" in text_of(refused)
    assert "Keep me" in text_of(refused)


def test_a_text_that_is_too_long_is_an_error_beside_the_field(page: Client) -> None:
    shown = text_of(page.post("/simulations/new/", {"query": "x" * 100_001}))
    assert re.search(r'<ul class="errorlist" id="id_query_error"><li>The query is longer', shown)


@pytest.mark.parametrize(
    "path", ["/sign-in/", "/simulations/", "/simulations/new/", "/nothing", "/admin/"]
)
def test_every_page_has_the_strict_policy(page: Client, path: str) -> None:
    response = page.get(path)
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    shown = text_of(response)
    assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>|\sstyle=|\son[a-z]+=", shown)


def test_a_stale_form_is_refused_in_words(analyst: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(analyst)
    response = client.post("/simulations/new/", {"query": "Who checks the gate?"})
    assert response.status_code == 403
    assert "reload the page" in text_of(response)


def test_a_failure_shows_a_page_without_its_message(
    settings: Settings, analyst: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "submit", lambda *args: 1 / 0)
    client = Client(raise_request_exception=False)
    client.force_login(analyst)
    response = client.post("/simulations/new/", {"query": "Who checks the gate?"})
    assert response.status_code == 500
    assert "An unexpected error occurred" in text_of(response)
    assert "ZeroDivisionError" not in text_of(response)


# --- Cancel -----------------------------------------------------------------------------------


def test_what_waits_is_cancelled_at_once(page: Client, waiting: Simulation) -> None:
    response = page.post(url(waiting, "cancel"))
    assert (response.status_code, response.headers["Location"]) == (302, url(waiting))
    shown = text_of(page.get(url(waiting)))
    assert "This simulation was cancelled" in shown
    assert "Ask again" in shown
    assert "Retry" not in shown
    assert 'id="follow-up"' not in shown


def test_a_run_that_is_being_ended_says_so_until_it_is_true(
    page: Client, running: Simulation
) -> None:
    assert url(running, "cancel") in text_of(page.get(url(running)))
    fragment = text_of(page.post(url(running, "cancel"), headers=HTMX))
    assert "<html" not in fragment
    for shown in (fragment, text_of(page.get(url(running)))):
        assert "Stopping…" in shown
        assert url(running, "cancel") not in shown
        assert f'hx-get="{url(running, "status")}' in shown
        assert 'id="follow-up"' not in shown
    end(running, Status.CANCELLED)
    shown = text_of(page.get(url(running)))
    assert "Stopping" not in shown
    assert "This simulation was cancelled" in shown


@pytest.mark.parametrize("htmx", [False, True])
def test_cancelling_what_is_over_shows_what_it_is(
    page: Client, answered: Simulation, htmx: bool
) -> None:
    assert url(answered, "cancel") not in text_of(page.get(url(answered)))
    shown = page.post(url(answered, "cancel"), headers=HTMX if htmx else None, follow=not htmx)
    assert shown.status_code == 200
    assert "there is nothing to cancel" in text_of(shown)
    assert "<strong>The guard</strong>" in text_of(shown)


def test_an_admin_may_cancel_anyones_but_not_ask_in_their_name(
    waiting: Simulation, failed: Simulation, answered: Simulation, admin: User
) -> None:
    client = sign_in(admin)
    assert "Asked by <strong>analyst</strong>" in text_of(client.get(url(waiting)))
    assert url(waiting, "cancel") in text_of(client.get(url(waiting)))
    for simulation, name in [(failed, "retry"), (answered, "follow-up"), (waiting, "follow-up")]:
        assert url(simulation, name) not in text_of(client.get(url(simulation)))
        assert client.post(url(simulation, name), {"query": "Mine?"}).status_code == 404
    client.post(url(waiting, "cancel"))
    waiting.refresh_from_db()
    assert waiting.status == Status.CANCELLED
    assert "Ask again" not in text_of(client.get(url(waiting)))
    assert Simulation.objects.count() == 3


# --- Retry ------------------------------------------------------------------------------------


def test_a_retry_and_what_it_repeats_name_each_other(page: Client, failed: Simulation) -> None:
    shown = text_of(page.get(url(failed)))
    assert url(failed, "retry") in shown
    assert "Ask again" not in shown
    response = page.post(url(failed, "retry"))
    retry = Simulation.objects.get(retry_of=failed)
    assert (response.status_code, response.headers["Location"]) == (302, url(retry))
    assert f'Retry of <a href="{url(failed)}"' in text_of(page.get(url(retry)))
    shown = text_of(page.get(url(failed)))
    assert f'Retried as <a href="{url(retry)}"' in shown
    assert url(failed, "retry") not in shown


def test_a_second_click_leads_to_the_one_retry(page: Client, failed: Simulation) -> None:
    first, second = (page.post(url(failed, "retry")) for _ in range(2))
    assert second.headers["Location"] == first.headers["Location"]
    assert Simulation.objects.filter(retry_of=failed).count() == 1
    assert "retried before" not in text_of(page.get(first.headers["Location"]))


def test_a_refused_retry_says_why(
    page: Client, settings: Settings, failed: Simulation, answered: Simulation
) -> None:
    shown = text_of(page.post(url(answered, "retry"), follow=True))
    assert "Only a failed simulation can be retried." in shown
    no_quota(settings)
    shown = text_of(page.post(url(failed, "retry"), follow=True))
    assert "Monthly simulation limit reached" in shown
    assert url(failed, "retry") in shown


# --- Follow-up --------------------------------------------------------------------------------


def test_a_follow_up_goes_on_in_the_conversation(page: Client, answered: Simulation) -> None:
    shown = text_of(page.get(url(answered)))
    assert f'action="{url(answered, "follow-up")}"' in shown
    assert 'data-limit="12000"' in shown
    assert "autofocus" not in shown
    response = page.post(url(answered, "follow-up"), {"query": "And\r\nat night?"})
    following = answered.conversation.simulations.get(query="And\nat night?")
    assert (response.status_code, response.headers["Location"]) == (302, url(following))
    asked_in_flight = page.post(url(following, "follow-up"), {"query": "And on Sundays?"})
    assert asked_in_flight.status_code == 302

    before, after = text_of(page.get(url(following))).split("<h1>")
    assert f'<a href="{url(answered)}">Who checks the gate?</a>' in before
    assert "Earlier in this conversation" in before
    assert f'<a href="{asked_in_flight.headers["Location"]}">And on Sundays?</a>' in after
    assert "Next question" in after
    assert "The guard" not in before + after
    assert "The question before it is answered first" not in after
    assert "The question before it" in text_of(page.get(asked_in_flight.headers["Location"]))


def test_a_question_of_its_own_shows_no_conversation(page: Client, answered: Simulation) -> None:
    services.submit(answered.owner, "Something else?")
    shown = text_of(page.get(url(answered)))
    assert "Earlier in this conversation" not in shown
    assert "Next question" not in shown


@pytest.mark.parametrize(
    ("arrange", "query", "status", "words"),
    [
        (no_key, "Keep me", 503, "OpenAI not configured"),
        (no_quota, "Keep me", 429, "Monthly simulation limit reached"),
        (lambda settings: None, "Keep me" + "x" * 100_000, 413, "longer than 100,000"),
        (lambda settings: None, "  ", 400, "Write the question"),
    ],
)
def test_a_refused_follow_up_says_why_and_keeps_the_text(
    page: Client,
    settings: Settings,
    answered: Simulation,
    arrange: Callable[[Settings], None],
    query: str,
    status: int,
    words: str,
) -> None:
    arrange(settings)
    response = page.post(url(answered, "follow-up"), {"query": query})
    assert response.status_code == status
    assert ("Retry-After" in response.headers) == (status == 429)
    assert words in text_of(response)
    assert query.strip() in text_of(response)
    assert "Who checks the gate?" in text_of(response)
    assert Simulation.objects.count() == 1


def test_what_failed_meanwhile_keeps_the_follow_up(page: Client, failed: Simulation) -> None:
    assert url(failed, "follow-up") not in text_of(page.get(url(failed)))
    response = page.post(url(failed, "follow-up"), {"query": "Keep me"})
    assert response.status_code == 409
    assert "Keep me" in text_of(response)
    assert "There is no answer to follow up" in text_of(response)


def test_without_javascript_a_page_that_reloads_holds_no_form(
    page: Client, running: Simulation
) -> None:
    shown = text_of(page.get(url(running)))
    [without_script] = re.findall(r"<noscript>(<a .*?)</noscript>", shown)
    assert url(running, "follow-up") in without_script
    assert re.search(r'<form[^>]*id="follow-up"[^>]* hidden>', shown)
    alone = text_of(page.get(url(running, "follow-up")))
    assert "http-equiv" not in alone
    assert not re.search(r"<form[^>]* hidden>", alone)


# --- What the status shows --------------------------------------------------------------------


def test_the_queue_is_shown_but_announced_once(page: Client, waiting: Simulation) -> None:
    second = services.submit(waiting.owner, "Second in line?")
    shown = text_of(page.get(url(second)))
    assert "Number 2 in the queue" in shown
    assert "Waiting in the queue" in shown
    services.cancel(waiting)
    moved = text_of(page.get(url(second)))
    assert "Number 1 in the queue" in moved
    announced = re.findall(r'data-announcement="([^"]*?)\s*"', shown + moved)
    assert announced == ["The question is waiting for its turn."] * 2
    change(second, **started(second))
    assert "in the queue" not in text_of(page.get(url(second)))


@pytest.mark.parametrize(
    ("rounds", "words"),
    [(0, None), (1, r"Searched the knowledge base</span>\s*</li>"), (3, "<span>3 times</span>")],
)
def test_the_timeline_tells_of_searches(
    page: Client, running: Simulation, rounds: int, words: str | None
) -> None:
    change(running, tool_rounds=rounds)
    shown = text_of(page.get(url(running)))
    assert re.search(words or "Searched", shown) if words else "Searched" not in shown


@pytest.mark.parametrize(
    "fields",
    [
        {"stop_reason": StopReason.CANCEL},
        {"tool_rounds": 1},
        {"awaits_outputs": True},
        {"failed_attempts": 1},
    ],
)
def test_what_the_page_shows_is_sent_when_it_changes(
    page: Client, running: Simulation, fields: dict[str, object]
) -> None:
    seen = stage_of(page, running)
    assert page.get(url(running, "status"), {"seen": seen}).status_code == 204
    change(running, **fields)
    assert page.get(url(running, "status"), {"seen": seen}).status_code == 200


def test_a_move_in_the_queue_is_sent(page: Client, waiting: Simulation) -> None:
    second = services.submit(waiting.owner, "Second in line?")
    seen = stage_of(page, second)
    services.cancel(waiting)
    assert page.get(url(second, "status"), {"seen": seen}).status_code == 200


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"stop_reason": StopReason.CANCEL}, "state-stopping"),
        ({"status": Status.COMPLETED, "due_at": None}, "state-completed"),
    ],
)
def test_what_becomes_of_the_question_before_is_sent(
    page: Client, running: Simulation, fields: dict[str, object], state: str
) -> None:
    second = services.follow_up(running.owner, running, "And at night?")
    seen = stage_of(page, second)
    change(running, **fields)
    changed = text_of(page.get(url(second, "status"), {"seen": seen}, headers=HTMX))
    assert state in changed
    assert 'id="earlier" hx-swap-oob="true"' in changed


def stage_of(page: Client, simulation: Simulation) -> str:
    [seen] = re.findall(r"\?seen=([^\"&]+)", text_of(page.get(url(simulation))))
    return seen


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "Who?"},
        {"opened_at": timezone.now()},
        {"failed_attempts": 2},
        {"tool_rounds": 1},
        {"awaits_outputs": True},
        {"stop_reason": "cancel"},
        {"status": "CANCELLED", "due_at": None, "finished_at": timezone.now()},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_a_page_shows_is_news(
    page: Client, running: Simulation, change: dict[str, object]
) -> None:
    Simulation.objects.filter(pk=running.pk).update(prompt="", opened_at=None)
    seen = stage_of(page, running)
    assert page.get(url(running, "status"), {"seen": seen}).status_code == 204
    Simulation.objects.filter(pk=running.pk).update(**change)
    assert page.get(url(running, "status"), {"seen": seen}).status_code == 200


def test_a_long_conversation_costs_one_query(
    page: Client, answered: Simulation, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    following = answered
    for number in range(8):
        following = services.follow_up(answered.owner, following, f"Question {number}?")
    retry = services.retry(answered.owner, end(following, Status.FAILED))
    # Session, user, the look for news, simulation, its citations and the conversation.
    for simulation in (following, retry):
        with django_assert_num_queries(6):
            shown = text_of(page.get(url(simulation, "status"), headers=HTMX))
        assert "Question 0?" in shown
        seen = stage_of(page, simulation)
        with django_assert_num_queries(3):
            response = page.get(url(simulation, "status"), {"seen": seen}, headers=HTMX)
        assert response.status_code == 204


def test_a_finished_page_goes_on_asking_while_a_later_question_is_in_flight(
    page: Client, answered: Simulation
) -> None:
    following = services.follow_up(answered.owner, answered, "And at night?")
    seen = stage_of(page, answered)
    assert page.get(url(answered, "status"), {"seen": seen}).status_code == 204
    end(following, Status.FAILED, error_message="Alas.")
    news = text_of(page.get(url(answered, "status"), {"seen": seen}, headers=HTMX))
    assert re.search(r'id="later" hx-swap-oob="true">.*state-failed', news, re.DOTALL)
    assert "Next question: Failed." in news
    assert 'id="simulation"' not in news, "the answer stays as it is: unfolded, marked, rated"
    assert "hx-get" not in news


# --- The answer as a file ---------------------------------------------------------------------


def test_the_answer_is_downloaded_with_its_question_and_sources(
    page: Client, answered: Simulation, running: Simulation, outsider: User
) -> None:
    response = page.get(url(answered, "answer-download"))
    assert response.headers["Content-Type"] == "text/markdown; charset=utf-8"
    assert response.headers["Content-Disposition"].startswith("attachment")
    document = text_of(response)
    assert document.startswith("> Who checks the gate?\n\nAsked by analyst on ")
    assert f"\n\n{answered.answer}\n\n## Sources\n\n" in document
    assert "1. The Alpha Article (alpha-001). Brought by: gate.\n" in document
    assert page.get(url(running, "answer-download")).status_code == 404
    assert sign_in(outsider).get(url(answered, "answer-download")).status_code == 404


def test_sources_name_the_revision_that_was_sent(
    page: Client, answered: Simulation, articles: dict[str, Article]
) -> None:
    article = articles["alpha-001"]
    answered.citations.update(article=article, revision=article.revisions.latest())
    assert re.search(r"Revision 1\s*</span>", text_of(page.get(url(answered))))
    article.text = "Changed."
    article.save()
    assert re.search(r"Revision 1, <[^>]*>changed since", text_of(page.get(url(answered))))


# --- Who may send what ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cancel", "retry", "follow-up"])
def test_actions_are_the_owners_by_post_with_a_token(
    failed: Simulation, outsider: User, name: str
) -> None:
    assert sign_in(outsider).post(url(failed, name), {"query": "Mine?"}).status_code == 404
    careful = sign_in(failed.owner, enforce_csrf_checks=True)
    assert careful.post(url(failed, name), {"query": "Stale?"}).status_code == 403
    if name != "follow-up":
        assert careful.get(url(failed, name)).status_code == 405
    assert Client().post(url(failed, name)).headers["Location"].startswith("/sign-in/")
    User.objects.filter(pk=failed.owner_id).update(modules=[])
    assert sign_in(failed.owner).post(url(failed, name)).status_code == 403
    assert Simulation.objects.count() == 1


def test_cancelling_after_the_session_ended_reloads_the_page(waiting: Simulation) -> None:
    response = Client().post(url(waiting, "cancel"), headers=HTMX)
    assert response.headers["HX-Refresh"] == "true"
    waiting.refresh_from_db()
    assert waiting.status == Status.PENDING


# --- What was written is not lost ---------------------------------------------------------------


@pytest.mark.parametrize("name", ["new", "follow-up"])
def test_a_question_that_comes_after_the_session_is_shown_to_be_copied(
    answered: Simulation, name: str
) -> None:
    path = "/simulations/new/" if name == "new" else url(answered, name)
    response = Client().post(path, {"query": "Who <checks>\nthe gate?"})
    assert response.status_code == 401
    assert "Who &lt;checks&gt;\nthe gate?</textarea>" in text_of(response)
    assert f"/sign-in/?next={path.replace('/', '%2F')}" in text_of(response)
    assert "no-store" in response.headers["Cache-Control"]
    assert Client().post(path, {}).status_code == 302


def test_so_is_one_whose_form_is_no_longer_valid(analyst: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(analyst)
    response = client.post("/simulations/new/", {"query": "Who checks the gate?"})
    assert response.status_code == 403
    assert "Who checks the gate?</textarea>" in text_of(response)
