"""Full-text search: what it finds, in which order, and that no text can break or forge it.

The same tests on both databases: they must answer alike.
"""

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from knowledge.models import Article
from knowledge.search import articles as search
from knowledge.search.articles import Results, search_articles
from knowledge.search.index import get_index
from knowledge.search.query import MAX_LENGTH, MAX_WORDS, InvalidQuery, Query, parse_query
from knowledge.search.spelling import distance

pytestmark = pytest.mark.django_db


def publish(slug: str, title: str, text: str = "Nothing else.", **fields: object) -> Article:
    fields = {"category": "Testing", "status": "published"} | fields
    return Article.objects.create(slug=slug, title=title, text=text, **fields)


def found(query: str) -> list[str]:
    return [hit.article.slug for hit in search_articles(query).hits]


def marked(query: str) -> tuple[str, str]:
    """Title and snippet of the first hit, with [brackets] around what is highlighted."""
    hit = search_articles(query).hits[0]
    title, snippet = (
        "".join(f"[{part.text}]" if part.is_hit else part.text for part in fragments)
        for fragments in (hit.title, hit.snippet)
    )
    return title, snippet


@pytest.fixture
def corpus() -> None:
    publish("convoy-001", "Convoys and road movement", "Drivers keep their distance.")
    publish("checkpoint-001", "Checkpoints", "A convoy stops. Slow down, be polite.", tags=["road"])
    publish("tagged-001", "Vehicles", "Keep them fuelled.", tags=["convoy", "fleet"])
    publish("hospital-001", "Medical evacuation", "Know the nearest hospital and its helipad.")
    publish("phishing-001", "E-mail security", "Report phishing. State of the art filters help.")
    publish("draft-001", "Convoy secrets", "Zanzibar convoy.", status="draft")


# --- What is found ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "slugs"),
    [
        ("convoy", ["convoy-001", "tagged-001", "checkpoint-001"]),
        ("evacuating hospitals", ["hospital-001"]),
        ("convoy road", ["convoy-001", "checkpoint-001"]),
        ("the convoy on a road", ["convoy-001", "checkpoint-001"]),
        ("convoy -road", ["tagged-001"]),
        ('convoy -"be polite"', ["convoy-001", "tagged-001"]),
        ("helipad OR phishing", ["hospital-001", "phishing-001"]),
        ('"state of the art"', ["phishing-001"]),
        ("“nearest hospital”", ["hospital-001"]),
        ('"hospital nearest"', []),
        ('"movement testing"', []),
        ('"movement drivers"', []),
        ("e-mail", ["phishing-001"]),
        ("phishing/filters", ["phishing-001"]),
        ("fleet", ["tagged-001"]),
        ("testing hospital", ["hospital-001"]),
        ("zanzibar", []),
        ("-convoy", []),
    ],
)
@pytest.mark.usefixtures("corpus")
def test_what_a_query_finds_best_first(query: str, slugs: list[str]) -> None:
    hits = found(query)
    assert (sorted(hits) if " OR " in query else hits) == slugs


def test_a_title_outweighs_tags_and_tags_outweigh_any_text() -> None:
    publish("text-001", "Calls", "Radio, radio and radio. " * 5)
    publish(
        "tags-001",
        "Calls",
        "Keep them short and clear, and end them with the word over.",
        tags=["radio"],
    )
    publish("title-001", "Radio", "Keep calls short and clear, and end them with the word over.")
    assert found("radio") == ["title-001", "tags-001", "text-001"]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("cafe", "The Café at the gate"),
        ("élan", "Elan"),
        ("Zürich", "an office in ZÜRICH"),
        ("блокпост", "Блокпост на дороге"),
        ("WHO", "as the WHO says"),
        ("it", "IT"),
        ("safety", "security/safety"),
        ("ops", "write to ops@example.org"),
        ("example", "see https://example.org/path"),
        ("script", "a <script> tag"),
        ("covid19", "Covid19 rules"),
        ("don't", "We don't run"),
        ("3.5", "3.5 tonnes"),
    ],
)
def test_words_of_every_kind_are_found(query: str, text: str) -> None:
    publish("some-001", "A title", text)
    assert found(query) == ["some-001"]


def test_a_very_long_article_can_be_saved_and_found() -> None:
    publish("long-001", "Long", "beginning " + " ".join(f"w{n:x}" for n in range(150_000)))
    assert found("beginning") == ["long-001"]


