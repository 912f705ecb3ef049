"""The pages in Debian's Chromium: the jobs with and without JavaScript, and curation."""

import httpx2
import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.browsing import (
    IN_A_BROWSER,
    ONCE,
    WINDOWS,
    ask,
    expect_the_answer,
    expect_to_fit,
    look_at,
    photograph,
    visit,
)
from tests.e2e.stack import Stack
from tests.e2e.test_main_job import QUERY

pytestmark = IN_A_BROWSER


def test_the_main_job_without_a_reload(browser: Browser, stack: Stack) -> None:
    stack.emulator.control(latency=3)
    with visit(browser, stack, "analyst", "/", viewport={"width": 1440, "height": 900}) as page:
        ask(page, QUERY)
        working = page.get_by_role("heading", name="The assistant is working on the answer")
        expect(working).to_be_visible(timeout=30_000)  # a worker's first call loads the client
        page.evaluate("window.isStillTheSamePage = true")
        photograph(page, "running")
        expect_the_answer(page)
        assert page.evaluate("window.isStillTheSamePage")
        expect(page.locator("#announcer")).not_to_be_empty()
        photograph(page, "answer")
        page.get_by_role("link", name="Simulations").first.click()
        expect(page.get_by_role("link", name="How do we improve access").first).to_be_visible()
        photograph(page, "list")
    stack.emulator.control(latency=0.5)


def test_the_main_job_without_javascript(browser: Browser, stack: Stack) -> None:
    with visit(browser, stack, "analyst", "/", java_script_enabled=False) as page:
        ask(page, QUERY)
        expect_the_answer(page)
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()


@pytest.mark.parametrize("scripted", [True, False], ids=["scripted", "plain"])
def test_cancel_retry_and_follow_up(browser: Browser, stack: Stack, scripted: bool) -> None:
    with visit(browser, stack, "analyst", "/", java_script_enabled=scripted) as page:
        stack.emulator.control(latency=60)
        ask(page, "How long may visitors stay?")
        if scripted:
            expect(page.get_by_text("Waiting for the answer")).to_be_visible(timeout=30_000)
        page.get_by_role("button", name="Cancel this question").click()
        cancelled = page.get_by_role("heading", name="This simulation was cancelled")
        expect(cancelled).to_be_visible(timeout=30_000)
        expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
        if scripted:
            expect(cancelled).to_be_focused()

        stack.emulator.control(latency=0.2, next_outcome="failed")
        ask(page, QUERY)
        retry = page.get_by_role("button", name="Retry")
        expect(retry).to_be_visible(timeout=30_000)
        photograph(page, f"failed-{'scripted' if scripted else 'plain'}")
        retry.click()
        expect(page.get_by_text("Retry of")).to_be_visible()
        expect_the_answer(page)

        page.get_by_label("Follow-up question").fill("And who tests the encryption?")
        page.get_by_role("button", name="Ask follow-up").click()
        expect(page.get_by_role("heading", name="And who tests the encryption?")).to_be_visible()
        earlier = page.get_by_role("region", name="Earlier in this conversation")
        earlier.get_by_role("link", name=QUERY).click()
        later = page.get_by_role("region", name="Next question")
        expect(later.get_by_role("link", name="And who tests")).to_be_visible()
    stack.emulator.control(latency=0.5)


def test_a_follow_up_is_written_and_waits_while_the_answer_is_on_its_way(
    browser: Browser, stack: Stack
) -> None:
    stack.emulator.control(latency=60)
    with visit(browser, stack, "analyst", "/", viewport={"width": 1440, "height": 900}) as page:
        ask(page, QUERY)
        question = page.get_by_label("Follow-up question")
        question.fill("And who tests")
        expect(page.get_by_text("Waiting for the answer")).to_be_visible(timeout=30_000)
        question.press_sequentially(" the encryption?")
        page.get_by_role("button", name="Ask follow-up").click()
        expect(page.get_by_text("Number 1 in the queue")).to_be_visible()
        expect(page.get_by_text("The question before it is answered first")).to_be_visible()
        photograph(page, "queued")
        stack.emulator.control(latency=0.2, release=True)
        expect(page.get_by_role("heading", name="Answer", exact=True)).to_be_visible(timeout=30_000)
        assert question.input_value() == ""
        earlier = page.get_by_role("region", name="Earlier in this conversation")
        expect(earlier.get_by_role("listitem")).to_contain_text("Completed")
    stack.emulator.control(latency=0.5)


@ONCE
def test_a_refused_question_stays_in_the_form(browser: Browser, stack: Stack) -> None:
    stack.execute(
        "UPDATE accounts_user SET monthly_simulation_limit = 0 WHERE username = 'trainee'"
    )
    with visit(browser, stack, "trainee", "/", tolerated=("status of 429",)) as page:
        ask(page, "Keep my words")
        expect(page.get_by_text("Monthly simulation limit reached").first).to_be_visible()
        expect(page.get_by_label("Your question")).to_have_value("Keep my words")


@ONCE
def test_no_page_is_wider_than_its_window(browser: Browser, stack: Stack) -> None:
    with visit(browser, stack, "analyst", "/") as page:
        ask(page, "W" * 12_100)
        expect(page.get_by_role("heading", name="Answer", exact=True)).to_be_visible(timeout=30_000)
        for window in WINDOWS:
            expect_to_fit(page, window)
        ask(page, QUERY)
        expect_the_answer(page)
        answer = page.url
        about = [answer, f"{answer}follow-up/", f"{answer}manifest/"]
        for path in (*about, "/simulations/", "/simulations/new/"):
            page.goto(path)
            look_at(page, path.replace(answer, "answer/").strip("/").replace("/", "-"))


