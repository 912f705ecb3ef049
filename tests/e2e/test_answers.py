"""Answers in Debian's Chromium: rules are tried before they are saved, and what is hostile can do
nothing, wherever it is shown."""

from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.browsing import IN_A_BROWSER, look_at, photograph, visit
from tests.e2e.stack import Stack
from tests.hostile.payloads import ALL_IN_ONE, ELEMENTS, PAYLOADS, STORABLE

pytestmark = IN_A_BROWSER

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
        expect(result).to_contain_text("All come out as with the current rules")
        page.get_by_label("An answer, or a part of one").fill(TEXT)
        if not scripted:
            page.get_by_role("button", name="Show what they take out").click()
        expect(result.locator("del").first).to_have_text("What it means:")
        page.get_by_label("Phrase").fill("Outlook")
        page.get_by_label("Executive Summary").uncheck()
        if not scripted:
            page.get_by_role("button", name="Show what they take out").click()
        expect(result.locator("del").first).to_have_text("## Outlook")
        expect(result).to_contain_text("would come out differently")
        look_at(page, f"rules-preview-{'light' if scripted else 'dark'}")
        page.goto("/admin/simulations/answerrule/add/")
        page.get_by_label("Phrase").fill("Outlook")
        look_at(page, f"rules-form-{'light' if scripted else 'dark'}")
        page.get_by_role("button", name="Preview without saving").click()
        expect(page.get_by_label("Phrase")).to_have_value("Outlook")


# --- Hostile texts ---------------------------------------------------------------------------

SLUG = "hostile-001"
MARK = '"><script>hit()</script><img src=//evil.example/pixel.gif onerror=hit()>'
QUERY = f"{MARK} {' '.join(ELEMENTS[:60])}".replace("\x00", "")

# What the page holds that it must not; scripts and forms of the site itself are no matter.
PROBLEMS = """() => {
  const found = window.hits.map(() => "a script ran");
  const own = (url) => new URL(url, location.href).origin === location.origin;
  const never = "iframe, object, embed, base, svg script, foreignObject, .prose [style]";
  const media = ".prose :is(img, video, audio, form, input, style, link)";
  for (const element of document.querySelectorAll("*")) {
    const names = [...element.attributes].map(({ name }) => name);
    const address = element.getAttribute("src") ?? element.getAttribute("action");
    const isInline = element.matches("script:not([src])") && element.textContent.trim();
    if (
      names.some((name) => name.startsWith("on") || name === "srcdoc") ||
      (address && !own(address)) || isInline || element.matches(never) || element.matches(media)
    ) found.push(element.outerHTML.slice(0, 160));
  }
  for (const link of document.querySelectorAll("a[href]")) {
    const isSafe = ["http:", "https:", "mailto:"].includes(link.protocol);
    const isForeign = link.protocol === "mailto:" || !own(link.href);
    if (!isSafe || (isForeign && !link.rel.includes("noopener"))) found.push(link.outerHTML);
  }
  return found;
}"""


@dataclass(frozen=True)
class World:
    """The corpus as an article, as a question and as its answer."""

    stack: Stack
    simulation: str

    def path(self, page: str) -> str:
        return page.format(pk=self.simulation)


@pytest.fixture(scope="module")
def world(stack: Stack) -> World:
    assert len(set(PAYLOADS)) >= 200
    admin, analyst = stack.client("admin"), stack.client("analyst")
    article = {"slug": SLUG, "title": MARK, "category": MARK, "tags": [MARK[:50]]}
    article |= {"text": ALL_IN_ONE, "status": "published"}
    admin.post("knowledge/articles", json=article).raise_for_status()
    keyword = {"phrase": MARK, "articles": [SLUG]}
    admin.post("knowledge/keywords", json=keyword).raise_for_status()
    stack.emulator.control(latency=0.2, next_answer=ALL_IN_ONE)
    done = analyst.wait(analyst.submit(QUERY).headers["Location"])
    stack.emulator.control(latency=0.5)
    assert done["status"] == "COMPLETED"
    assert [citation["slug"] for citation in done["citations"]] == [SLUG]
    return World(stack, done["id"])


def check(page: Page) -> None:
    assert page.evaluate(PROBLEMS) == []


