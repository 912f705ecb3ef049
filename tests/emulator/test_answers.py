"""The demo answer: what it takes from the articles, and what is left once headers are stripped."""

from __future__ import annotations

import re

import pytest

from emulator.answers import cite_first_sentence, compose_answer
from emulator.articles import split_prompt

PROMPT = """\
How should we do a threat assessment and access control for our field office?


---
KNOWLEDGE BASE CONTEXT:
[User Level: standard]

### Introduction to Security Risk Management (methodology)
Tags: srm, risk

# Introduction

Security risk management (SRM) is a structured way to decide which risks to accept, reduce or
avoid. A threat assessment identifies who or what could harm staff, assets or programmes, and
judges each threat's intent and capability. Vulnerability is the degree to which the organisation
is exposed.

## Steps

Follow these steps:

1. Describe the context and the programme's criticality
2. List threats and rate likelihood and impact;
3. Choose measures, then rate the residual risk

Risk is reviewed whenever the context changes. Managers sign off residual risk in writing.

---

A closing rule sits above this sentence.

---
### Field Security Handbook (operations)
Tags: access, perimeter

Access control decides who may enter a compound, when, and on whose authority. Every visitor is
logged, badged and escorted. Keys are counted daily.

- Keep one staffed entrance and close the others.
- Check identity against an approved list before opening.
- Rotate guards and review logs weekly

| a | b |
|---|---|

A good perimeter delays

[...truncated]

---

Use the above knowledge base content to inform your response. Cite specific concepts when relevant.
"""

HEADER = re.compile(
    r"^(?:\s*(?:#{1,6}\s*)?(?:\d+\.\s*)?)?(Executive Summary|Situational Synthesis|What It Means"
    r"|What to Watch|Follow-?up Questions|Red Team(?:\s*[–-]?\s*Consideration)?|Interpretive Note)"
    r"\s*[:\-—]?\s*$",
    re.MULTILINE | re.IGNORECASE,
)
DISCLAIMER = re.compile(
    r"(?:^|\n)\s*(?:>\s*)?(?:\*\*|__)?\s*(?:Note on Risk|Risk disclaimer)[:\-]?"
    r"[\s\S]*?(?=\n{2,}|\Z)",
    re.IGNORECASE,
)


def stripped(answer):
    """What is left when section headers and disclaimers are taken out."""
    text = DISCLAIMER.sub("", HEADER.sub("", answer))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def test_the_prompt_is_taken_apart():
    query, articles = split_prompt(PROMPT)
    assert query == "How should we do a threat assessment and access control for our field office?"
    assert [(article.title, article.category) for article in articles] == [
        ("Introduction to Security Risk Management", "methodology"),
        ("Field Security Handbook", "operations"),
    ]
    assert articles[0].points[1] == "List threats and rate likelihood and impact."
    assert articles[0].sentences[-1] == "A closing rule sits above this sentence."
    assert articles[1].sentences == [
        "Access control decides who may enter a compound, when, and on whose authority.",
        "Every visitor is logged, badged and escorted.",
        "Keys are counted daily.",
    ]


def test_the_answer_leads_with_the_closest_sentence_and_names_its_sources():
    answer = compose_answer(PROMPT)
    lead = answer.split("\n\n")[1]
    assert lead == (
        "Access control decides who may enter a compound, when, and on whose authority. "
        "*(Field Security Handbook)*"
    )
    assert "A threat assessment identifies who or what" in answer
    assert "### Introduction to Security Risk Management" in answer
    assert "- Check identity against an approved list before opening." in answer
    assert "Risk is reviewed whenever the context changes." in answer
    assert "| a | b |" not in answer
    assert "truncated" not in answer


def test_it_never_says_the_same_twice():
    sentences = re.split(r"(?<=[.!?])\s", compose_answer(PROMPT))
    assert len(sentences) == len(set(sentences))


@pytest.mark.parametrize("prompt", [PROMPT, "Is it safe?", "", "?" * 12_000])
def test_it_has_what_is_stripped_and_is_tidy_without_it(prompt):
    answer = compose_answer(prompt)
    for unwanted in ("## Executive Summary\n", "\n2. What to Watch:\n", "\n> **Note on Risk:**"):
        assert unwanted in answer
    text = stripped(answer)
    assert len(text) >= 40
    for unwanted in ("Executive Summary", "What to Watch", "Note on Risk"):
        assert unwanted not in text
    assert not re.search(r"\n{3,}|^#+\s*$|^\d+\.\s*$|^>?\s*\*\*\s*$", text, re.MULTILINE)
    assert text.count("**") % 2 == 0
    for line, following in zip(text.splitlines(), text.splitlines()[1:], strict=False):
        assert not (line.startswith("#") and following)


@pytest.mark.parametrize("prompt", [PROMPT, "Is it safe?"])
def test_it_says_who_wrote_it(prompt):
    last = stripped(compose_answer(prompt)).split("\n\n")[-1]
    assert "Sitrep's offline demo assistant" in last
    assert "not by a language model" in last


def test_it_is_deterministic():
    assert compose_answer(PROMPT) == compose_answer(PROMPT)


def test_articles_that_share_no_term_are_quoted_from_their_beginning():
    answer = compose_answer(PROMPT.replace(split_prompt(PROMPT)[0], "Xyzzy?"))
    assert answer.split("\n\n")[1].startswith("Security risk management (SRM) is a structured way")


def test_a_context_without_articles_is_no_context():
    assert compose_answer("A?\n\n\n---\nKNOWLEDGE BASE CONTEXT:\nnothing") == compose_answer("A?")


def test_tool_outputs_are_quoted():
    answer = compose_answer(PROMPT, [("search_knowledge", "Fences\n\ndelay. " * 100)])
    assert "### Looked up with search_knowledge\n\n> Fences delay. Fences" in answer
    assert len(answer) < 4000


def test_a_citation_goes_behind_the_first_sentence():
    cited = cite_first_sentence(compose_answer(PROMPT))
    assert "on whose authority.【4:0†source】 *(Field Security Handbook)*" in cited
    assert cited.replace("【4:0†source】", "") == compose_answer(PROMPT)
