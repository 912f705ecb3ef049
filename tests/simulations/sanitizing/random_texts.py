"""Texts put together at random from what the rules look at and from what resembles it."""

from random import Random

HEADERS = [
    "Executive Summary",
    "Situational Synthesis",
    "What It Means",
    "What to Watch",
    "Follow-up Questions",
    "Followup Questions",
    "Red Team",
    "Red Team Consideration",
    "Red Team – Consideration",
    "Red Team-\nConsideration",
    "Red Team\n– Consideration",
    "RedTeamConsideration",
    "Red TeamConsideration",
    "Interpretive Note",
]
DISCLAIMERS = ["Note on Risk", "Risk disclaimer"]
HALVES = [
    "Executive",
    " Summary",
    "Note on ",
    "Risk",
    " disclaimer",
    "Note",
    "Consideration",
    "Follow up Questions",
    "Red ",
    "Team",
    "Interpretive  Note",
    "Situational\nSynthesis",
    "Executive ſummary",
    "Note on Ri\u017fk",
    "Note on Ris\u212a",
    "R\u0131sk disclaimer",
    "\u0130nterpretive Note",
]
MARKS = [
    *("#", "##", "######", "#######", "# ", "1.", "12. ", "1", ".", "3)", "\u0663."),
    *(":", "-", "—", "–", "::", " - ", ": ", ">", "> ", ">>", "**", "__", "*", "_", "***"),
]
SPACES = [
    *(" ", "  ", "\t", "\v", "\f", "\u00a0", "\u1680", "\u2003", "\u200a", "\u202f", "\u205f"),
    *("\u3000", "\ufeff", "\x1c", "\x1d", "\x1e", "\x1f", "\x85", "\u180e", "\u200b", "\u2060"),
]
BREAKS = ["\n", "\n", "\n", "\n\n", "\n\n\n", "\r", "\r\n", "\r\r\n", "\u2028", "\u2029"]
PROSE = ["x", "The ", "grid held through the night", "a long line of prose that counts. ", "é", "0"]
SURROGATES = ["\U0001f600", "\U0001f600" * 9, "\ud83d", "\ude00", "\x00"]

# The rest of an answer, so that not every short text is answered with the same sentence.
BODY = "Forty characters and more of plain analysis."

KINDS = [HEADERS, DISCLAIMERS, HALVES, MARKS, SPACES, BREAKS, PROSE, SURROGATES]
WEIGHTS = [6, 3, 2, 6, 5, 8, 2, 1]


def random_text(random: Random) -> str:
    parts = [_fragment(random) for _ in range(random.randint(0, 14))]
    if random.random() < 0.85:
        parts.insert(random.randint(0, len(parts)), BODY)
    return "".join(parts)


def _fragment(random: Random) -> str:
    [kind] = random.choices(KINDS, WEIGHTS)
    fragment = random.choice(kind)
    if random.random() < 0.2:
        return random.choice([str.upper, str.lower, str.swapcase])(fragment)
    return fragment