PAGES = {
    "analyst": [
        "/simulations/{pk}/",
        "/simulations/{pk}/manifest/",
        "/simulations/{pk}/follow-up/",
        "/simulations/",
        f"/knowledge/articles/{SLUG}/",
        f"/knowledge/articles/{SLUG}/reach/",
        "/knowledge/?q=hit",
        "/knowledge/?q=%3Cscript%3Ehit()%3C/script%3E",
    ],
    "admin": [
        "/admin/simulations/simulation/{pk}/change/",
        "/admin/simulations/simulation/",
        "/admin/simulations/answerrule/preview/",
        "/admin/knowledge/article/",
        "/admin/knowledge/keyword/",
        "/admin/curation/",
        "/simulations/{pk}/",
    ],
}


@pytest.mark.parametrize("username", PAGES)
def test_no_page_lets_any_of_it_act(browser: Browser, world: World, username: str) -> None:
    with visit(browser, world.stack, username, "/simulations/") as page:
        page.add_init_script("window.hits = []; window.hit = () => window.hits.push(1)")
        page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        for name in PAGES[username]:
            response = page.goto(world.path(name))
            assert response.status == 200, name
            assert response.headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in response.headers["content-security-policy"]
            check(page)
        page.goto(world.path("/simulations/{pk}/"))
        shown = page.get_by_role("article", name="Answer").inner_text()
        assert shown.count("<script>hit()</script>") > 20


def test_answers_and_previews_that_are_swapped_in_can_not_act(
    browser: Browser, world: World
) -> None:
    """The answer that comes while one looks, and the previews while one types."""
    stack = world.stack
    with visit(browser, stack, "admin", "/simulations/") as page:
        page.add_init_script("window.hits = []; window.hit = () => window.hits.push(1)")
        stack.emulator.control(latency=3, next_answer=ALL_IN_ONE)
        page.goto("/simulations/new/")
        page.get_by_label("Your question").fill(QUERY)
        expect(page.locator("#preview")).to_contain_text(MARK)
        check(page)
        page.get_by_role("button", name="Submit question").click()
        expect(page.get_by_role("heading", name="Answer", exact=True)).to_be_visible(timeout=30_000)
        stack.emulator.control(latency=0.5)
        check(page)
        page.goto("/knowledge/preview/")
        page.get_by_label("A question").fill(QUERY)
        expect(page.locator("#preview mark").first).to_have_text(MARK)
        check(page)
        page.goto("/admin/simulations/answerrule/preview/")
        page.get_by_label("An answer, or a part of one").fill(f"hit: {ALL_IN_ONE}")
        page.get_by_label("Phrase").fill("hit")
        page.get_by_label("Inside text too").check()
        expect(page.locator("#preview del").first).to_contain_text("hit")
        check(page)


def test_clients_get_it_as_data(world: World) -> None:
    """The raw answer as it came; the answer without what acts on a terminal."""
    client = world.stack.client("analyst")
    answer = client.get(f"simulations/{world.simulation}").json()["answer"]
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\u2066"} & set(answer)
    manifest: dict[str, Any] = client.get(f"simulations/{world.simulation}/manifest").json()
    assert manifest["answer"]["raw"] == "\n\n".join(STORABLE)
    assert manifest["answer"]["clean"] == answer


def test_cleaning_again_shows_before_and_after(browser: Browser, world: World) -> None:
    rule = {"phrase": "hit", "inside_text": True}
    world.stack.client("admin").post("answer-rules", json=rule).raise_for_status()
    with visit(browser, world.stack, "admin", "/admin/simulations/simulation/") as page:
        page.add_init_script("window.hits = []; window.hit = () => window.hits.push(1)")
        page.locator("#action-toggle").check()
        page.get_by_label("Action:").select_option("clean_again")
        page.get_by_role("button", name="Run").or_(page.get_by_role("button", name="Go")).click()
        expect(page.locator(".diff del").first).to_contain_text("hit")
        check(page)
        photograph(page, "clean-again")
        page.get_by_role("button", name="again").click()
        expect(page.get_by_text("Cleaned again")).to_be_visible()
        page.goto(world.path("/simulations/{pk}/manifest/"))
        expect(page.get_by_text("Answer until")).to_be_visible()
        check(page)
