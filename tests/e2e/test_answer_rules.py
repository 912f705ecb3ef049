"""The preview of answer rules in Debian's Chromium: while one types, and without JavaScript."""

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e import test_browser
from tests.e2e.stack import Stack
from tests.e2e.test_browser import look_at, visit

pytestmark = test_browser.pytestmark
browser = test_browser.browser

TEXT = "## Outlook\n\nCrews restored two feeders before dawn.\n\nWhat it means:\nThe rest follows."


@pytest.mark.parametrize("scripted", [True, False], ids=["scripted", "plain"])
def test_rules_are_tried_before_they_are_saved(
    browser: Browser, stack: Stack, scripted: bool
) -> None:
    client = stack.client("analyst")
    client.wait(client.submit("Who watches access control?").headers["Location"])
    options = {"java_script_enabled": scripted, "color_scheme": "light" if scripted else "dark"}
    with visit(browser, stack, "admin", "/admin/simulations/answerrule/", **options) as page:
        page.get_by_role("link", name="Preview").click()
        result = page.get_by_role("region", name="What they take out")
        expect(result).to_contain_text("All come out as with the rules as they are now")
        page.get_by_label("An answer, or a part of one").fill(TEXT)
        if not scripted:
            page.get_by_role("button", name="Show what they take out").click()
        expect(result.locator("del").first).to_have_text("What it means:")
        page.get_by_label("Phrase").fill("Outlook")
        page.get_by_label("Executive Summary").uncheck()
        if not scripted:
            page.get_by_role("button", name="Show what they take out").click()
        expect(result.locator("del").first).to_have_text("## Outlook")
        expect(result).to_contain_text("would be another answer")
        look_at(page, f"rules-preview-{'light' if scripted else 'dark'}")
        page.goto("/admin/simulations/answerrule/add/")
        page.get_by_label("Phrase").fill("Outlook")
        look_at(page, f"rules-form-{'light' if scripted else 'dark'}")
        page.get_by_role("button", name="Preview without saving").click()
        expect(page.get_by_label("Phrase")).to_have_value("Outlook")
