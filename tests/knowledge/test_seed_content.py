import re
from pathlib import Path

import pytest
import yaml

import knowledge
from knowledge.context import ARTICLE_LIMIT, cut_text, escape_markers
from knowledge.matching import KeywordIndex

SEED = Path(knowledge.__file__).parent / "seed"
FIELDS = ["slug", "title", "category", "tags", "status"]


def parse(path):
    opening, front_matter, text = path.read_text(encoding="utf-8").split("---\n", 2)
    assert opening == ""
    pairs = [line.split(": ", 1) for line in front_matter.splitlines()]
    assert [key for key, _ in pairs] == FIELDS
    return dict(pairs), text


PATHS = sorted((SEED / "articles").glob("*.md"))
ARTICLES = {path.stem: parse(path) for path in PATHS}
KEYWORDS = yaml.safe_load((SEED / "keywords.yaml").read_text(encoding="utf-8"))
INDEX = KeywordIndex(
    [(entry["phrase"], entry["articles"]) for entry in KEYWORDS],
    {entry["phrase"] for entry in KEYWORDS if entry["whole_word"]},
)


def test_there_is_enough_to_start_with():
    assert len(ARTICLES) >= 14
    assert len(KEYWORDS) >= 45


def test_the_first_keywords_are_the_given_ones():
    assert [(entry["phrase"], entry["articles"], entry["whole_word"]) for entry in KEYWORDS][
        :5
    ] == [
        ("threat assessment", ["srm-intro-001", "field-security-handbook-001"], False),
        ("access control", ["field-security-handbook-001"], False),
        ("vulnerability", ["srm-intro-001", "infosec-intro-001"], False),
        ("information security", ["infosec-intro-001"], False),
        ("encryption", ["infosec-intro-001"], False),
    ]


def test_keywords_are_well_formed():
    phrases = [entry["phrase"] for entry in KEYWORDS]

    assert all(list(entry) == ["phrase", "articles", "whole_word"] for entry in KEYWORDS)
    assert all(phrase == phrase.strip() != "" for phrase in phrases)
    assert len({phrase.casefold() for phrase in phrases}) == len(phrases)


def test_every_keyword_brings_articles_that_exist():
    for entry in KEYWORDS:
        assert entry["articles"], entry
        assert len(set(entry["articles"])) == len(entry["articles"]), entry
        assert set(entry["articles"]) <= set(ARTICLES), entry


def test_every_article_is_reached():
    assert {slug for entry in KEYWORDS for slug in entry["articles"]} == set(ARTICLES)


def test_short_keywords_count_as_whole_words_only():
    """Among few letters, chance hits inside other words are the rule."""
    assert [
        entry for entry in KEYWORDS if len(entry["phrase"]) < 6 and not entry["whole_word"]
    ] == [entry for entry in KEYWORDS if entry["phrase"] == "hotel"]


@pytest.mark.parametrize(
    "harmless", ["patriots tried a safeguard", "brainstorm on floodlights in the avenue"]
)
def test_keywords_inside_other_words_bring_nothing(harmless):
    assert INDEX.find_matches(harmless) == []


@pytest.mark.parametrize(
    ("question", "first_three"),
    [
        (
            "How do we improve access control and encryption at the field office?",
            ["field-security-handbook-001", "infosec-intro-001"],
        ),
        (
            "What should a threat assessment cover?",
            ["srm-intro-001", "field-security-handbook-001", "threat-assessment-001"],
        ),
        ("Is the convoy ready for a checkpoint?", ["convoy-movement-001"]),
        ("Which riot indicators matter?", ["civil-unrest-001"]),
        ("What if an IED is found on the road?", ["explosive-hazards-001"]),
    ],
)
def test_a_question_brings_the_articles_that_answer_it(question, first_three):
    assert INDEX.find_article_ids(question)[:3] == first_three


@pytest.mark.parametrize("slug", ARTICLES)
class TestArticle:
    def test_front_matter_is_complete_and_plain(self, slug):
        fields, _ = ARTICLES[slug]

        assert fields["slug"] == slug
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*-\d{3}", slug)
        assert fields["status"] == "published"
        assert all(value == value.strip() != "" for value in fields.values())
        assert not any(":" in value for value in fields.values())
        tags = fields["tags"].split(", ")
        assert 3 <= len(tags) <= 6
        assert all(tag == tag.strip() != "" for tag in tags)
        assert len(set(tags)) == len(tags)

    def test_an_article_has_250_to_700_words(self, slug):
        assert 250 <= len(re.findall(r"\b[\w'’-]+", ARTICLES[slug][1])) <= 700

    def test_no_line_is_mistaken_for_a_marker_of_the_block(self, slug):
        _, text = ARTICLES[slug]

        assert escape_markers(text) == text

    def test_markdown_has_headings_and_steps(self, slug):
        _, text = ARTICLES[slug]
        lines = text.splitlines()

        assert len([line for line in lines if line.startswith("## ")]) >= 3
        assert len([line for line in lines if re.match(r"(- |\d+\. )", line)]) >= 10
        assert not any(line != line.rstrip() for line in lines)
        assert text.endswith("\n")
        assert not text.endswith("\n\n")

    def test_every_bullet_ends_like_a_sentence(self, slug):
        bullets = re.findall(r"^(?:- |\d+\. )(.+)$", ARTICLES[slug][1], flags=re.MULTILINE)

        assert not [bullet for bullet in bullets if bullet[-1] not in ".?!"]


def test_at_least_one_article_shows_the_cut():
    long = [slug for slug, (_, text) in ARTICLES.items() if len(text.strip()) > ARTICLE_LIMIT]

    assert "field-security-handbook-001" in long


def test_what_the_demo_asks_for_survives_the_cut():
    handbook, _ = cut_text(ARTICLES["field-security-handbook-001"][1])
    infosec, was_cut = cut_text(ARTICLES["infosec-intro-001"][1])

    assert "## Access control at the entrance" in handbook
    assert "## Guards" in handbook
    assert "## Encryption at a field office" in infosec
    assert "## Backups" in infosec
    assert not was_cut
