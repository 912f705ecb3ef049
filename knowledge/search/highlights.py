"""Where a text matches, as pieces that a template or the API can escape one by one."""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

# Markdown at the beginning of a line, emphasis and the lines of tables: noise in a line of text.
MARKUP = re.compile(
    r"^[ \t:|-]+$|^[ \t]*(?:\||(?:#{1,6}|[-*+>]|\d+\.)[ \t]+)|\|[ \t]*$|\*\*|__", re.MULTILINE
)


@dataclass(frozen=True)
class Fragment:
    """A piece of a text; `is_hit` where it matches what was searched for."""

    text: str
    is_hit: bool


def flatten(text: str) -> str:
    """On one line, without Markdown's marks."""
    return " ".join(MARKUP.sub("", text).split())


def _secret() -> str:
    return secrets.token_hex(8)


@dataclass(frozen=True)
class Marks:
    """What a database puts around the hits: made for one search, so that no article can hold it."""

    start: str = field(default_factory=_secret)
    stop: str = field(default_factory=_secret)

    def split(self, marked: str) -> tuple[Fragment, ...]:
        return tuple(self._pieces(flatten(marked)))

    def _pieces(self, text: str) -> Iterator[Fragment]:
        before, *parts = text.split(self.start)
        yield from _fragment(before, is_hit=False)
        for part in parts:
            hit, _, after = part.partition(self.stop)
            yield from _fragment(hit, is_hit=True)
            yield from _fragment(after, is_hit=False)


def _fragment(text: str, *, is_hit: bool) -> Iterator[Fragment]:
    if text:
        yield Fragment(text, is_hit)
