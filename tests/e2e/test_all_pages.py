"""Every page of the table in Debian's Chromium: accessible, light, and as wide as its window.

With `--pictures`, docs/screenshots/ is made anew.
"""

from base64 import b64decode
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from scripts import service
from tests.e2e.browsing import IN_A_BROWSER, expect_to_fit, sign_in
from tests.e2e.stack import Stack
from tests.pages.table import PAGES, PageCase

pytestmark = [
    *(mark for mark in IN_A_BROWSER if mark.name != "timeout"),
    pytest.mark.timeout(600),
]

DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 360, "height": 800}
PICTURE = {"width": 1280, "height": 800}
PICTURES = service.ROOT / "docs" / "screenshots"
# What a first visit may take.
MAX_BYTES = 120_000
AXE = Axe()
ALL_RULES = {"resultTypes": ["violations"]}
# Those that depend on the theme.
COLOURS = ALL_RULES | {"runOnly": ["color-contrast", "link-in-text-block"]}


# Transitions of colours, when the scheme changes; what moves for ever has no end to go to.
STAND_STILL = """document.getAnimations()
    .filter(animation => animation.effect.getComputedTiming().endTime < Infinity)
    .forEach(animation => animation.finish())"""


class Visitor:
    """A user's browser, which keeps no files between two pages and counts what each costs."""

    def __init__(self, browser: Browser, url: str, username: str) -> None:
        self.site = urlsplit(url).netloc
        self.page = browser.new_context(base_url=url).new_page()
        self.bytes = 0
        self.requests: list[str] = []
        self.complaints: list[str] = []
        if username:
            self.page.goto("/")
            sign_in(self.page, username)
        self.session = self.page.context.new_cdp_session(self.page)
        self.session.send("Network.enable")
        self.session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        self.session.on("Network.requestWillBeSent", self._count_request)
        self.session.on("Network.loadingFinished", self._count_bytes)
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def open(self, path: str) -> int:
        """The status; nothing may have gone wrong, and everything must be from this site."""
        self.bytes = 0
        self.requests.clear()
        self.complaints.clear()
        self.page.set_viewport_size(DESKTOP)
        response = self.page.goto(path)
        assert self.complaints == []
        return response.status

    def _count_request(self, event: dict[str, Any]) -> None:
        url = urlsplit(event["request"]["url"])
        # What a page asks for once it is there is no part of it.
        if url.scheme == "data" or event["type"] in {"Fetch", "XHR"}:
            return
        if url.netloc != self.site:
            self.complaints.append(f"request to {url.netloc}")
        self.requests.append(url.path)

    def _count_bytes(self, event: dict[str, Any]) -> None:
        self.bytes += round(event["encodedDataLength"])

    def _listen(self, message: ConsoleMessage) -> None:
        # An error page's own status is no problem of the page.
        if message.type in {"error", "warning"} and "Failed to load" not in message.text:
            self.complaints.append(message.text)


@pytest.fixture(scope="module")
def visitors(browser: Browser, stack: Stack) -> Iterator[dict[str, Visitor]]:
    """By username; nobody's too. Each signs in once."""
    stack.shell("from tests.pages.world import build_world; build_world()")
    users = {page.user for page in PAGES}
    visitors = {user: Visitor(browser, stack.url, user) for user in users}
    yield visitors
    for visitor in visitors.values():
        visitor.page.context.close()


@pytest.mark.parametrize("case", PAGES, ids=lambda case: case.name)
def test_a_page_is_light_accessible_and_fits_a_phone(
    visitors: dict[str, Visitor], case: PageCase, request: pytest.FixtureRequest
) -> None:
    visitor = visitors[case.user]
    assert visitor.open(case.path) == case.status
    assert weigh(visitor, case) == []
    found = [*examine(visitor.page, "light"), *examine(visitor.page, "dark", COLOURS)]
    assert not found, "\n".join(found)
    expect_to_fit(visitor.page, PHONE)
    if case.is_admin:
        expect_lists_to_fit(visitor.page)
    if request.config.getoption("pictures"):
        take_pictures(visitor, case)


def expect_lists_to_fit(page: Page) -> None:
    """The admin scrolls a list sideways that is wider than its place beside menu and filters."""
    page.set_viewport_size(PICTURE)
    for widths in page.locator("#changelist .results").evaluate_all(
        "lists => lists.map(list => [list.scrollWidth, list.clientWidth])"
    ):
        assert widths[0] <= widths[1]


def take_pictures(visitor: Visitor, case: PageCase) -> None:
    """On a desk in light and, outside the admin, on a phone in dark."""
    if not case.is_admin:
        visitor.page.set_viewport_size(PHONE)
        save_picture(visitor, case.name + "-phone")
    visitor.page.set_viewport_size(PICTURE)
    visitor.page.emulate_media(color_scheme="light")
    visitor.page.evaluate(STAND_STILL)
    save_picture(visitor, case.name)


def save_picture(visitor: Visitor, name: str) -> None:
    picture = visitor.session.send(
        "Page.captureScreenshot", {"format": "webp", "quality": 70, "optimizeForSpeed": False}
    )
    (PICTURES / f"{name}.webp").write_bytes(b64decode(picture["data"]))


def weigh(visitor: Visitor, case: PageCase) -> list[str]:
    """What is too much of a first visit; Django's admin brings more."""
    if case.is_admin:
        return []
    problems = []
    if visitor.bytes > MAX_BYTES:
        problems.append(f"{visitor.bytes} bytes")
    if len(visitor.requests) > 1 + case.requests:
        problems.append(f"asks for {', '.join(visitor.requests)}")
    return problems


def examine(page: Page, scheme: str, rules: dict[str, Any] = ALL_RULES) -> Iterator[str]:
    """What axe objects to."""
    page.emulate_media(color_scheme=scheme)
    page.evaluate(STAND_STILL)
    for violation in AXE.run(page, options=rules).response["violations"]:
        for node in violation["nodes"]:
            yield f"{scheme}: {violation['id']}: {node['html'][:160]}: {node['failureSummary']}"


def test_the_menu_of_a_phone_by_keyboard(visitors: dict[str, Visitor]) -> None:
    visitor = visitors["analyst"]
    visitor.open("/knowledge/")
    page = visitor.page
    page.set_viewport_size(PHONE)
    assert page.locator("header").bounding_box()["height"] < 64, "more than one row"
    first = page.get_by_role("link", name="Simulations", exact=True)
    expect(first).to_be_hidden()
    page.get_by_role("button", name="Menu").press("Enter")
    page.keyboard.press("Tab")
    expect(first).to_be_focused()
    page.keyboard.press("Escape")
    expect(first).to_be_hidden()
    expect(page.get_by_role("button", name="Menu")).to_be_focused()


def test_an_article_is_found_by_keyboard(visitors: dict[str, Visitor]) -> None:
    visitor = visitors["analyst"]
    visitor.open("/knowledge/")
    page = visitor.page
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Search the knowledge base")).to_be_focused()
    page.keyboard.type("convoys")
    page.keyboard.press("Enter")
    hit = page.get_by_role("link", name="Road Movement and Convoys")
    hit.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Keywords that bring it")).to_be_visible()
    page.get_by_role("link", name="convoy", exact=True).first.press("Enter")
    expect(page.get_by_label("A question")).to_have_value("convoy")
