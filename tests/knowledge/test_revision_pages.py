"""The history pages of the admin: what changed, who did it, and the way back."""

import re

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from knowledge.models import Article, ArticleRevision, Keyword
from knowledge.revision_admin import RevisionAdmin
from simulations.models import Assistant

pytestmark = pytest.mark.django_db


@pytest.fixture
def curator(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


@pytest.fixture
def alpha(articles: dict[str, Article], curator: Client) -> Article:
    """Created, then changed by a curator in the admin."""
    alpha = articles["alpha-001"]
    alpha.text = "Guards check each badge at the gate.\nNew line."
    alpha.title = "Changed <title>"
    alpha._history_user = User.objects.get(username="admin")
    alpha.save()
    return alpha


def url(item: Article | Keyword | Assistant, page: str = "") -> str:
    return f"/admin/{item._meta.app_label}/{item._meta.model_name}/{item.pk}/history/{page}"


def text_of(response: object) -> str:
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def first_of(item: Article | Keyword | Assistant) -> ArticleRevision:
    return item.revisions.earliest()


def test_the_history_says_what_changed_when_and_by_whom(curator: Client, alpha: Article) -> None:
    page = text_of(curator.get(url(alpha)))
    assert re.search(r"Revision 2 <span[^>]*>current.*by <strong>admin.*Changed: Title, Text", page)
    assert re.search(r"Revision 1</h2>.*a command or an update.*Created", page)
    assert "Linked with “gate”, position 1" in page
    assert f"{url(alpha)}{first_of(alpha).pk}/restore/" in page
    assert f"{url(alpha)}{alpha.revisions.latest().pk}/restore/" not in page


@pytest.mark.parametrize("turned", [False, True])
def test_two_revisions_are_compared_whichever_comes_first(
    curator: Client, alpha: Article, turned: bool
) -> None:
    ids = sorted(alpha.revisions.values_list("pk", flat=True), reverse=turned)
    page = text_of(curator.get(url(alpha, "compare/"), {"from": ids[0], "to": ids[1]}))
    assert "Removed: </span>Guards check <del>every</del> badge at the gate" in page
    assert "Added: </span>Guards check <ins>each</ins> badge at the gate" in page
    assert "&lt;title&gt;" in page
    assert "<title> " not in page.partition("<body")[2]
    assert "Category" not in page.partition('id="content-main"')[2]
    same = {"from": ids[0], "to": ids[0]}
    assert "They are the same." in text_of(curator.get(url(alpha, "compare/"), same))


def test_only_revisions_of_this_history_are_shown(
    curator: Client, alpha: Article, articles: dict[str, Article]
) -> None:
    own, other = first_of(alpha).pk, first_of(articles["beta-001"]).pk
    for chosen in ({"from": own, "to": other}, {"from": own}, {"from": own, "to": "x²"}):
        assert curator.get(url(alpha, "compare/"), chosen).status_code == 404
    assert curator.get(url(alpha, f"{other}/restore/")).status_code == 404
    assert curator.post(url(alpha, f"{other}/restore/")).status_code == 404


def test_restoring_is_confirmed_and_makes_a_new_revision(
    curator: Client, alpha: Article, admin: User
) -> None:
    Article.objects.filter(pk=alpha.pk).update(status="archived")
    before = list(alpha.revisions.order_by("pk").values())
    path = url(alpha, f"{first_of(alpha).pk}/restore/")
    assert "Changed: Status → Archived" in text_of(curator.get(url(alpha)))
    page = text_of(curator.get(path))
    assert "<ins>every</ins>" in page
    assert "Not set back: <strong>Status</strong>" in page
    latest = alpha.revisions.latest().pk
    assert curator.get(path).status_code == 200
    assert alpha.revisions.latest().pk == latest  # looking restores nothing

    done = curator.post(path, {"latest": latest}, follow=True)
    assert "Revision 1 is restored." in text_of(done)
    assert "Restored revision 1" in text_of(done)
    restored = alpha.revisions.latest()
    assert (restored.text, restored.status) == (before[0]["text"], "archived")
    assert restored.history_user == admin
    assert list(alpha.revisions.order_by("pk").values())[:-1] == before
    assert "nothing to restore" in text_of(curator.get(path))


def test_what_was_changed_meanwhile_is_not_overwritten(curator: Client, alpha: Article) -> None:
    seen = alpha.revisions.latest().pk
    Article.objects.filter(pk=alpha.pk).update(text="Somebody was faster.")
    path = url(alpha, f"{first_of(alpha).pk}/restore/")
    page = curator.post(path, {"latest": seen}, follow=True)
    assert "It was changed meanwhile." in text_of(page)
    assert Article.objects.get(pk=alpha.pk).text == "Somebody was faster."


def test_what_would_break_a_rule_is_not_restored(curator: Client, alpha: Article) -> None:
    gate = Keyword.objects.get(phrase="gate")
    gate.phrase = "portal"
    gate.save()
    Keyword.objects.create(phrase="Gate")
    path = url(gate, f"{first_of(gate).pk}/restore/")
    page = curator.post(path, {"latest": gate.revisions.latest().pk}, follow=True)
    assert "This keyword exists already" in text_of(page)
    assert Keyword.objects.filter(phrase="portal").exists()
    assert "Linked with “Title of beta-001 (beta-001)”, position 2" in text_of(
        curator.get(url(gate))
    )


def test_assistants_have_the_same_pages(curator: Client, admin: User) -> None:
    assistant = Assistant.objects.get_or_create_default()
    form = {"name": "Sitrep", "instructions": "Be brief.", "max_output_tokens": "4000"}
    form |= {"is_active": "on"}
    curator.post(f"/admin/simulations/assistant/{assistant.pk}/change/", form)
    assert "Changed: Instructions" in text_of(curator.get(url(assistant)))
    first, latest = first_of(assistant), assistant.revisions.latest()
    assert latest.history_user == admin
    curator.post(url(assistant, f"{first.pk}/restore/"), {"latest": latest.pk})
    assert Assistant.objects.get_or_create_default().instructions == first.instructions


def test_saving_a_form_without_a_change_makes_no_revision(curator: Client, alpha: Article) -> None:
    fields = {"title": alpha.title, "category": alpha.category, "tags": "one, two"}
    links = {"links-TOTAL_FORMS": "0", "links-INITIAL_FORMS": "0"}
    form = {"text": alpha.text, "status": alpha.status} | fields | links
    path = f"/admin/knowledge/article/{alpha.pk}/change/"
    assert curator.post(path, form).status_code == 302
    assert alpha.revisions.count() == 2
    assert curator.post(path, form | {"title": "Another"}).status_code == 302
    assert alpha.revisions.count() == 3


@pytest.mark.parametrize("page", ["", "compare/", "1/restore/"])
def test_analysts_have_no_history(analyst: User, alpha: Article, page: str) -> None:
    client = Client()
    client.force_login(analyst)
    for response in (client.get(url(alpha, page)), client.post(url(alpha, page))):
        assert response.status_code in {302, 403}
        assert "Guards" not in response.content.decode()
    assert Client().get(url(alpha, page)).status_code == 302


def test_long_histories_come_in_pages(
    curator: Client,
    alpha: Article,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    monkeypatch.setattr(RevisionAdmin, "revisions_per_page", 2)
    for number in range(3):
        alpha.text = f"Text {number}."
        alpha.save()
    page = text_of(curator.get(url(alpha)))
    assert "Revision 5 <span" in page
    assert "Revision 3</h2>" not in page
    with django_assert_num_queries(6):  # session, user, article, count, page, links
        last = text_of(curator.get(url(alpha), {"p": 3}))
    assert "Revision 1</h2>" in last
    assert "Created" in last
    middle = text_of(curator.get(url(alpha), {"p": 2}))
    assert re.search(r"Revision 2</h2>.*Changed: Title, Text", middle)


def test_the_pages_have_no_inline_style_or_script(curator: Client, alpha: Article) -> None:
    ids = sorted(alpha.revisions.values_list("pk", flat=True))
    for page in ("", f"compare/?from={ids[0]}&to={ids[1]}", f"{ids[0]}/restore/"):
        html = curator.get(url(alpha, page)).content.decode()
        assert not re.search(r"\sstyle=|<style|\son\w+=|<script(?![^>]*\ssrc=)[^>]*>\s*\S", html)
