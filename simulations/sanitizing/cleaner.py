"""Takes out of an answer the headers and disclaimers its model was told to leave out.

The rules were first written as JavaScript's regular expressions, which stand in
tests/simulations/sanitizing/oracle.mjs. With the seeded phrases the answer is the same for every
text: what counts as white space, as a line's end, as the same letter and as length is
JavaScript's. Only `\\r\\n` is read differently: it counts as `\\n` here.

Those expressions are tried at every place where a match could begin, which takes time in the
square, or worse, of the length of a run of blank lines. Here the phrases are found first,
and then only what stands immediately around each one is read: no further back than the phrase
before it, no further on than the phrase after it. That makes every pass linear.
"""

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from knowledge.neutral import drop_unsafe
from simulations.sanitizing.phrases import JS_SPACE, JS_WHITESPACE, Phrase, PhraseKind, pattern_of

NO_ANALYSIS = "No detailed analysis is available at this time. Please refine your query."
SHORTEST_ANALYSIS = 40  # UTF-16 units

# What JavaScript calls a line terminator; Python's `$` differs.
_BREAK = "[\n\r\u2028\u2029]"

_LINE_START = re.compile(rf"\A|(?<={_BREAK})")
_BLANK_LINES = re.compile(r"\n{3,}")

# What may follow a header, to the last line end that can be reached. `*+` never gives back what
# it took, so that a run of white space is read once, not once for each way of dividing it.
_HEADER_TAIL = rf"(?:{JS_SPACE}*+[:\-—])?{JS_SPACE}*(?={_BREAK}|\Z)"
_INSIDE_TAIL = rf"{JS_SPACE}*[:\-—]?{JS_SPACE}*"

# What may stand before a phrase, read backwards from it: "## 2. " and "> **".
_HEADER_LEAD = re.compile(
    rf"{JS_SPACE}*+(?:\.[0-9]++{JS_SPACE}*+)?+(?:\#{{1,6}}+{JS_SPACE}*+)?+",
)
_DISCLAIMER_LEAD = re.compile(rf"{JS_SPACE}*+(?:\*\*|__)?+{JS_SPACE}*+(?:>{JS_SPACE}*+)?+")


class Rule(StrEnum):
    HEADER_LINE = "header_line"
    HEADER_INSIDE_TEXT = "header_inside_text"
    DISCLAIMER = "disclaimer"


@dataclass(frozen=True)
class Removal:
    """What a rule took out; `position` and `end` are its place in the raw answer, in characters.

    What earlier rules took out of the middle of it belongs to that place, but not to `text`.
    """

    rule: Rule
    phrase: str
    text: str
    position: int
    end: int


@dataclass(frozen=True)
class Cleaning:
    """A cleaned answer, and how it came to be.

    `white_space`: characters of blank lines, line ends and ends of the text that went as well.
    `too_short`: what was left but replaced as a whole, for being no analysis.
    """

    answer: str
    removals: Sequence[Removal] = ()
    white_space: int = 0
    too_short: str = ""


@dataclass(frozen=True)
class Pass:
    """One reading of the text; `find` yields the spans that its rule takes out of it."""

    rule: Rule
    phrases: "Alternatives"
    find: Callable[[str], Iterator[tuple[int, int]]]


class Alternatives:
    """Phrases of which a text may hold any, the longest first: "Red Team" is tried where
    "Red Team – Consideration" fails."""

    def __init__(self, phrases: Iterable[Phrase]) -> None:
        texts = sorted((phrase.text for phrase in phrases), key=len, reverse=True)
        self.patterns = {text: re.compile(pattern_of(text)) for text in texts}

    def followed_by(self, tail: str) -> re.Pattern[str]:
        either = "|".join(pattern.pattern for pattern in self.patterns.values())
        return re.compile(f"(?:{either or '(?!)'}){tail}")

    def name_of(self, removed: str) -> str:
        found = (text for text, pattern in self.patterns.items() if pattern.search(removed))
        return next(found, "")


