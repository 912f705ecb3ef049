"""Visits to the product's pages, as its users pay them: in a browser, signed in.

Who makes the directory var/screenshots/ finds pictures there of what was seen.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, ViewportSize, expect

from scripts import service
from tests import services
from tests.e2e.stack import PASSWORD, Stack
from tests.e2e.test_main_job import HEADERS

IN_A_BROWSER = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        not services.CHROMIUM and not services.IN_CI, reason="Chromium is not installed"
    ),
    # Each protocol once; the processes take a while to start.
    pytest.mark.parametrize(
        "stack",
        ["assistants" if services.ON_POSTGRESQL else "responses"],
        indirect=True,
        scope="module",
    ),
]

# On the other database too: what depends on workers, on the protocol, or on how rows are found.
ONCE = pytest.mark.skipif(
    services.ON_POSTGRESQL, reason="Pages are the same on each database: once is enough"
)

# A page may wait for a busy machine; a test that fails waits no longer than it must.
expect.set_options(timeout=15_000)

# What htmx says of a request that the page was left during; of a failure it says more than this.
LEFT_BEHIND = ("htmx:afterRequest", "htmx:sendAbort")
# And of an answer whose part of the page another has just replaced: a click and a poll at once.
OVERTAKEN = "htmx:oobErrorNoTarget, #simulation"

SCREENSHOTS = service.ROOT / "var" / "screenshots"
WINDOWS: list[ViewportSize] = [{"width": width, "height": 900} for width in (1440, 768, 360)]


@contextmanager
def visit(
    browser: Browser,
    stack: Stack,
    username: str,
    path: str,
    tolerated: tuple[str, ...] = (),
    **options: object,
) -> Iterator[Page]:
    """A user's page, or nobody's; nothing may go wrong on it, or leave the site.

    Each user signs in once, as long as the session lasts.
    `tolerated`: words of console messages that the test provokes.
    """
    # What moves would be painted all the time that a test waits.
    context = browser.new_context(base_url=stack.url, **{"reduced_motion": "reduce"} | options)
    page = context.new_page()
    complaints: list[str] = []

    def watch_console(message: ConsoleMessage) -> None:
        expected = (*tolerated, *LEFT_BEHIND, OVERTAKEN)
        if message.type in {"error", "warning"} and not any(t in message.text for t in expected):
            complaints.append(message.text)

    def watch_request(request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(stack.url).netloc:
            complaints.append(f"request to {request.url}")

    page.on("console", watch_console)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", watch_request)
    context.add_cookies(stack.cookies.get(username, []))
    page.goto(path)
    if username and "/sign-in/" in page.url:
        sign_in(page, username)
        stack.cookies[username] = context.cookies()
    yield page
    context.close()
    assert complaints == []


def sign_in(page: Page, username: str) -> None:
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "next=" not in url)


def photograph(page: Page, name: str) -> None:
    if SCREENSHOTS.is_dir():
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def expect_to_fit(page: Page, window: ViewportSize) -> None:
    """Nothing is to be scrolled to sideways."""
    page.set_viewport_size(window)
    expect(page.locator("html")).to_have_js_property("scrollWidth", window["width"])


def look_at(page: Page, name: str) -> None:
    """It fits windows of all widths."""
    for window in WINDOWS:
        expect_to_fit(page, window)
        photograph(page, f"{name}-{window['width']}")


def ask(page: Page, query: str) -> None:
    page.get_by_role("link", name="New simulation").first.click()
    page.get_by_label("Your question").fill(query)
    page.locator("form").get_by_role("button").last.click()


def expect_the_answer(page: Page) -> None:
    expect(page.get_by_role("heading", name="Answer", exact=True)).to_be_visible(timeout=30_000)
    answer = page.get_by_role("article", name="Answer")
    expect(answer).to_contain_text("photo badge")
    for header in HEADERS:
        expect(answer).not_to_contain_text(header)
    for title, keyword in {
        "Field Office Security Handbook": "access control",
        "Information Security in Field Operations": "encryption",
    }.items():
        source = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=title))
        expect(source).to_contain_text(keyword)
