"""Takes out of an answer the headers and disclaimers its model was told to leave out.

The rules, their order, the figures and the text of an empty answer are those of the
section "Output Sanitization" of the reference patterns (`sanitizeAnswer`), whose answer is
reproduced for every text: its idea of white space, of a line's end, of letter case and of
length is JavaScript's. Only `\\r\\n`, which counts as `\\n` here, is read differently.

The reference tries its expressions at every place where a match could begin, which takes time
in the square, or worse, of the length of a run of blank lines. Here the phrases are found first,
and then only what stands immediately around each one is read: no further back than the phrase
before it, no further on than the phrase after it. That makes every pass linear.
"""

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

NO_ANALYSIS = "No detailed analysis is available at this time. Please refine your query."
SHORTEST_ANALYSIS = 40  # UTF-16 units


class PhraseKind(StrEnum):
    HEADER = "header"  # goes where it has a line to itself
    DISCLAIMER = "disclaimer"  # begins a line, and goes with its paragraph


@dataclass(frozen=True)
class Phrase:
    """Plain text, found in either case; " – " allows any spacing, with a dash or without one."""

    text: str
    kind: PhraseKind = PhraseKind.HEADER
    inside_text: bool = False  # a header that also goes where it stands among other words


PHRASES = (
    Phrase("Executive Summary", inside_text=True),
    Phrase("Situational Synthesis", inside_text=True),
    Phrase("What It Means"),
    Phrase("What to Watch"),
    Phrase("Follow-up Questions"),
    Phrase("Followup Questions"),
    Phrase("Red Team – Consideration"),
    Phrase("Red Team"),
    Phrase("Interpretive Note", inside_text=True),
    Phrase("Note on Risk", PhraseKind.DISCLAIMER),
    Phrase("Risk disclaimer", PhraseKind.DISCLAIMER),
)

# What JavaScript calls white space and line terminators; Python's `\s` and `$` differ from both.
_WHITESPACE = (
    "\t\n\v\f\r \u00a0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_SPACE = f"[{_WHITESPACE}]"
_BREAK = "[\n\r\u2028\u2029]"

_LINE_START = re.compile(rf"\A|(?<={_BREAK})")
_BLANK_LINES = re.compile(r"\n{3,}")

# What may follow a header, to the last line end that can be reached. `*+` never gives back what
# it took, so that a run of white space is read once, not once for each way of dividing it.
_HEADER_TAIL = rf"(?:{_SPACE}*+[:\-—])?{_SPACE}*(?={_BREAK}|\Z)"
_INSIDE_TAIL = rf"{_SPACE}*[:\-—]?{_SPACE}*"

# What may stand before a phrase, read backwards from it: "## 2. " and "> **".
_HEADER_LEAD = re.compile(
    rf"{_SPACE}*+(?:\.[0-9]++{_SPACE}*+)?+(?:\#{{1,6}}+{_SPACE}*+)?+",
)
_DISCLAIMER_LEAD = re.compile(rf"{_SPACE}*+(?:\*\*|__)?+{_SPACE}*+(?:>{_SPACE}*+)?+")


class Rule(StrEnum):
    HEADER_LINE = "header_line"
    HEADER_INSIDE_TEXT = "header_inside_text"
    DISCLAIMER = "disclaimer"


@dataclass(frozen=True)
class Removal:
    """What a rule took out; `position` is where that begins in the raw answer, in characters."""

    rule: Rule
    phrase: str
    text: str
    position: int


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
    """One reading of the text; `find` yields the spans that its rule takes out."""

    rule: Rule
    phrases: Sequence[Phrase]
    find: Callable[[str], Iterator[tuple[int, int]]]


class AnswerCleaner:
    """A list of phrases, made ready to be taken out of any number of answers."""

    def __init__(self, phrases: Iterable[Phrase]) -> None:
        phrases = tuple(phrases)
        headers = [phrase for phrase in phrases if phrase.kind is PhraseKind.HEADER]
        inside = [phrase for phrase in headers if phrase.inside_text]
        disclaimers = [phrase for phrase in phrases if phrase.kind is PhraseKind.DISCLAIMER]
        header = _any_of(headers, followed_by=rf"(?=(?P<tail>{_HEADER_TAIL}))")
        inside_text = _any_of(inside, followed_by=_INSIDE_TAIL)
        self._passes = [
            Pass(Rule.HEADER_LINE, headers, partial(_header_lines, header)),
            Pass(Rule.HEADER_INSIDE_TEXT, inside, partial(_spans, inside_text)),
            *[
                Pass(Rule.DISCLAIMER, [phrase], partial(_disclaimer_blocks, _any_of([phrase])))
                for phrase in disclaimers
            ],
        ]

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
                Removal(each.rule, _phrase_in(removed, each.phrases), removed, places[start])
                for start, stop in spans
                if (removed := text[start:stop])
            ]
            text, places = _without(spans, text), _places_without(spans, places)
        left = _tidy(text)
        white_space = len(answer) - len(left) - sum(len(removal.text) for removal in removals)
        if _is_analysis(left):
            return Cleaning(left, removals, white_space)
        return Cleaning(NO_ANALYSIS, removals, white_space, too_short=left)


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


def _phrase_in(removed: str, phrases: Sequence[Phrase]) -> str:
    """The longest one, as `_any_of` tries them."""
    by_length = sorted((phrase.text for phrase in phrases), key=len, reverse=True)
    flags = re.ASCII | re.IGNORECASE
    return next((text for text in by_length if re.search(_pattern(text), removed, flags)), "")


def _any_of(phrases: Iterable[Phrase], followed_by: str = "") -> re.Pattern[str]:
    """The longest phrase first: "Red Team" is tried where "Red Team – Consideration" fails."""
    texts = sorted((phrase.text for phrase in phrases), key=len, reverse=True)
    either = "|".join(_pattern(text) for text in texts) or "(?!)"
    # ASCII, or `ſ` and the Kelvin sign would count as letters of a phrase.
    return re.compile(f"(?:{either}){followed_by}", re.ASCII | re.IGNORECASE)


def _pattern(phrase: str) -> str:
    return rf"{_SPACE}*+[–-]?+{_SPACE}*+".join(map(re.escape, phrase.split(" – ")))


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
    return _BLANK_LINES.sub("\n\n", text).strip(_WHITESPACE)


def _is_analysis(text: str) -> bool:
    return _utf16_length(text) >= SHORTEST_ANALYSIS


def _utf16_length(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


_CLEANER = AnswerCleaner(PHRASES)


def sanitize_answer(text: str) -> str:
    return _CLEANER.clean(text)


def explain_answer(text: str) -> Cleaning:
    """What `sanitize_answer` takes out of the text, and why."""
    return _CLEANER.explain(text)
