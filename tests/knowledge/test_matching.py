import dataclasses
import json
import re
import shutil
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from knowledge.matching import ExplainedMatch, KeywordIndex, KeywordMatch, Span

CURATED = [
    ("threat assessment", ["srm", "handbook"]),
    ("access control", ["handbook"]),
    ("vulnerability", ["srm", "infosec"]),
    ("encryption", ["infosec"]),
]


def loop(pairs, text):
    """The specification: every keyword is looked up on its own, in curated order."""
    lowered = text.lower()
    return [(word, tuple(ids)) for word, ids in pairs if word.lower() in lowered]


def whole_word_loop(pairs, text):
    lowered = text.lower()
    return [
        (word, tuple(ids))
        for word, ids in pairs
        if re.search(rf"(?<!\w){re.escape(word.lower())}(?!\w)", lowered)
    ]


def distinct_ids(matches):
    ids = []
    for article_id in [article_id for _, article_ids in matches for article_id in article_ids]:
        if article_id not in ids:
            ids.append(article_id)
    return ids


def as_pairs(matches):
    return [(match.keyword, match.article_ids) for match in matches]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Is a Threat Assessment due?", ["srm", "handbook"]),
        ("encryption, then access control", ["handbook", "infosec"]),
        ("VULNERABILITY and threat assessment", ["srm", "handbook", "infosec"]),
        ("reencryptions", ["infosec"]),
        ("access  control", []),
        ("", []),
    ],
)
def test_article_ids_follow_the_curated_order_without_repeats(text, expected):
    assert KeywordIndex(CURATED).find_article_ids(text) == expected


def test_matches_name_the_keyword_as_curated_with_all_its_articles():
    index = KeywordIndex([("Encryption", ["infosec", "infosec"]), ("GUARD", ["handbook"])])

    matches = index.find_matches("guards need encryption; encryption needs no guards")

    assert matches == [
        KeywordMatch("Encryption", ("infosec", "infosec")),
        KeywordMatch("GUARD", ("handbook",)),
    ]
    with pytest.raises(dataclasses.FrozenInstanceError):
        matches[0].keyword = "other"


def test_no_keywords_match_nothing():
    assert KeywordIndex([]).find_matches("anything") == []


def test_a_keyword_without_articles_is_a_match_that_brings_none():
    index = KeywordIndex([("convoy", [])])

    assert index.find_matches("a convoy") == [KeywordMatch("convoy", ())]
    assert index.find_article_ids("a convoy") == []


@pytest.mark.parametrize("text", ["", "x", "\ud800"])
@pytest.mark.parametrize("whole_words", [(), [""]])
def test_the_empty_keyword_is_in_every_text(text, whole_words):
    index = KeywordIndex([("never", ["a"]), ("", ["b"])], whole_words)

    assert index.find_article_ids(text) == ["b"]


def test_spellings_that_differ_in_case_all_keep_their_place():
    index = KeywordIndex([("Guard", ["a"]), ("gate", ["b"]), ("GUARD", ["c"]), ("guard", ["a"])])

    assert [match.keyword for match in index.find_matches("gate guard")] == [
        "Guard",
        "gate",
        "GUARD",
        "guard",
    ]
    assert index.find_article_ids("gate guard") == ["a", "b", "c"]


def test_nested_and_overlapping_keywords_are_all_found():
    pairs = [(word, [word]) for word in ("control", "access control", "ss con", "control room")]

    found = KeywordIndex(pairs).find_article_ids("The access control room")

    assert found == ["control", "access control", "ss con", "control room"]


def test_lone_surrogates_neither_raise_nor_hide_the_rest():
    pairs = [("guard", ["a"]), ("\udc00x", ["b"]), ("\ufffd", ["c"]), ("?", ["d"])]

    found = KeywordIndex(pairs, {"guard"}).find_article_ids("\ud800guard\udc00x")

    assert found == ["a", "b"]


@pytest.mark.parametrize("text", ["İİİ guard", "guard İ", "İguard", "guard😀", "😀guard"])
def test_positions_count_in_the_lowered_text(text):
    index = KeywordIndex([("guard", ["a"])], ["guard"])

    assert index.find_article_ids(text) == ["a"]