# --- What the triggers keep up ----------------------------------------------------------------


def test_every_change_is_seen_however_it_is_made() -> None:
    publish("first-001", "Alpha")
    Article.objects.bulk_create([Article(slug="bulk-001", title="Bravo", status="published")])
    assert sorted(found("alpha or bravo")) == ["bulk-001", "first-001"]
    Article.objects.filter(slug="first-001").update(title="Charlie", tags=["delta"])
    assert (found("alpha"), found("charlie delta")) == ([], ["first-001"])
    Article.objects.filter(slug="first-001").update(status="draft")
    assert found("charlie") == []
    Article.objects.filter(slug="first-001").update(text="Echo.", status="published")
    assert found("charlie echo") == ["first-001"]
    Article.objects.filter(slug="first-001").delete()
    assert found("charlie") == []


def test_what_is_there_already_is_indexed_by_the_migration() -> None:
    publish("here-001", "Guards")
    publish("draft-001", "Guards in secret", status="draft")
    migration = import_module("knowledge.migrations.0006_search")
    with connection.cursor() as cursor:
        editor = type("Editor", (), {"connection": connection, "execute": None})()
        editor.execute = lambda statement, params=None: cursor.execute(statement, params)
        for name in ["0017_query_statistics", "0010_query_index"]:  # they use its functions
            [operation] = import_module(f"simulations.migrations.{name}").Migration.operations
            operation.reverse_code(apps, editor)
        migration.drop_search(apps, editor)
        migration.create_search(apps, editor)
    assert found("guards") == ["here-001"]
    assert search_articles("gaurds").corrected == "guards"
    Article.objects.all().delete()
    assert found("guards") == []


# --- Highlights -------------------------------------------------------------------------------


@pytest.mark.usefixtures("corpus")
def test_title_and_snippet_are_marked_where_they_match() -> None:
    title, snippet = marked("convoys")
    assert (title, snippet) == ("[Convoys] and road movement", "Drivers keep their distance.")
    publish("mails-001", "Mails", "# Rules\n\n- **Report** e-mail/letters <b>at once</b>!")
    assert marked("letters report")[1] == "Rules [Report] e-mail/[letters] <b>at once</b>!"
    publish("table-001", "Table", "| Sign | Act |\n| --- | :-: |\n| smoke | leave |\n")
    assert marked("leave")[1] == "Sign | Act smoke | [leave]"


def test_a_snippet_is_a_piece_of_a_long_text() -> None:
    publish("long-001", "Long", "before " * 500 + "needle " + "after " * 500)
    snippet = marked("needle")[1]
    assert "[needle]" in snippet
    assert len(snippet) < 500


def test_an_article_cannot_forge_a_highlight(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    marks = search.Marks
    monkeypatch.setattr(search, "Marks", lambda: made.append(marks()) or made[-1])
    publish("bad-001", "<mark>Guards</mark>", "<b>[guards]</b> \x01\x02 </mark>")
    search_articles("guards")
    old = made[0]
    publish("worse-001", "Replay", f"{old.start}fake{old.stop} guards")
    hits = search_articles("guards").hits
    texts = {part.text for hit in hits for part in (*hit.title, *hit.snippet) if part.is_hit}
    assert texts == {"Guards", "guards"}
    assert len({mark.start for mark in made} | {mark.stop for mark in made}) == 4


# --- Mistakes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "meant", "slug"),
    [
        ("evacuaton", "evacuation", "hospital-001"),
        ("hopsital", "hospital", "hospital-001"),
        ("convy politely", "convoy politely", "checkpoint-001"),
        ("phisihng filters", "phishing filters", "phishing-001"),
        ("Hospitl -zebra", "hospital -zebra", "hospital-001"),
    ],
)
@pytest.mark.usefixtures("corpus")
def test_a_misspelt_word_finds_what_was_meant_and_says_so(
    typed: str, meant: str, slug: str
) -> None:
    results = search_articles(typed)
    assert results.corrected == meant
    assert results.hits[0].article.slug == slug


@pytest.mark.parametrize("query", ["convoy", "convoy hospital", "xyzzyqwert", "cat", '"hopsital"'])
@pytest.mark.usefixtures("corpus")
def test_nothing_is_corrected_without_need_or_likeness(query: str) -> None:
    expected = "hospital" if "hop" in query else ""
    assert search_articles(query).corrected == expected


