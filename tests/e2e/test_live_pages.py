"""What moves on the pages in Debian's Chromium: news, the keyboard, the clipboard."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Locator, Page, Request, expect

from tests.e2e.browsing import IN_A_BROWSER, expect_the_answer, visit
from tests.e2e.stack import Stack
from tests.e2e.test_main_job import QUERY

pytestmark = IN_A_BROWSER

LIST = "/simulations/"
SLOWLY = 600
BROKEN_OFF = ("htmx:sendError", "net::ERR_FAILED")
# What a page has open, marked or begun is gone after a reload, and so is this.
MARK = "window.isStillTheSamePage = true"
IS_MARKED = "window.isStillTheSamePage"
# In the page itself: what it does is known at once.
COUNT = """() => {
    window.asked = window.answered = 0;
    document.body.addEventListener("htmx:beforeRequest", () => { window.asked += 1; });
    document.body.addEventListener("htmx:afterRequest", () => { window.answered += 1; });
}"""
SET_HIDDEN = """hidden => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture(autouse=True)
def quick_again(stack: Stack) -> Iterator[None]:
    yield
    stack.emulator.control(latency=0.5, release=True)


def asked_for(page: Page, words: str) -> list[str]:
    """The addresses with the words that the page asks for from now on, as they come."""
    found: list[str] = []

    def note(request: Request) -> None:
        if words in request.url:
            found.append(request.url)

    page.on("request", note)
    return found


def test_rows_in_flight_refresh_themselves_in_one_request(browser: Browser, stack: Stack) -> None:
    stack.emulator.control(latency=SLOWLY)
    client = stack.client("analyst")
    for place in ("gate", "yard"):
        client.submit(f"Who walks the {place} of the newsroom?").raise_for_status()
    with visit(browser, stack, "analyst", LIST) as page:
        page.get_by_role("searchbox").fill("newsroom")
        rows = page.locator("#rows .row")
        expect(rows).to_have_count(2)
        expect(page).to_have_url(re.compile("q=newsroom"))
        page.evaluate(MARK)
        expect(rows.filter(has_text="Running")).to_have_count(2, timeout=30_000)
        requests = asked_for(page, "/rows/")
        stack.emulator.control(latency=0.2, release=True)
        expect(rows.filter(has_text="Completed")).to_have_count(2, timeout=30_000)
        expect(page.locator("#announcer")).to_contain_text("Completed: Who walks the")
        expect(page.locator("#live[data-poll-after]")).to_have_count(0)
        assert requests[0].count("row=") == 2
        assert page.evaluate(IS_MARKED)


def test_asking_stops_while_hidden_and_backs_off_while_nothing_answers(
    browser: Browser, stack: Stack
) -> None:
    stack.emulator.control(latency=SLOWLY)
    location = stack.client("analyst").submit(QUERY).json()["id"]
    with visit(browser, stack, "analyst", LIST, tolerated=BROKEN_OFF) as page:
        page.clock.install()
        page.goto(f"{LIST}{location}/")
        page.evaluate(COUNT)
        wait_for_answers(page, 1)
        page.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))
        wait_for_answers(page, page.evaluate("asked"))

        page.evaluate(SET_HIDDEN, True)
        asked = page.evaluate("asked")
        page.clock.run_for(60_000)
        assert page.evaluate("asked") == asked
        page.evaluate(SET_HIDDEN, False)
        assert page.evaluate("asked") == asked + 1

        page.route("**/status/**", lambda route: route.abort())
        for failure in range(2, 8):
            wait_for_answers(page, asked + failure - 1)
            run_until_it_asks(page)
        wait_for_answers(page, asked + 7)
        expect(page.locator("#connection-lost")).to_be_visible()
        expect(page.locator("#announcer")).to_contain_text("The connection is lost")
        page.clock.run_for(20_000)
        assert page.evaluate("asked") == asked + 7, "half a minute, give or take a quarter"
        page.unroute("**/status/**")
        page.clock.run_for(20_000)
        wait_for_answers(page, asked + 8)
        expect(page.locator("#connection-lost")).to_be_hidden()


def wait_for_answers(page: Page, number: int) -> None:
    page.wait_for_function("number => answered >= number", arg=number, polling=50)


def run_until_it_asks(page: Page) -> None:
    """By the second, so that little of the next wait is over when it begins."""
    before = page.evaluate("asked")
    for _ in range(40):
        page.clock.run_for(1_000)
        if page.evaluate("asked") > before:
            return
    pytest.fail("It does not ask")


def test_a_later_question_moves_on_the_page_of_an_answer(browser: Browser, stack: Stack) -> None:
    client = stack.client("analyst")
    answered = client.wait(client.submit(QUERY).headers["Location"])["id"]
    stack.emulator.control(latency=SLOWLY)
    client.post(f"simulations/{answered}/follow-ups", json={"query": "And at night?"})
    with visit(browser, stack, "analyst", f"{LIST}{answered}/") as page:
        page.evaluate(MARK)
        article = page.locator("details", has_text="Article as it was sent").first
        article.locator("summary").click()
        later = page.get_by_role("region", name="Next question")
        expect(later).to_contain_text("Running", timeout=30_000)
        stack.emulator.control(latency=0.2, release=True)
        expect(later).to_contain_text("Completed", timeout=30_000)
        expect(article).to_have_attribute("open", "")
        assert page.evaluate(IS_MARKED)


def test_the_keyboard_alone_asks_reads_copies_and_judges(browser: Browser, stack: Stack) -> None:
    allowed = ["clipboard-read", "clipboard-write"]
    with visit(browser, stack, "analyst", LIST, permissions=allowed) as page:
        press(page, page.get_by_role("link", name="New simulation"))
        expect(page.get_by_label("Your question")).to_be_focused()
        page.keyboard.type(QUERY)
        expect(page.get_by_role("region", name="Knowledge that will be used")).to_contain_text(
            "2 articles will be sent with it"
        )
        page.keyboard.press("Control+Enter")
        expect_the_answer(page)
        press(page, page.get_by_role("button", name="Copy"))
        expect(page.locator("#announcer")).to_have_text("The answer is copied.")
        assert "photo badge" in page.evaluate("navigator.clipboard.readText()")
        press(page, page.get_by_role("button", name="Not useful"))
        expect(page.get_by_role("heading", name="You found this answer not useful")).to_be_visible()
        reach(page, page.get_by_label("Why?"))
        page.keyboard.type("It names nobody to call.")
        press(page, page.get_by_role("button", name="Save reason"))
        expect(page.get_by_label("Why?")).to_have_value("It names nobody to call.")


def steps(page: Page) -> Iterator[None]:
    for _ in range(80):
        page.keyboard.press("Tab")
        yield


def reach(page: Page, wanted: Locator) -> None:
    """Tab by tab; wherever the focus comes to, it shows."""
    wanted.wait_for()
    for _ in steps(page):
        if wanted.evaluate("element => element === document.activeElement"):
            assert wanted.evaluate("element => element.matches(':focus-visible')")
            return
    raise AssertionError(f"The keyboard does not reach {wanted}")


def press(page: Page, wanted: Locator) -> None:
    reach(page, wanted)
    page.keyboard.press("Enter")