def test_keywords_are_lowered_like_the_text():
    assert KeywordIndex([("İSTANBUL", ["a"])]).find_article_ids("in İstanbul") == ["a"]
    assert KeywordIndex([("STRASSE", ["a"])]).find_article_ids("Straße") == []


@pytest.mark.parametrize("text", ["riot", "A RIOT!", "(riot)", "anti-riot gear", "patriot, riot"])
def test_a_whole_word_counts_where_nothing_touches_it(text):
    assert KeywordIndex([("riot", ["a"])], {"riot"}).find_article_ids(text) == ["a"]


@pytest.mark.parametrize(
    "text", ["patriot", "rioting", "riot_x", "_riot", "riot9", "ériot", "riotж", "𝒙riot", "riot中"]
)
def test_a_whole_word_does_not_count_inside_another(text):
    index = KeywordIndex([("riot", ["a"])], {"riot"})

    assert index.find_article_ids(text) == []
    assert KeywordIndex([("riot", ["a"])]).find_article_ids(text) == ["a"]


def test_whole_word_is_an_option_of_one_spelling():
    index = KeywordIndex([("IED", ["a"]), ("ied", ["b"])], ["IED"])

    assert index.find_article_ids("an ied") == ["a", "b"]
    assert index.find_article_ids("tried") == ["b"]


def test_many_keywords_against_the_longest_query():
    """The plain loop takes hundreds of times as long; the limit only catches a wrong order."""
    pairs = [(f"keyword {number:05}", [f"article-{number}"]) for number in range(50_000)]
    text = ("keyword 49999 " * 1000)[:12_000]

    assert KeywordIndex(pairs).find_article_ids(text) == ["article-49999"]


# Few letters, so that keywords nest, overlap and repeat; among them what lowering lengthens or
# decides by its neighbours (İ, Σ), word characters of several byte lengths, and half characters.
letters = st.sampled_from("aAbB_ 9éİΣς中-😀𝒙\ud800\udc00")
words = st.text(letters, max_size=4)
curated = st.lists(
    st.tuples(words, st.lists(st.sampled_from(["one", "two", "three"]), max_size=3)), max_size=12
)
texts = st.text(letters, max_size=40) | st.text(max_size=40)


@settings(max_examples=300)
@given(curated, texts)
def test_same_result_as_looking_up_each_keyword(pairs, text):
    index = KeywordIndex(pairs)

    expected = loop(pairs, text)

    assert as_pairs(index.find_matches(text)) == expected
    assert index.find_article_ids(text) == distinct_ids(expected)


@settings(max_examples=300)
@given(curated, texts)
@example([("aa", ["one"])], "aaa-aa")
@example([("a b", ["one"]), ("b a", ["two"])], "a b ab a")
def test_same_result_as_searching_each_whole_word(pairs, text):
    pairs = [(word, ids) for word, ids in pairs if word]
    index = KeywordIndex(pairs, {word for word, _ in pairs})

    assert as_pairs(index.find_matches(text)) == whole_word_loop(pairs, text)


@settings(max_examples=300)
@given(curated, texts, st.sets(words))
def test_whole_words_only_ever_take_matches_away(pairs, text, whole_words):
    matches = as_pairs(KeywordIndex(pairs, whole_words).find_matches(text))

    expected = [
        pair
        for pair in loop(pairs, text)
        if pair[0] not in whole_words or not pair[0] or whole_word_loop([pair], text)
    ]
    assert matches == expected


def places(index, text):
    return {
        hit.match.keyword: [(span.start, span.end) for span in hit.spans]
        for hit in index.explain(text)
    }


