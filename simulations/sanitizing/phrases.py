"""What an answer rule looks for: plain text, found in either case, never a regular expression."""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

LONGEST_PHRASE = 100
FEWEST_LETTERS = 2
# Any spacing, with a dash or without one: "Red Team – Consideration", "Red TeamConsideration".
SPACED_DASH = " – "


class PhraseKind(StrEnum):
    HEADER = "header"  # goes where it has a line to itself
    DISCLAIMER = "disclaimer"  # begins a line, and goes with its paragraph


@dataclass(frozen=True)
class Phrase:
    """`text` is as `normalize_phrase` leaves it."""

    text: str
    kind: PhraseKind = PhraseKind.HEADER
    inside_text: bool = False  # a header that also goes where it stands among other words


def normalize_phrase(text: str) -> str:
    """Composed characters, single spaces, one kind of spaced dash, and nothing of what goes with a
    header anyhow: the colon or dash behind it."""
    words = " ".join(unicodedata.normalize("NFC", text).split())
    return re.sub(r"(?: [-–—])+ ", SPACED_DASH, words).rstrip(" :-–—")


def check_phrase(phrase: str) -> None:
    """Raises ValueError with what is wrong with a normalized phrase, and the remedy.

    That it begins with a letter or a digit keeps cleaning linear: what is read before and behind
    a phrase can then not be a phrase itself.
    """
    if not phrase:
        raise ValueError("Write the words to take out of answers.")
    if unsafe := next((it for it in phrase if not it.isprintable()), None):
        raise ValueError(f"Remove the invisible character U+{ord(unsafe):04X}.")
    if not phrase[0].isalnum():
        raise ValueError(
            f"Begin with a letter or a digit, not with “{phrase[0]}”: hashes, numbers, quote and "
            "bold marks before a phrase go with it anyway."
        )
    if sum(character.isalpha() for character in phrase) < FEWEST_LETTERS:
        raise ValueError(f"Use at least {FEWEST_LETTERS} letters, or it is found everywhere.")


def pattern_of(phrase: str) -> str:
    """The phrase as a regular expression, with `JS_SPACE` for what JavaScript calls white space."""
    parts = ("".join(map(_either_case, part)) for part in phrase.split(SPACED_DASH))
    return rf"{JS_SPACE}*+[–-]?+{JS_SPACE}*+".join(parts)


def _either_case(character: str) -> str:
    """As JavaScript compares: a character with one character, ASCII with ASCII alone.

    Else `ſ` and the Kelvin sign would count as letters of a phrase.
    """
    cases = {character, character.lower(), character.upper()}
    alike = [it for it in cases if len(it) == 1 and it.isascii() == character.isascii()]
    return f"[{''.join(sorted(alike))}]" if len(alike) > 1 else re.escape(character)


# What JavaScript calls white space; Python's `\s` differs.
JS_WHITESPACE = (
    "\t\n\v\f\r \u00a0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
JS_SPACE = f"[{JS_WHITESPACE}]"
