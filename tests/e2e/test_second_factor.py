"""A fresh installation in production: its administrator sets up the second factor, in a browser."""

import base64
from collections.abc import Iterator

import httpx2
import pytest
from django_otp.oath import totp
from playwright.sync_api import Browser, Locator, Page, Request, expect

from scripts import service
from tests.e2e.browsing import IN_A_BROWSER, expect_to_fit
from tests.e2e.stack import PASSWORD, Stack, Template
from tests.e2e.test_all_pages import DESKTOP, PHONE, Visitor, examine, take_pictures
from tests.pages.table import PageCase

pytestmark = [mark for mark in IN_A_BROWSER if mark.name != "parametrize"]

NAME = "watch-officer"


@pytest.fixture(scope="module")
def stack(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("second-factor"), template, "responses")
    stack.environment |= {"APP_ENV": "production", "DJANGO_SECRET_KEY": "of-this-test-" * 4}
    stack.environment |= {"DJANGO_SUPERUSER_PASSWORD": PASSWORD}
    try:
        stack.start_process("web", service.web("127.0.0.1", stack.port))
        stack.wait_for_web()
        make = ["createsuperuser", "--noinput", "--username", NAME, "--email", ""]
        service.manage(stack.environment, *make)
        yield stack
    finally:
        stack.stop()


def code_of(key: str, steps: int = 0) -> str:
    """A code opens once, so that the next sign-in takes that of the next half minute."""
    return f"{totp(base64.b32decode(key.replace(' ', '')), t0=-30 * steps):06}"


def code_field(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Code", exact=True)


def name_password(page: Page) -> None:
    page.get_by_label("Username").fill(NAME)
    page.get_by_label("Password").fill(PASSWORD)
    sign_in_by_double_click(page)


def sign_in_by_double_click(page: Page) -> None:
    """A second form would be refused, and its answer is the one that is shown."""
    before, methods = page.url, list[str]()

    def note(request: Request) -> None:
        methods.append(request.method)

    page.on("request", note)
    page.get_by_role("button", name="Sign in").dblclick()
    expect(page).not_to_have_url(before)
    page.remove_listener("request", note)
    assert methods.count("POST") == 1


def inspect(visitor: Visitor, name: str, request: pytest.FixtureRequest) -> None:
    """As test_all_pages does with those that have an address of their own."""
    page = visitor.page
    found = [*examine(page, "light"), *examine(page, "dark")]
    assert not found, "\n".join(found)
    expect_to_fit(page, PHONE)
    if request.config.getoption("pictures"):
        take_pictures(visitor, PageCase(name, page.url))
    page.set_viewport_size(DESKTOP)


def test_from_the_first_password_to_the_admin_site(
    browser: Browser, stack: Stack, request: pytest.FixtureRequest
) -> None:
    visitor = Visitor(browser, stack.url, "")
    page = visitor.page
    page.goto("/admin/")
    name_password(page)
    expect(page.get_by_role("heading", name="Set up your second factor")).to_be_visible()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    inspect(visitor, "sign-in-enrol", request)
    key = page.locator("code.enrol-text").inner_text()
    code_field(page).fill(code_of(key))
    page.get_by_role("button", name="Turn it on").click()
    expect(page.get_by_role("heading", name="The second factor is on")).to_be_focused()
    codes = page.get_by_label("Recovery codes").input_value().splitlines()
    assert len(codes) == 8
    inspect(visitor, "recovery-codes", request)
    page.get_by_role("link", name="I have saved them").click()
    expect(page.get_by_role("heading", name="Administration")).to_be_visible()

    page.goto("/account/")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Username")).to_be_visible()
    page.goto("/admin/")
    name_password(page)
    expect(code_field(page)).to_be_focused()
    inspect(visitor, "sign-in-code", request)
    code_field(page).fill("not a code")
    page.get_by_role("button", name="Sign in").click()
    expect(code_field(page)).to_have_attribute("aria-invalid", "true")
    code_field(page).fill(code_of(key, steps=1))
    sign_in_by_double_click(page)
    expect(page.get_by_role("heading", name="Administration")).to_be_visible()

    page.goto("/account/second-factor/")
    expect(page.get_by_text("You have 8 recovery codes left.")).to_be_visible()
    inspect(visitor, "second-factor-on", request)
    assert visitor.complaints == []

    body = {"username": NAME, "password": PASSWORD, "code": codes[0]}
    answer = httpx2.post(f"{stack.url}/api/v1/auth/login", json=body)
    assert answer.status_code == 200
    code_field(page).fill(codes[1])
    page.get_by_label("Current password").fill(PASSWORD)
    page.get_by_role("button", name="Make new recovery codes").click()
    expect(page.get_by_label("Recovery codes")).not_to_contain_text(codes[2])
