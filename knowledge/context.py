"""The knowledge block that follows a question in the prompt. Pure: no Django here."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Protocol

QUERY_LIMIT = 12_000  # characters of a question that are kept; what follows is cut off
ARTICLE_LIMIT = 4000  # UTF-16 code units of an article's text: what `length` counts in JavaScript
TRUNCATION_MARK = "[...truncated]"

HEADING = "KNOWLEDGE BASE CONTEXT:"
RULE = "---"
INSTRUCTION = (
    "Use the above knowledge base content to inform your response. "
    "Cite specific concepts when relevant."
)

INVISIBLE = re.compile("[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
MARKER_OPENINGS = tuple(
    opening.casefold() for opening in (HEADING, "[User Level:", INSTRUCTION, TRUNCATION_MARK)
)


class ArticleText(Protocol):
    """What the block says of an article."""

    @property
    def title(self) -> str: ...
    @property
    def category(self) -> str: ...
    @property
    def tags(self) -> Sequence[str]: ...
    @property
    def text(self) -> str: ...


def build_kb_context(articles: Iterable[ArticleText], user_level: str) -> str:
    """The block for `articles`, in their order; empty when there are none.

    The model tells articles, level and instruction apart by the block's own lines only, so an
    article must not be able to write one: imported text could otherwise end the block, raise the
    reader's level or pose as another article. A line that imitates a marker gets a backslash in
    front, which Markdown renders as the same text; titles, categories and tags cannot break
    their line. Everything else, Markdown headings and lists included, stays as it is written.

    Lines are escaped after the cut. The cut is measured on the text as curated, and a line that
    only the cut turns into a marker is escaped too.
    """
    blocks = [_article_block(article) for article in articles]
    if not blocks:
        return ""
    opening = f"\n\n{RULE}\n{HEADING}\n[User Level: {user_level}]\n\n"
    return opening + "".join(blocks) + f"\n{INSTRUCTION}\n"


def cut_text(text: str) -> tuple[str, bool]:
    """The part of an article's text that is sent, and whether something was left out.

    Cut at `ARTICLE_LIMIT` UTF-16 code units. Where that falls inside a surrogate pair, the half
    character is left out, since half a character is not valid text.
    """
    # The limit plus one character is enough to tell: a character has at least one unit.
    units = text[: ARTICLE_LIMIT + 1].encode("utf-16-le", "surrogatepass")
    if len(units) <= 2 * ARTICLE_LIMIT:
        return text, False
    kept = units[: 2 * ARTICLE_LIMIT].decode("utf-16-le", "surrogatepass")
    return (kept[:-1] if "\ud800" <= kept[-1] <= "\udbff" else kept), True


def text_length(text: str) -> int:
    """The length that `ARTICLE_LIMIT` limits: in UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def escape_markers(text: str) -> str:
    """`text` with a backslash before each line that imitates one of the block's markers."""
    return "".join(_escape_line(line) for line in text.splitlines(keepends=True))


@lru_cache(maxsize=512)
def text_as_sent(text: str) -> tuple[str, bool]:
    """An article's text as it stands in the block, and whether something was left out."""
    kept, was_cut = cut_text(text)
    kept = escape_markers(kept)
    return (f"{kept}\n\n{TRUNCATION_MARK}" if was_cut else kept), was_cut


def _article_block(article: ArticleText) -> str:
    text, _ = text_as_sent(article.text)
    title, category = _on_one_line(article.title), _on_one_line(article.category)
    tags = ", ".join(_on_one_line(tag) for tag in article.tags)
    return f"### {title} ({category})\nTags: {tags}\n\n{text}\n\n{RULE}\n"


def _on_one_line(text: str) -> str:
    return " ".join(text.splitlines())


def _escape_line(line: str) -> str:
    if not _is_marker(line):
        return line
    marker = line.lstrip()
    return f"{line[: len(line) - len(marker)]}\\{marker}"


def _is_marker(line: str) -> bool:
    """Whether a reader would take `line` for the block's own, whatever its case and spacing.

    `### Title (Category)` is the form of an article's header. A `Tags:` line is no marker:
    without that header above it, it opens nothing.
    """
    seen = " ".join(INVISIBLE.sub("", line).split()).casefold()
    is_header = seen.startswith("### ") and seen.endswith(")") and " (" in seen
    return seen == RULE or is_header or seen.startswith(MARKER_OPENINGS)