def test_a_hit_says_where_it_stands_and_whether_as_a_word():
    index = KeywordIndex([("IED", ["a"]), ("riot", ["b"])], {"riot"})

    assert index.explain("Tried an IED at a patriot's riot") == [
        ExplainedMatch(
            KeywordMatch("IED", ("a",)),
            wants_whole_word=False,
            count=2,
            spans=(Span(2, 5, is_whole_word=False), Span(9, 12, is_whole_word=True)),
        ),
        ExplainedMatch(
            KeywordMatch("riot", ("b",)),
            wants_whole_word=True,
            count=1,
            spans=(Span(28, 32, is_whole_word=True),),
        ),
    ]


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("İİİ guard", "guard"),  # each of them lowers to two characters
        ("😀é𝒙 guard", "guard"),
        ("\ud800 guard", "guard"),
        ("ΟΔΟΣ guard ΟΔΟΣΑ", "guard"),  # the sigma lowers by its neighbours
        ("in İstanbul", "İstanbul"),
        ("ΟΔΟΣ", "οδος"),
    ],
)
def test_places_count_in_the_text_as_it_was_given(text, keyword):
    [[(start, end)]] = places(KeywordIndex([(keyword, [])]), text).values()

    assert text[start:end].lower() == keyword.lower()


def test_a_part_of_a_lowered_character_is_the_whole_character():
    """İ lowers to an i and a combining dot."""
    index = KeywordIndex([("xi", []), ("\u0307y", [])])

    assert places(index, "XİY") == {"xi": [(0, 2)], "\u0307y": [(1, 3)]}


def test_the_empty_keyword_stands_nowhere():
    [hit] = KeywordIndex([("", ["a"])]).explain("text")

    assert (hit.match.keyword, hit.count, hit.spans) == ("", 1, ())


def test_all_places_are_counted_and_the_first_are_shown():
    [hit] = KeywordIndex([("a", [])]).explain("a" * 12_000)

    assert hit.count == 12_000
    assert len(hit.spans) == KeywordIndex.MAX_SPANS
    assert hit.spans[-1].end == KeywordIndex.MAX_SPANS


def stand_alone(text, start, end):
    return not re.search(r"\w\Z", text[:start]) and not re.match(r"\w", text[end:])


@settings(max_examples=2000, deadline=None)
@given(curated, texts.map(lambda text: text.replace("İ", "i")), st.sets(words))
def test_hits_are_the_matches_at_every_place_in_the_text(pairs, text, whole_words):
    """Without İ, lowering keeps all places, and slices of the lowered text can be compared."""
    index = KeywordIndex(pairs, whole_words)
    hits = index.explain(text)

    assert [hit.match for hit in hits] == index.find_matches(text)
    lowered = text.lower()
    for hit in hits:
        word = hit.match.keyword.lower()
        expected = [
            Span(start, start + len(word), stand_alone(lowered, start, start + len(word)))
            for start in range(len(lowered))
            if word and lowered.startswith(word, start)
        ]
        if hit.wants_whole_word:
            expected = [span for span in expected if span.is_whole_word]
        assert list(hit.spans) == expected
        assert hit.count == max(1, len(expected))


NODE = shutil.which("node")
JAVASCRIPT = """
const cases = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const answers = cases.map(([pairs, text]) => [...new Set(
  pairs.filter(([word]) => text.toLowerCase().includes(word.toLowerCase())).flatMap(p => p[1])
)]);
process.stdout.write(JSON.stringify(answers));
"""


@pytest.mark.skipif(not NODE, reason="node is not installed: nothing to compare with")
def test_same_result_as_javascript():
    """A lone surrogate that meets its half is one character there, so only whole ones here."""
    whole_letters = st.text(st.sampled_from("aAbB_ 9éİIıΣςσßẞǅ中😀𐐀"), max_size=4)
    article_ids = st.lists(st.sampled_from(["one", "two", "three"]), max_size=3)
    cases = []

    @settings(max_examples=200, database=None)
    @given(
        st.lists(st.tuples(whole_letters, article_ids), max_size=8),
        st.lists(whole_letters, max_size=10).map("".join),
    )
    def collect(pairs, text):
        cases.append((pairs, text))

    collect()
    cases.append((CURATED, "Threat assessment of ENCRYPTION and access control"))
    answer = subprocess.run(
        [NODE, "-e", JAVASCRIPT],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(answer.stdout) == [
        KeywordIndex(pairs).find_article_ids(text) for pairs, text in cases
    ]
