"""The pages of the preview: who sees them, what they show, and that a text can't break out."""

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Module, User
from knowledge.models import Article, Keyword

pytestmark = pytest.mark.django_db

PREVIEW = "/knowledge/preview/"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def content(client: Client, text: str, **data: str) -> str:
    return client.post(PREVIEW, {"text": text, **data}).content.decode()


def test_it_shows_the_articles_and_marks_their_keywords(
    analyst: User, articles: dict[str, Article]
) -> None:
    page = content(signed_in(analyst), "Who checks the GATE?")
    assert 'Who checks the <mark title="gate">GATE</mark>?' in page
    assert "<strong>2 articles</strong> will be sent" in page
    assert page.index("Title of alpha-001") < page.index("Title of beta-001")


@pytest.mark.parametrize("phrase", ['"><script>alert(1)</script>', "gate"])
def test_neither_text_nor_keyword_becomes_html(
    analyst: User, articles: dict[str, Article], phrase: str
) -> None:
    Keyword.objects.filter(phrase="gate").update(phrase=phrase)
    page = content(signed_in(analyst), f"<img src=x>{phrase}<script>alert(1)</script>")
    assert "&lt;img src=x&gt;<mark" in page
    assert "<script>alert" not in page
    assert "<img src=x" not in page


def test_a_link_names_the_text_in_its_address(analyst: User, articles: dict[str, Article]) -> None:
    page = signed_in(analyst).get(PREVIEW, {"text": "badge & gate"}).content.decode()
    assert "badge &amp; gate</textarea>" in page
    assert "Title of beta-001" in page
    empty = signed_in(analyst).get(PREVIEW)
    assert (empty.status_code, "Title of" in empty.content.decode()) == (200, False)


def test_drafts_are_for_curators_who_ask(
    analyst: User, admin: User, articles: dict[str, Article]
) -> None:
    asked = content(signed_in(analyst), "secret badge", include_drafts="on")
    assert "gamma" not in asked
    assert 'title="secret"' not in asked
    assert "gamma" not in content(signed_in(admin), "secret badge")
    assert "gamma" in content(signed_in(admin), "secret badge", include_drafts="on")


def test_line_ends_are_read_as_a_question_s_are(
    analyst: User, articles: dict[str, Article]
) -> None:
    Keyword.objects.filter(phrase="gate").update(phrase="a\ngate")
    assert "Title of alpha-001" in content(signed_in(analyst), "a\r\ngate")


def test_a_keyword_inside_a_word_is_pointed_out(
    analyst: User, articles: dict[str, Article]
) -> None:
    assert "only a part of “investigate”" in content(signed_in(analyst), "We investigate")


def test_what_is_cut_off_can_be_read(analyst: User, articles: dict[str, Article]) -> None:
    Article.objects.filter(slug="alpha-001").update(text="x" * 4000 + "the <end>")
    page = content(signed_in(analyst), "gate")
    assert "its last 9 characters are cut off" in page
    assert "the &lt;end&gt;</p>" in page


def test_typing_fetches_the_fragment_alone(analyst: User, articles: dict[str, Article]) -> None:
    client = signed_in(analyst)
    fragment = client.post(PREVIEW, {"text": "gate"}, headers={"HX-Request": "true"})
    assert "<html" not in fragment.content.decode()
    assert "Title of alpha-001" in fragment.content.decode()


@pytest.mark.parametrize("path", [PREVIEW, "/simulations/new/sources/"])
def test_who_is_signed_out_keeps_what_was_typed(path: str) -> None:
    fragment = Client().post(path, headers={"HX-Request": "true"})
    assert fragment.status_code == 200
    assert "no longer signed in" in fragment.content.decode()
    assert Client().post(path).status_code == 302