def test_drafts_are_in_no_index() -> None:
    publish("draft-001", "Zanzibar", status="draft")
    Article.objects.update(text="Kilimanjaro")
    index = get_index()
    with connection.cursor() as cursor:
        for word in ("zanzibar", "kilimanjaro"):
            assert index.match(Query.of_word(word), 1) == {}
            cursor.execute("SELECT count(*) FROM knowledge_searchword WHERE word = %s", [word])
            assert cursor.fetchone() == (0,)


def test_words_of_drafts_and_of_withdrawn_articles_are_not_suggested() -> None:
    publish("draft-001", "Zanzibar", status="draft")
    assert search_articles("zanzibr") == Results()
    article = publish("gone-001", "Kilimanjaro")
    assert search_articles("kilimanjro").corrected == "kilimanjaro"
    Article.objects.filter(pk=article.pk).update(status="draft")
    assert search_articles("kilimanjro") == Results()


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("", "", 0), ("gate", "gate", 0), ("gaurd", "guard", 1), ("cat", "cart", 1), ("ab", "ca", 2)],
)
def test_the_distance_of_two_words(one: str, other: str, expected: int) -> None:
    assert distance(one, other) == distance(other, one) == expected


# --- Any text ---------------------------------------------------------------------------------

HOSTILE = [
    "",
    " ",
    '"',
    '""" "',
    "'",
    "!?*&|()<>:",
    "the of and",
    "NEAR(convoy hospital, 2)",
    "convoy AND NOT",
    "OR or OR",
    "conv*",
    "title:convoy",
    "{title} : convoy",
    "^convoy",
    "a + b",
    "- -- -",
    '-"',
    "convoy\0hospital",
    "\ud800 convoy",
    "%s %(name)s",
    "\\",
    "\u0301",
    "\U0001e900",
    "x" * MAX_LENGTH,
    "é" * MAX_LENGTH,
    "'; DROP TABLE knowledge_article; --",
]


@pytest.mark.parametrize("query", HOSTILE)
@pytest.mark.usefixtures("corpus")
def test_no_text_is_an_error(query: str) -> None:
    assert search_articles(query).total <= 5


@pytest.mark.parametrize(
    "query", ["x" * (MAX_LENGTH + 1), "guard " * 2_000, "a " * (MAX_WORDS + 1)]
)
def test_too_long_a_query_is_refused_with_the_limit(query: str) -> None:
    with pytest.raises(InvalidQuery, match=r"at most \d+"):
        search_articles(query)


class AnyText(TestCase):
    @given(st.text(max_size=60), st.sampled_from(['"', "-", " or ", "NEAR", "*", "(", ""]))
    def test_no_characters_break_a_search(self, text: str, operator: str) -> None:
        search_articles(f"{text}{operator}{text[:9]}")


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        ("Road  convoy", "Road convoy"),
        ("a or b c", "a or b c"),
        ("the convoy", "convoy"),
        ("the", "the"),
        ('the "the gate" -the', '"the gate" -the'),
        ("e-mail a,b", '"e mail" b'),
        ("-a", ""),
        ("a or -b", "a"),
        ('"unclosed phrase', '"unclosed phrase"'),
    ],
)
def test_how_a_query_is_understood(text: str, understood: str) -> None:
    assert str(parse_query(text)) == understood


# --- Bounds -----------------------------------------------------------------------------------


def test_pages_go_on_where_the_one_before_ended() -> None:
    for number in range(5):
        publish(f"guard-{number}", "Guards")
    pages = [search_articles("guards", page=page, page_size=2) for page in (1, 2, 3, 4)]
    slugs = [hit.article.slug for page in pages for hit in page.hits]
    assert len(set(slugs)) == len(slugs) == 5
    assert [page.has_next for page in pages] == [True, True, False, False]
    assert {page.total for page in pages} == {5}
    assert pages[0].is_complete


def test_of_too_many_matches_titles_are_ranked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MAX_RANKED", 3)
    for number in range(9):
        publish(f"text-{number}", "Another", "Guards.")
    publish("title-1", "Guards")
    results = search_articles("guards")
    assert results.hits[0].article.slug == "title-1"
    assert not results.is_complete
    assert results.total <= 3 + 4