def test_an_admin_curates(browser: Browser, stack: Stack) -> None:
    with visit(browser, stack, "admin", "/admin/knowledge/article/add/") as page:
        page.get_by_label("Slug").fill("pontoon-001")
        page.get_by_label("Title").fill("Pontoon crossings")
        page.get_by_label("Category").fill("Movement")
        page.get_by_label("Tags").fill("rivers, boats")
        page.get_by_label("Text").fill(
            "Every passenger wears a life vest before the pontoon moves."
        )
        page.get_by_label("Status").select_option("published")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_text("was added successfully")).to_be_visible()
        page.goto("/admin/knowledge/keyword/add/")
        page.get_by_label("Phrase").fill("pontoon")
        page.get_by_role("combobox").first.click()
        page.locator(".select2-search__field").fill("Pontoon")
        page.get_by_role("option", name="Pontoon crossings").click()
        photograph(page, "admin-keyword")
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.get_by_text("was added successfully")).to_be_visible()
        page.goto("/admin/accounts/user/")
        photograph(page, "admin-users")

    client = stack.client("analyst")
    simulation = client.wait(client.submit("How do we cross by pontoon?").headers["Location"])
    assert [row["slug"] for row in simulation["citations"]] == ["pontoon-001"]
    assert "life vest" in simulation["answer"]


@ONCE
def test_an_admin_looks_back_and_restores(browser: Browser, stack: Stack) -> None:
    with visit(browser, stack, "admin", "/admin/knowledge/article/") as page:
        page.get_by_role("link", name="Field Office Security Handbook").click()
        text = page.get_by_label("Text")
        first = text.input_value()
        text.fill(f"{first}\nA line that is not to stay.")
        page.get_by_role("button", name="Save and continue editing").click()
        page.get_by_role("link", name="History", exact=True).click()
        expect(page.get_by_text("Changed: Text").first).to_be_visible()
        look_at(page, "history")
        page.get_by_role("button", name="Compare the two chosen").click()
        added = page.locator("ins", has_text="not to stay")
        expect(added).to_have_css("text-decoration-line", "underline")
        look_at(page, "compare")
        page.get_by_role("link", name="Restore revision").first.click()
        look_at(page, "restore")
        page.get_by_role("button", name="Restore this revision").click()
        expect(page.get_by_text("Restored revision").first).to_be_visible()
        page.get_by_role("link", name="Field Office Security Handbook").first.click()
        assert page.get_by_label("Text").input_value() == first


def test_who_signs_out_leaves_nothing_behind_the_back_button(
    browser: Browser, stack: Stack
) -> None:
    with visit(browser, stack, "trainee", "/simulations/") as page:
        expect(page.get_by_role("heading", name="Simulations")).to_be_visible()
        page.goto("/account/")
        page.get_by_role("button", name="Sign out").click()
        sign_in_page = page.get_by_role("heading", name="Sign in to Sitrep")
        expect(sign_in_page).to_be_visible()
        for _ in range(2):
            page.go_back()
            expect(sign_in_page).to_be_visible()
        kept = page.evaluate("Object.assign({}, localStorage, sessionStorage)")
        assert kept.keys() <= {"htmx-current-path-for-history"}  # an address


@ONCE
@pytest.mark.parametrize("scripted", [True, False], ids=["scripted", "plain"])
def test_a_token_is_made_used_and_revoked(browser: Browser, stack: Stack, scripted: bool) -> None:
    with visit(browser, stack, "trainee", "/account/", java_script_enabled=scripted) as page:
        page.get_by_label("Name").fill(f"Report {scripted}")
        page.get_by_label("Expires").select_option("90")
        page.get_by_role("button", name="Create token").click()
        secret = page.get_by_label("The new token").input_value()
        if scripted:
            page.context.grant_permissions(["clipboard-read", "clipboard-write"])
            page.get_by_role("button", name="Copy").click()
            expect(page.get_by_role("button", name="Copied")).to_be_visible()
            assert page.evaluate("navigator.clipboard.readText()") == secret
        me, headers = f"{stack.url}/api/v1/me", {"Authorization": f"Bearer {secret}"}
        assert httpx2.get(me, headers=headers).json()["username"] == "trainee"
        token = page.get_by_role("listitem").filter(has_text=f"Report {scripted}")
        token.locator("summary").click()
        token.get_by_role("button", name="Revoke this token").click()
        expect(page.get_by_text("The token is revoked.")).to_be_visible()
        assert httpx2.get(me, headers=headers).status_code == 401


@ONCE
def test_the_api_s_description_is_shown_and_tried_out(browser: Browser, stack: Stack) -> None:
    """Swagger UI keeps to the policy: `visit` fails of any violation."""
    with visit(browser, stack, "analyst", "/") as page:
        page.goto("/api/v1/docs")
        operation = page.locator("#operations-me-read_me")
        operation.get_by_text("Who you are and what you may do").click()
        operation.get_by_role("button", name="Try it out").click()
        operation.get_by_role("button", name="Execute").click()
        expect(operation.locator(".live-responses-table")).to_contain_text('"role": "ANALYST"')
        photograph(page, "api-docs")
