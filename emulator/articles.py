"""Taking a prompt apart: the question, and the knowledge articles quoted after it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

CONTEXT_MARK = "\n\n---\nKNOWLEDGE BASE CONTEXT:\n"
ARTICLE_HEAD = re.compile(r"^### (?P<title>.+) \((?P<category>.*)\)\nTags:.*\n\n", re.MULTILINE)
ARTICLE_END = "\n\n---\n"

LIST_ITEM = re.compile(r"\s*(?:[-*+•]|\d+[.)])\s+(?P<text>.*)")
SKIPPED_LINE = re.compile(r"\s*(?:#|\||```|~~~|---|\*\*\*|\[\.\.\.truncated\])")
"""Headings, tables, fences, rules and the truncation mark."""
SENTENCE_BREAK = re.compile(r"(?<=[.!?])\s+(?=[A-Z“\"(*])")
MIN_WORDS = 4


@dataclass
class Article:
    title: str
    category: str
    sentences: list[str] = field(default_factory=list)
    """Of its prose, in its order."""
    points: list[str] = field(default_factory=list)
    """Of its lists, in their order."""


def split_prompt(prompt: str) -> tuple[str, list[Article]]:
    """The analyst's question and the articles of the context block, if there is one."""
    query, _, context = prompt.partition(CONTEXT_MARK)
    heads = list(ARTICLE_HEAD.finditer(context))
    ends = [*(head.start() for head in heads[1:]), len(context)]
    articles = [_article(head, context[head.end() : ends[n]]) for n, head in enumerate(heads)]
    return query.strip(), articles


def _article(head: re.Match[str], rest: str) -> Article:
    article = Article(head["title"].strip(), head["category"].strip())
    body, mark, tail = rest.rpartition(ARTICLE_END)
    body = body if mark else tail
    for block in re.split(r"\n\s*\n", body):
        _read_block(article, block.splitlines())
    return article


def _read_block(article: Article, lines: list[str]) -> None:
    """Sorts a block's lines into prose and list items, an item taking the lines that follow it."""
    prose: list[str] = []
    items: list[list[str]] = []
    for line in lines:
        item = LIST_ITEM.match(line)
        if item:
            items.append([item["text"]])
        elif not SKIPPED_LINE.match(line):
            (items[-1] if items else prose).append(line.strip().lstrip("> "))
    sentences = SENTENCE_BREAK.split(" ".join(prose))
    article.sentences += [text for text in sentences if _is_whole(text)]
    points = [" ".join(item).strip() for item in items]
    article.points += [_closed(text) for text in points if len(text.split()) >= MIN_WORDS]


def _is_whole(sentence: str) -> bool:
    """Not the stump of a truncated article, nor the lead-in of a list."""
    return len(sentence.split()) >= MIN_WORDS and sentence.endswith((".", "!", "?", '."', ".”"))


def _closed(point: str) -> str:
    return point if point.endswith((".", "!", "?")) else f"{point.rstrip(';,:')}."