class AnswerCleaner:
    """A list of phrases, made ready to be taken out of any number of answers."""

    def __init__(self, phrases: Iterable[Phrase]) -> None:
        phrases = tuple(phrases)
        headers = [phrase for phrase in phrases if phrase.kind == PhraseKind.HEADER]
        inside = [phrase for phrase in headers if phrase.inside_text]
        disclaimers = [phrase for phrase in phrases if phrase.kind == PhraseKind.DISCLAIMER]
        self._passes = [
            _pass(Rule.HEADER_LINE, headers, rf"(?=(?P<tail>{_HEADER_TAIL}))", _header_lines),
            _pass(Rule.HEADER_INSIDE_TEXT, inside, _INSIDE_TAIL, _spans),
            *[_pass(Rule.DISCLAIMER, [phrase], "", _disclaimer_blocks) for phrase in disclaimers],
        ]

    def answer_of(self, raw: str) -> str:
        """What is kept and shown as the answer; empty for nothing."""
        return presentable(self.clean(raw))

    def clean(self, answer: str) -> str:
        if not answer:
            return ""
        text = answer.replace("\r\n", "\n")
        for each in self._passes:
            text = _without(each.find(text), text)
        text = _tidy(text)
        return text if _is_analysis(text) else NO_ANALYSIS

    def explain(self, answer: str) -> Cleaning:
        """What `clean` does, with what each rule took out of where. Takes a few times as long."""
        if not answer:
            return Cleaning("")
        text, places = answer.replace("\r\n", "\n"), _places(answer)
        removals = []
        for each in self._passes:
            spans = list(each.find(text))
            removals += [
                _removal(each, text[start:stop], places[start:stop])
                for start, stop in spans
                if stop > start
            ]
            text, places = _without(spans, text), _places_without(spans, places)
        left = _tidy(text)
        white_space = len(answer) - len(left) - sum(len(removal.text) for removal in removals)
        if _is_analysis(left):
            return Cleaning(left, removals, white_space)
        return Cleaning(NO_ANALYSIS, removals, white_space, too_short=left)


def presentable(answer: str) -> str:
    """A cleaned answer without what would deceive its reader or act on a terminal.

    Not a part of the rules: they see the answer as it came, and it is kept that way.
    """
    shown = drop_unsafe(answer)
    return shown if shown == answer or _is_analysis(shown) else NO_ANALYSIS


def _pass(
    rule: Rule,
    phrases: Iterable[Phrase],
    tail: str,
    find: Callable[[re.Pattern[str], str], Iterator[tuple[int, int]]],
) -> Pass:
    alternatives = Alternatives(phrases)
    return Pass(rule, alternatives, partial(find, alternatives.followed_by(tail)))


def _removal(by: Pass, removed: str, places: "array[int]") -> Removal:
    return Removal(by.rule, by.phrases.name_of(removed), removed, places[0], places[-1] + 1)


def _places(answer: str) -> "array[int]":
    """Where in the answer each character stands that is left when `\\r\\n` became `\\n`."""
    places = array("L", range(len(answer)))
    ends = [(found.start(), found.start() + 1) for found in re.finditer("\r\n", answer)]
    return _places_without(ends, places)


def _places_without(spans: Iterable[tuple[int, int]], places: "array[int]") -> "array[int]":
    kept, end = array("L"), 0
    for start, stop in spans:
        kept += places[end:start]
        end = stop
    return kept + places[end:]


def _spans(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    for found in pattern.finditer(text):
        yield found.span()


def _header_lines(header: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    """From the first line the header can be said to begin on, blank ones before it included."""
    reached = 0
    for phrase in header.finditer(text):
        lead = _start_of_lead(_HEADER_LEAD, text, reached, phrase.start())
        line = _LINE_START.search(text, lead, phrase.start())
        reached = phrase.end("tail") if line else phrase.end()
        if line:
            yield line.start(), reached


def _disclaimer_blocks(disclaimer: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    """From the line break before the disclaimer up to the next blank line."""
    reached = 0
    while phrase := disclaimer.search(text, reached):
        lead = _start_of_lead(_DISCLAIMER_LEAD, text, reached, phrase.start())
        start = text.find("\n", lead, phrase.start()) if lead else 0
        reached = phrase.end()
        if start >= 0:
            blank_line = text.find("\n\n", reached)
            reached = blank_line if blank_line >= 0 else len(text)
            yield start, reached


def _start_of_lead(lead: re.Pattern[str], text: str, reached: int, phrase_start: int) -> int:
    backwards = text[reached:phrase_start][::-1]
    return phrase_start - lead.match(backwards).end()


def _without(spans: Iterable[tuple[int, int]], text: str) -> str:
    kept, end = [], 0
    for start, stop in spans:
        kept.append(text[end:start])
        end = stop
    return "".join([*kept, text[end:]])


def _tidy(text: str) -> str:
    return _BLANK_LINES.sub("\n\n", text).strip(JS_WHITESPACE)


def _is_analysis(text: str) -> bool:
    return _utf16_length(text) >= SHORTEST_ANALYSIS


def _utf16_length(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
