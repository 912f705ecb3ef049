"""Which keywords never change what is sent, and which articles nothing gets sent."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from knowledge.matching import KeywordIndex
from knowledge.reach import Shadowed, standings, survey

PLACES = 3
ALL = frozenset("abcdefgh")


def shadowed(pairs: list[tuple[str, str]], whole_words: object = ()) -> list[Shadowed]:
    return list(survey(KeywordIndex(pairs, whole_words), ALL, PLACES).shadowed)


def test_an_earlier_keyword_within_it_that_brings_the_same_shadows_it() -> None:
    pairs = [("gate", "ab"), ("gatehouse", "b")]
    assert shadowed(pairs) == [Shadowed("gatehouse", ("gate",), is_crowded_out=False)]


@pytest.mark.parametrize(
    "pairs",
    [
        [("gatehouse", "b"), ("gate", "ab")],  # comes first, so it decides the order
        [("gate", "ab"), ("gatehouse", "ac")],  # brings one more
        [("gates", "ab"), ("gatehouse", "b")],  # is not within it
        [("gate", "ab"), ("gatehouse", "")],  # brings nothing: another finding
    ],
)
def test_a_keyword_that_changes_something_is_not_shadowed(pairs: list[tuple[str, str]]) -> None:
    assert shadowed(pairs) == []


def test_several_keywords_can_shadow_one_together() -> None:
    pairs = [("control", "a"), ("room", "b"), ("tro", "c"), ("control room", "ab")]
    assert shadowed(pairs) == [Shadowed("control room", ("control", "room"), is_crowded_out=False)]


def test_earlier_keywords_that_fill_the_places_crowd_it_out() -> None:
    pairs = [("gate", "abc"), ("gatehouse", "d")]
    assert shadowed(pairs) == [Shadowed("gatehouse", ("gate",), is_crowded_out=True)]
    index = KeywordIndex(pairs)
    assert survey(index, set("abd"), PLACES).shadowed == ()
    assert survey(index, set("abd"), PLACES).reached == set("abd")
    assert survey(index, ALL, PLACES).reached == set("abc")


def test_a_whole_word_shadows_only_where_nothing_can_touch_it() -> None:
    pairs = [("riot", "a"), ("riot police", "a"), ("the riot police", "a")]
    assert [found.keyword for found in shadowed(pairs, {"riot"})] == ["the riot police"]
    both = shadowed(pairs, {"riot", "riot police"})
    assert [found.keyword for found in both] == ["riot police", "the riot police"]


def test_a_place_counts_what_comes_before_in_every_text() -> None:
    index = KeywordIndex([("gate", "abc"), ("house", "d"), ("gatehouse", "eb"), ("x", "e")])
    places = {
        standing.match.keyword: standing.place_of("e", ALL)
        for standing in standings(index, index.entries)
        if "e" in standing.match.article_ids
    }
    assert places == {"gatehouse": 5, "x": 1}


letters = st.text(st.sampled_from("ab "), min_size=1, max_size=4)
curated = st.dictionaries(letters, st.text(st.sampled_from("abcdef"), max_size=3), max_size=7)


def sent(pairs: list[tuple[str, str]], whole_words: set[str], text: str) -> list[str]:
    found = KeywordIndex(pairs, whole_words & {word for word, _ in pairs}).find_article_ids(text)
    return [article for article in found if article != "f"][:PLACES]


@settings(max_examples=1000, deadline=None)
@given(curated, st.sets(letters), st.text(st.sampled_from("ab _"), max_size=12))
def test_a_shadowed_keyword_changes_nothing_and_what_is_sent_was_reached(
    curated: dict[str, str], whole_words: set[str], text: str
) -> None:
    pairs = list(curated.items())
    index = KeywordIndex(pairs, whole_words & set(curated))
    found = survey(index, set("abcde"), PLACES)
    for keyword, _ in pairs:
        texts = [text, keyword, f"b{keyword}b", f"{text}{keyword}"]
        for text_with in texts:
            assert found.reached.issuperset(sent(pairs, whole_words, text_with))
        if keyword in {shadow.keyword for shadow in found.shadowed}:
            fewer = [pair for pair in pairs if pair[0] != keyword]
            for text_with in texts:
                assert sent(pairs, whole_words, text_with) == sent(fewer, whole_words, text_with)
