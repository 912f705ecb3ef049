from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests import services
from tests.e2e.stack import Stack, Template

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
QUIET += ["--disable-component-update", "--no-first-run"]

# The first two bring what they need, and pages are the same on each database: once is enough.
ONCE = [
    *("test_demo.py", "test_service.py", "test_all_pages.py", "test_answers.py"),
    *("test_live_pages.py", "test_matching_pages.py", "test_proxy.py"),
    "test_second_factor.py",
]
collect_ignore = ONCE if services.ON_POSTGRESQL else []


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Template]:
    template = Template(tmp_path_factory.mktemp("template"))
    yield template
    template.drop()


@pytest.fixture(scope="module", params=["responses", "assistants"])
def stack(
    request: pytest.FixtureRequest, template: Template, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("stack"), template, request.param)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    assert services.CHROMIUM, "In CI the browser must be there"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=services.CHROMIUM, args=QUIET)
        yield browser
        browser.close()
