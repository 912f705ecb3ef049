"""The pages, as the server renders them."""

import re
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import Module, User
from simulations import services
from simulations.models import Simulation, Status

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


@pytest.fixture
def page(analyst: User) -> Client:
    client = Client()
    client.force_login(analyst)
    return client


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
    Simulation.objects.filter(pk=simulation.pk).transition(
        Status.COMPLETED, answer="**The guard** does.<script>x</script>", tokens_used=1234
    )
    simulation.refresh_from_db()
    return simulation


def url(simulation: Simulation, name: str = "detail") -> str:
    return reverse(f"simulations:{name}", args=[simulation.pk])


def text_of(response: object) -> str:
    return response.content.decode()


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
    assert words in text_of(response)
    assert query.strip("\0 ") in text_of(response)
    assert not Simulation.objects.exists()


def test_the_list_shows_ones_own_without_a_query_per_row(
    page: Client,
    answered: Simulation,
    outsider: User,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    services.submit(outsider, "Not for you")
    for number in range(30):
        services.submit(answered.owner, f"Question {number}?")
    with django_assert_max_num_queries(7):
        shown = text_of(page.get("/simulations/"))
    assert "Question 29?" in shown
    assert "Not for you" not in shown
    assert "Who checks the gate?" in text_of(page.get("/simulations/?page=2"))


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
