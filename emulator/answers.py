"""The demo answer: picked from the articles in the prompt by term overlap, and honest about it.

Like a real model's, it has section headers and a risk disclaimer that it was told to leave out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from emulator.articles import Article, split_prompt

CITATION_MARK = re.compile(r"【\d+:\d+†[^】]+】")
SENTENCE_END = re.compile(r"(?<=[.!?])(?=\s)")
WORD = re.compile(r"[^\W\d_][\w-]{2,}")
STOPWORDS = frozenset(
    WORD.findall(
        """about after also and any are because been before but can could did does each for from
        had has have her his how into its may more most not now off once only other our out over
        own per should some such than that the their them then there these they this those through
        under until very was were what when where which while who why will with would you your"""
    )
)
SENTENCES_PER_ARTICLE = 3
POINTS_PER_ARTICLE = 3
FINDING_LENGTH = 600

SUMMARY_HEADER = "## Executive Summary"
WATCH_HEADER = "2. What to Watch:"
DISCLAIMER = (
    "> **Note on Risk:** This is general information. Check it against the situation on the "
    "ground and your organisation's own rules before acting on it."
)
FROM_ARTICLES = (
    "*Written by Sitrep's offline demo assistant from the knowledge articles named above, "
    "not by a language model.*"
)
FROM_NOTHING = (
    "*Written by Sitrep's offline demo assistant, without any knowledge article on the question "
    "and not by a language model.*"
)
FRAMING = """\
No knowledge article came with this question, so there is none to quote. \
It can be sharpened until an article, or a colleague, can answer it.

### Five things to settle first

- **Asset:** name what is to be protected: people, a site, a convoy, data, a reputation.
- **Threat:** say who or what could cause harm, and whether intent and capability are known.
- **Exposure:** describe where, when and how the asset and the threat can meet.
- **Consequence:** state what would be lost, and what loss could not be accepted.
- **Decision:** say which choice the answer is meant to support, and by when."""
CHANGE_LEAD = "**What would change this picture:**"
CHANGE_WORDS = re.compile(
    r"\b(chang|review|updat|monitor|indicat|warning|escalat|re-?assess|trend)", re.IGNORECASE
)
CHANGE_SIGNS = (
    "an incident or a near miss of a kind that was rated unlikely, other actors, routes or "
    "timing, or a safeguard that staff have begun to work around."
)


def compose_answer(prompt: str, findings: Sequence[tuple[str, str]] = ()) -> str:
    """A Markdown answer to the prompt; `findings` are tool outputs, with the tool's name."""
    query, articles = split_prompt(prompt)
    articles = [article for article in articles if article.sentences or article.points]
    body = _from_articles(query, articles) if articles else [FRAMING, *_watch(CHANGE_SIGNS)]
    source = FROM_ARTICLES if articles else FROM_NOTHING
    blocks = [SUMMARY_HEADER, *body, *_finding_blocks(findings), source, DISCLAIMER]
    return "\n\n".join(blocks)


def cite_first_sentence(answer: str) -> str:
    """The answer with a citation mark after its first sentence, headings aside."""
    start = len(SUMMARY_HEADER) if answer.startswith(SUMMARY_HEADER) else 0
    end = SENTENCE_END.search(answer, start)
    position = end.start() if end else len(answer)
    return f"{answer[:position]}【4:0†source】{answer[position:]}"


def _from_articles(query: str, articles: list[Article]) -> list[str]:
    ranking = Ranking(query, articles)
    lead, origin = ranking.lead()
    sections = [_section(article, ranking, lead) for article in articles]
    said = "\n\n".join([lead, *sections])
    return [
        f"{lead} *({origin.title})*",
        _scope(articles),
        *filter(None, sections),
        *_watch(_changes(articles, said) or CHANGE_SIGNS),
    ]


def _section(article: Article, ranking: Ranking, lead: str) -> str:
    """What the article adds to the lead, under its title; empty if nothing."""
    sentences = ranking.best(article.sentences, SENTENCES_PER_ARTICLE, leave_out=lead)
    points = ranking.best(article.points, POINTS_PER_ARTICLE, leave_out=lead)
    blocks = [" ".join(sentences), "\n".join(f"- {point}" for point in points)]
    text = "\n\n".join(filter(None, blocks))
    return f"### {article.title}\n\n{text}" if text else ""


def _changes(articles: list[Article], said: str) -> str:
    """A sentence about change or review that was not said yet, with its article."""
    for article in articles:
        for sentence in article.sentences:
            if CHANGE_WORDS.search(sentence) and sentence not in said:
                return f"{sentence} *({article.title})*"
    return ""


def _watch(changes: str) -> list[str]:
    return [WATCH_HEADER, f"{CHANGE_LEAD} {changes}"]


def _scope(articles: list[Article]) -> str:
    named = [
        f"**{article.title}** ({article.category})" if article.category else f"**{article.title}**"
        for article in articles
    ]
    if len(named) == 1:
        return f"One knowledge article bears on the question: {named[0]}."
    number = {2: "Two", 3: "Three"}.get(len(named), str(len(named)))
    listed = f"{', '.join(named[:-1])} and {named[-1]}"
    return f"{number} knowledge articles bear on the question: {listed}."


def _finding_blocks(findings: Sequence[tuple[str, str]]) -> list[str]:
    return [
        f"### Looked up with {name}\n\n> {_shortened(' '.join(output.split()), FINDING_LENGTH)}"
        for name, output in findings
    ]


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length].rsplit(' ', 1)[0]} …"


class Ranking:
    """How closely sentences answer a question: its terms in them, the rare ones counting more."""

    def __init__(self, query: str, articles: list[Article]) -> None:
        self._articles = articles
        self._terms = _terms(query)
        texts = [text for article in articles for text in article.sentences + article.points]
        self._spread = Counter(term for text in texts for term in _terms(text))

    def lead(self) -> tuple[str, Article]:
        """The sentence (or, without prose, the point) closest to the question, and its article."""
        candidates = [
            (text, article)
            for article in self._articles
            for text in article.sentences or article.points
        ]
        return max(candidates, key=lambda candidate: self._score(candidate[0]))

    def best(self, texts: Iterable[str], count: int, leave_out: str) -> list[str]:
        """The `count` closest texts, in their own order; the first ones where nothing overlaps."""
        kept = [text for text in dict.fromkeys(texts) if text != leave_out]
        chosen = sorted(kept, key=self._score, reverse=True)[:count]
        return [text for text in kept if text in chosen]

    def _score(self, text: str) -> float:
        return sum(1 / self._spread[term] for term in self._terms & _terms(text))


def _terms(text: str) -> set[str]:
    return {_stem(word) for word in WORD.findall(text.lower()) if word not in STOPWORDS}


def _stem(word: str) -> str:
    """Enough for `assessments` to meet `assessment`, and `controlled` `control`."""
    for ending in ("ing", "ies", "led", "ed", "es", "s"):
        if word.endswith(ending) and not word.endswith("ss") and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word