def test_it_needs_the_module(trainee: User, articles: dict[str, Article]) -> None:
    client = signed_in(trainee)
    assert client.get(PREVIEW).status_code == 403
    assert client.get(reverse("knowledge:article-reach", args=["alpha-001"])).status_code == 403
    assert PREVIEW not in client.get("/simulations/").content.decode()


# --- Beside a new question --------------------------------------------------------------------


def sources(client: Client, query: str) -> str:
    response = client.post("/simulations/new/sources/", {"query": query})
    assert response.status_code == 200
    return response.content.decode()


def test_a_new_question_shows_what_it_will_bring(
    trainee: User, articles: dict[str, Article]
) -> None:
    Article.objects.filter(slug="alpha-001").update(text="x" * 4000 + "the end")
    shown = sources(signed_in(trainee), "secret gate")
    assert "Title of alpha-001" in shown
    assert '<span class="chip">gate</span>' in shown
    assert "its last 7 characters are cut off" in shown
    assert "the end" not in shown  # without the module, no article's text
    assert "gamma" not in shown
    # What they wrote, with the one keyword that brings something marked; the other is curators'.
    assert 'secret <mark title="gate">gate</mark>' in shown
    assert '<span class="chip">gate</span>' in shown
    assert ">secret</" not in shown


def test_its_reader_may_see_what_is_cut_off(analyst: User, articles: dict[str, Article]) -> None:
    Article.objects.filter(slug="alpha-001").update(text="x" * 4000 + "the end")
    assert "the end" in sources(signed_in(analyst), "gate")


def test_it_needs_the_module_to_submit(analyst: User) -> None:
    analyst.modules = [Module.KNOWLEDGE_BASE]
    analyst.save()
    assert signed_in(analyst).post("/simulations/new/sources/").status_code == 403


# --- What brings an article -------------------------------------------------------------------


def test_an_article_names_its_keywords_and_their_places(
    analyst: User, articles: dict[str, Article]
) -> None:
    for number in range(2):
        extra = Article.objects.create(
            slug=f"extra-{number}", title="E", category="C", text="T", status="published"
        )
        Keyword.objects.get(phrase="gate").links.create(article=extra)
    late = Keyword.objects.create(phrase="gatehouse")
    late.links.create(article=articles["beta-001"])
    late.links.create(article=extra)
    page = signed_in(analyst).get(reverse("knowledge:article-reach", args=[extra.slug]))
    shown = page.content.decode()
    assert shown.count("Place 4: never sent") == 2
    assert 'Behind the articles of <span class="chip">gate</span>' in shown


def test_a_draft_s_keywords_are_shown_to_curators_alone(
    analyst: User, admin: User, articles: dict[str, Article]
) -> None:
    address = reverse("knowledge:article-reach", args=["gamma-001"])
    assert signed_in(analyst).get(address).status_code == 404
    shown = signed_in(admin).get(address).content.decode()
    assert "It is not published" in shown
    assert "Place 1: sent" in shown


def test_an_article_without_keywords_says_so(admin: User, articles: dict[str, Article]) -> None:
    Keyword.objects.all().delete()
    page = signed_in(admin).get(reverse("knowledge:article-reach", args=["alpha-001"]))
    assert "No keyword brings it" in page.content.decode()


def test_the_admin_site_leads_there(admin: User, articles: dict[str, Article]) -> None:
    client = signed_in(admin)
    keyword = Keyword.objects.create(phrase='a&b "c"')
    page = client.get(reverse("admin:knowledge_keyword_change", args=[keyword.pk]))
    assert f"{PREVIEW}?include_drafts=on&amp;text=a%26b%20%22c%22" in page.content.decode()
    article = articles["alpha-001"]
    page = client.get(reverse("admin:knowledge_article_change", args=[article.pk]))
    assert reverse("knowledge:article-reach", args=[article.slug]) in page.content.decode()
    admin.modules = []
    admin.save()
    page = client.get(reverse("admin:knowledge_article_change", args=[article.pk]))
    assert "What brings this article" not in page.content.decode()
