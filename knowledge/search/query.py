"""What a person or a model typed, as words, phrases and exclusions. Pure: no Django here."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

MAX_LENGTH = 500
MAX_WORDS = 32

# PostgreSQL's list for English.
ENGLISH_STOP_WORDS = """
i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she
her hers herself it its itself they them their theirs themselves what which who whom this that
these those am is are was were be been being have has had having do does did doing a an the and
but if or because as until while of at by for with about against between into through during
before after above below to from up down in out on off over under again further then once here
there when where why how all any both each few more most other some such no nor not only own
same so than too very s t can will just don should now
"""
STOP_WORDS = frozenset(ENGLISH_STOP_WORDS.split())

QUOTES = str.maketrans("“”„«»", '"""""')
# Inside a word they make a phrase of its parts: e-mail, don't, 3.5.
JOINTS = "-'’."
PART = rf"[^\s\"{re.escape(JOINTS)}]+"
WORD = rf"{PART}(?:[{re.escape(JOINTS)}]{PART})*"
TERM = re.compile(rf'(?P<minus>(?<!\S)-)?(?:"(?P<phrase>[^"]*)"?|(?P<word>{WORD}))')


class InvalidQuery(ValueError):
    """Its message tells people what to do."""


@dataclass(frozen=True)
class Term:
    """A word, or words that must follow each other."""

    words: tuple[str, ...]
    is_excluded: bool = False

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def is_stop_word(self) -> bool:
        return len(self.words) == 1 and self.text.lower() in STOP_WORDS

    def __str__(self) -> str:
        text = f'"{self.text}"' if len(self.words) > 1 else self.text
        return f"-{text}" if self.is_excluded else text


@dataclass(frozen=True)
class Query:
    """Alternatives, each a group of terms that must all hold; every group has one to look for."""

    groups: tuple[tuple[Term, ...], ...]

    @classmethod
    def of_word(cls, word: str) -> "Query":
        return cls(((Term((word,)),),))

    def __bool__(self) -> bool:
        return bool(self.groups)

    def __str__(self) -> str:
        return " or ".join(" ".join(map(str, group)) for group in self.groups)

    def single_words(self) -> list[str]:
        """The words to look for, each once; without phrases."""
        terms = (term for group in self.groups for term in group)
        words = (t.text for t in terms if len(t.words) == 1 and not t.is_excluded)
        return list(dict.fromkeys(words))

    def with_words(self, replacement: Callable[[str], str]) -> "Query":
        def change(term: Term) -> Term:
            if len(term.words) > 1 or term.is_excluded:
                return term
            return replace(term, words=(replacement(term.text),))

        return Query(tuple(tuple(map(change, group)) for group in self.groups))


def parse_query(text: str) -> Query:
    """Words must all be there; "phrases" as they stand; -without; this or that.

    Any text is a query: what is no word separates words. Stop words are left out where there is
    anything else to look for, but not from phrases. InvalidQuery where there is too much of it.
    """
    if len(text) > MAX_LENGTH:
        raise InvalidQuery(f"Search for at most {MAX_LENGTH} characters.")
    groups: list[list[Term]] = [[]]
    for term in _terms(text):
        if term is None:
            groups.append([])
        else:
            groups[-1].append(term)
    if sum(len(term.words) for group in groups for term in group) > MAX_WORDS:
        raise InvalidQuery(f"Search for at most {MAX_WORDS} words.")
    worth_it = map(_without_stop_words, groups)
    return Query(tuple(group for group in worth_it if _looks_for_something(group)))


def split_words(text: str) -> list[str]:
    """The words of a text, in lower case, each once and in order."""
    return list(dict.fromkeys(word.lower() for word in _blank_out(text).split()))


def _terms(text: str) -> Iterator[Term | None]:
    """None stands for "or"."""
    for match in TERM.finditer(_blank_out(text, keep=JOINTS + '"')):
        if (match["word"] or "").lower() == "or" and not match["minus"]:
            yield None
        elif words := _blank_out(match["phrase"] or match["word"] or "").split():
            yield Term(tuple(words), is_excluded=bool(match["minus"]))


def _blank_out(text: str, keep: str = "") -> str:
    """Letters, digits and their marks stay; all else becomes a blank."""
    composed = unicodedata.normalize("NFC", text.translate(QUOTES))
    kept = "".join(c if c in keep or unicodedata.category(c)[0] in "LNM" else " " for c in composed)
    # Marks without anything to stand on are no word.
    return " ".join(piece for piece in kept.split(" ") if not _is_only_marks(piece))


def _is_only_marks(piece: str) -> bool:
    return bool(piece) and all(unicodedata.category(c)[0] == "M" for c in piece)


def _without_stop_words(group: list[Term]) -> tuple[Term, ...]:
    kept = tuple(term for term in group if not term.is_stop_word or term.is_excluded)
    return kept if _looks_for_something(kept) else tuple(group)


def _looks_for_something(group: tuple[Term, ...]) -> bool:
    return any(not term.is_excluded for term in group)
