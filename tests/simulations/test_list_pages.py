"""The list of simulations: what it shows to whom, its filters, its pages, and its news."""

import re
from datetime import timedelta
from html import unescape
from urllib.parse import quote

import pytest
from django.db.models import F
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from simulations import services
from simulations.models import Simulation, Status

pytestmark = pytest.mark.django_db

LIST = "/simulations/"
ROWS = "/simulations/rows/"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def page(analyst: User) -> Client:
    return sign_in(analyst)


def sign_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def ask(owner: User, query: str, status: Status = Status.PENDING, **fields: object) -> Simulation:
    simulation = services.submit(owner, query)
    if status != Status.PENDING:
        Simulation.objects.filter(pk=simulation.pk).transition(status, **fields)
    return simulation


def titles(client: Client, query: str = "") -> list[str]:
    shown = client.get(f"{LIST}{query}").content.decode()
    return re.findall(r'class="row-title"[^>]*>([^<]*)<', shown)


def test_a_line_says_what_became_of_a_question(page: Client, analyst: User) -> None:
    answered = ask(analyst, f"Why? {'long ' * 60}", Status.COMPLETED, tokens_used=1234)
    answered.citations.create(position=1, slug="alpha-001", title="A", category="T", text="T")
    # The row's own clock: it was asked an hour before it was over.
    Simulation.objects.update(created_at=F("finished_at") - timedelta(hours=1))
    services.follow_up(analyst, answered, "And at night?")
    shown = page.get(LIST).content.decode()
    for words in ("Completed", "1,234 tokens", "1 source<", "1 h 0 min", "1 h ago", "…"):
        assert words in shown
    assert shown.count("Follow-up") == 1


def test_everybody_sees_their_own_and_an_admin_all(
    page: Client, analyst: User, outsider: User, admin: User
) -> None:
    ask(analyst, "Mine?")
    ask(outsider, "Not for you?")
    assert titles(page) == ["Mine?"]
    # Nobody but an admin chooses an owner.
    assert titles(page, "?owner=outsider") == ["Mine?"]
    assert "owner" not in page.get(LIST).context["form"].fields
    client = sign_in(admin)
    assert titles(client) == ["Not for you?", "Mine?"]
    assert titles(client, "?owner=outsider") == ["Not for you?"]
    unknown = client.get(f"{LIST}?owner=nobody").content.decode()
    assert "Nobody has this username" in unknown
    assert "row-title" not in unknown
    opened = reverse("simulations:detail", args=[Simulation.objects.get(owner=outsider).pk])
    assert client.get(opened).status_code == 200


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?status=ACTIVE", ["Fourth, in the Convoy?", "Third?"]),
        ("?status=FAILED", ["Second, the convoy?"]),
        ("?q=convoy", ["Fourth, in the Convoy?", "Second, the convoy?"]),
        ("?q=convoy&status=ACTIVE", ["Fourth, in the Convoy?"]),
        ("?status=CANCELLED", []),
        ("?status=nothing", []),
        ("?q=CONVOY+second", ["Second, the convoy?"]),
        ("?q=%3F", []),
    ],
)
def test_filters_narrow_the_list(
    page: Client, analyst: User, query: str, expected: list[str]
) -> None:
    ask(analyst, "First?", Status.COMPLETED)
    ask(analyst, "Second, the convoy?", Status.FAILED)
    ask(analyst, "Third?")
    ask(analyst, "Fourth, in the Convoy?")
    assert titles(page, query) == expected
    shown = page.get(f"{LIST}{query}").content.decode()
    assert ("No simulation matches" in shown) == (not expected)
    assert ("There is no such status" in shown) == (query == "?status=nothing")


def test_pages_stay_in_place_while_questions_are_asked(page: Client, analyst: User) -> None:
    for number in range(30):
        ask(analyst, f"Question {number:02}?")
    first = page.get(f"{LIST}?q=Question")
    newest = titles(page, "?q=Question")
    assert first.context["page"].newer == ""
    ask(analyst, "Question 30?")
    [older] = re.findall(r'rel="next" href="([^"]*)"', first.content.decode())
    older = unescape(older)
    seen = newest + titles(page, older)
    assert seen == [f"Question {number:02}?" for number in range(29, -1, -1)]
    back = page.get(f"{LIST}{older}").context["page"].newer
    assert titles(page, f"?q=Question&cursor={back}")[-1] == "Question 05?"
    assert page.get(f"{LIST}?cursor=nonsense").status_code == 404


def test_a_page_of_lines_costs_as_much_as_one(
    admin: User, analyst: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    client = sign_in(admin)
    for number in range(30):
        one = ask(analyst, f"Question {number}?")
        one.citations.create(position=1, slug="alpha-001", title="A", category="T", text="T")
    # Session, user, places, lines, owners and the month's count.
    with django_assert_max_num_queries(6):
        assert len(titles(client)) == 25


def test_who_asked_nothing_is_taught(page: Client, analyst: User) -> None:
    assert "Ask your first question" in page.get(LIST).content.decode()
    ask(analyst, "First?")
    assert "Ask your first question" not in page.get(LIST).content.decode()


# --- News of the active rows ------------------------------------------------------------------


def seen_on(client: Client) -> list[str]:
    return re.findall(r'name="row" value="([^"]*)"', client.get(LIST).content.decode())


def test_active_rows_bring_news_in_one_request_until_there_are_none(
    page: Client, analyst: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    first, second = ask(analyst, "First?"), ask(analyst, "Second?")
    ask(analyst, "Third?", Status.COMPLETED)
    seen = seen_on(page)
    assert len(seen) == 2
    with django_assert_num_queries(3):
        still = page.get(ROWS, {"row": seen}, headers=HTMX)
    assert (still.status_code, still.headers["Retry-After"]) == (204, "1")

    Simulation.objects.filter(pk=second.pk).transition(Status.COMPLETED, tokens_used=77)
    news = page.get(ROWS, {"row": seen}, headers=HTMX).content.decode()
    assert re.findall(r'<li class="row" id="row-([^"]*)" hx-swap-oob="true">', news) == [
        str(second.pk)
    ]
    assert "77 tokens" in news
    assert 'data-announcement="Completed: Second?. "' in news
    assert f'hx-get="{ROWS}"' in news

    Simulation.objects.filter(pk=first.pk).transition(Status.FAILED, error_message="Alas.")
    last = page.get(ROWS, {"row": seen[-1:]}, headers=HTMX).content.decode()
    assert "hx-get" not in last
    assert "hx-get" not in re.findall(r'<div id="live".*?>', page.get(LIST).content.decode())[0]


def test_news_are_of_ones_own_rows(analyst: User, outsider: User, page: Client) -> None:
    ask(analyst, "Mine?")
    seen = seen_on(page)
    stale = [f"{seen[0]}-before", "x", "y.z"]
    assert "Mine?" in page.get(ROWS, {"row": stale}, headers=HTMX).content.decode()
    theirs = sign_in(outsider).get(ROWS, {"row": stale}, headers=HTMX)
    assert "Mine?" not in theirs.content.decode()
    signed_out = Client().get(f"{ROWS}?row={quote(seen[0])}", headers=HTMX)
    assert signed_out.headers["HX-Refresh"] == "true"
