"""What questions bring, in Debian's Chromium: while they are written, and as curators see it."""

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.e2e.browsing import IN_A_BROWSER, look_at, visit
from tests.e2e.stack import Stack
from tests.e2e.test_main_job import QUERY

pytestmark = IN_A_BROWSER

TITLE = "Field Office Security Handbook"


def test_a_question_shows_its_sources_while_it_is_written(browser: Browser, stack: Stack) -> None:
    with visit(browser, stack, "trainee", "/simulations/new/") as page:
        sources = page.get_by_role("region", name="Knowledge that will be used")
        expect(sources).to_contain_text("the articles that come with it appear here")
        question = page.get_by_label("Your question")
        question.press_sequentially("Who watches access control")
        expect(sources.get_by_role("heading", name=TITLE)).to_be_visible()
        expect(sources.get_by_role("status")).to_have_text("1 article will be sent with it.")
        expect(question).to_be_focused()
        question.fill("Nothing of the kind")
        expect(sources.get_by_role("heading", name=TITLE)).to_have_count(0)
        question.fill(QUERY)
        expect(sources.get_by_role("heading", name=TITLE)).to_be_visible()
        look_at(page, "new-with-sources")


def test_sources_that_do_not_come_stand_in_nobody_s_way(browser: Browser, stack: Stack) -> None:
    with visit(browser, stack, "analyst", "/simulations/new/", tolerated=("",)) as page:
        sources = page.locator("#preview")
        expect(sources).not_to_be_empty()
        page.route("**/new/sources/", lambda route: route.abort())
        page.get_by_label("Your question").fill(QUERY)
        expect(sources).to_be_empty()
        page.get_by_role("button", name="Submit question").click()
        expect(page.get_by_role("heading", name=QUERY)).to_be_visible()


def test_a_question_is_submitted_while_its_sources_are_on_their_way(
    browser: Browser, stack: Stack
) -> None:
    with visit(browser, stack, "analyst", "/simulations/new/") as page:
        expect(page.locator("#preview")).not_to_be_empty()
        page.route("**/new/sources/", lambda route: None)
        with page.expect_request("**/new/sources/"):
            page.get_by_label("Your question").fill(QUERY)
        page.get_by_role("button", name="Submit question").click()
        expect(page.get_by_role("heading", name=QUERY)).to_be_visible()


@pytest.mark.parametrize("scripted", [True, False], ids=["scripted", "plain"])
def test_the_preview_marks_keywords_and_shows_what_they_bring(
    browser: Browser, stack: Stack, scripted: bool
) -> None:
    options = {"java_script_enabled": scripted}
    with visit(browser, stack, "analyst", "/knowledge/preview/", **options) as page:
        page.get_by_label("A question").fill("<b>Access control</b> for guards")
        if not scripted:
            page.get_by_role("button", name="Show what it brings").click()
        result = page.get_by_role("region", name="What it brings")
        expect(result.get_by_role("heading", name=TITLE)).to_be_visible()
        expect(result.locator("mark").first).to_have_text("Access control")
        expect(result).to_contain_text("<b>Access control</b> for guards")
        if scripted:
            look_at(page, "preview")
        page.goto("/simulations/new/")
        aside = page.get_by_role("region", name="Knowledge that will be used")
        expect(aside).to_have_count(1 if scripted else 0)


def test_what_is_written_before_the_scripts_have_come_has_its_preview(
    browser: Browser, stack: Stack
) -> None:
    with visit(browser, stack, "analyst", "/") as page:
        held: list[Route] = []
        page.route("**/htmx*.js", lambda route: held.append(route))
        with page.expect_request("**/htmx*.js"):
            page.goto("/knowledge/preview/", wait_until="commit")
        page.get_by_label("A question").fill("access control")
        assert held
        for route in held:
            route.continue_()
        expect(page.get_by_role("heading", name=TITLE)).to_be_visible()


def test_curation_health_leads_to_a_new_keyword(browser: Browser, stack: Stack) -> None:
    client = stack.client("analyst")
    client.submit("How wide is the glacier tongue?").raise_for_status()
    with visit(browser, stack, "admin", "/admin/") as page:
        page.get_by_role("link", name="Curation health").click()
        expect(page.get_by_role("heading", name="Curation health")).to_be_visible()
        look_at(page, "curation-health")
        page.set_viewport_size({"width": 1440, "height": 900})
        page.get_by_role("link", name="Keyword “glacier tongue”").first.click()
        expect(page.get_by_label("Phrase")).to_have_value("glacier tongue")
        page.goto("/admin/knowledge/keyword/?q=access+control")
        page.get_by_role("link", name="access control", exact=True).click()
        page.get_by_role("link", name="Try this keyword").click()
        expect(page.get_by_label("A question")).to_have_value("access control")
        expect(page.get_by_role("heading", name=TITLE)).to_be_visible()
