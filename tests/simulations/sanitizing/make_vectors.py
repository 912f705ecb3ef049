"""Writes `vectors.json` anew: `python -m tests.simulations.sanitizing.make_vectors`."""

import json
from collections.abc import Iterator
from pathlib import Path

from tests.simulations.sanitizing.oracle import ask

VECTORS = Path(__file__).with_name("vectors.json")

HEADERS = [
    "Executive Summary",
    "Situational Synthesis",
    "What It Means",
    "What to Watch",
    "Follow-up Questions",
    "Followup Questions",
    "Red Team",
    "Red Team Consideration",
    "Interpretive Note",
]
DISCLAIMERS = ["Note on Risk", "Risk disclaimer"]

OPENING = "Crews restored two of the three feeders before dawn, and load is close to normal."
CLOSING = "The third feeder waits for a transformer that is due on the evening train."
CAVEAT = "These figures come from a single source and may be revised."

HEADER_LINES = {
    "bare": "{}",
    **{f"{count} hashes": "#" * count + " {}" for count in range(1, 8)},
    "hashes without a space": "##{}",
    "hashes with a space between": "# # {}",
    "indented hashes": "   ### {}",
    "number": "1. {}",
    "long number": "1204. {}",
    "number without a space": "3.{}",
    "number without a dot": "3 {}",
    "number with a bracket": "3) {}",
    "two numbers": "1.2. {}",
    "dot without a number": ". {}",
    "number before hashes": "1. ## {}",
    "hashes and number": "## 4. {}",
    "hashes and number run together": "##4.{}",
    "colon": "{}:",
    "hyphen": "{} -",
    "em dash": "{} —",
    "em dash run on": "{}—",
    "en dash": "{} –",
    "two colons": "{}::",
    "colon and hyphen": "{}: -",
    "full stop": "{}.",
    "everything": "\t###### 12. {}  :  ",
    "trailing spaces": "{}   ",
    "bold": "**{}**",
    "quoted": "> {}",
    "bullet": "- {}",
    "more on the line": "{}: feeders are back",
    "something before it on the line": "About {}",
    "run on into a word": "{}s",
    "run on from a word": "Pre{}",
}

# White space and line ends to JavaScript, to Python, to both and to neither.
CHARACTERS = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u180e\u2000\u2007\u200a\u200b\u2028\u2029\u202f"
    "\u205f\u2060\u3000\ufeff\x00"
)


def inputs() -> Iterator[tuple[str, str]]:
    for part in (
        _header_decorations,
        _header_places,
        _header_spelling,
        _mid_text,
        _red_team,
        _disclaimers,
        _disclaimer_extent,
        _characters,
        _blank_lines,
        _lengths,
        _orders,
    ):
        yield from part()


def _answer(middle: str, before: str = "\n", after: str = "\n") -> str:
    return f"{OPENING}{before}{middle}{after}{CLOSING}"


def _header_decorations() -> Iterator[tuple[str, str]]:
    for name, line in HEADER_LINES.items():
        for header in ("Executive Summary", "What to Watch", "Red Team"):
            yield f"{header}: {name}", _answer(line.format(header))


def _header_places() -> Iterator[tuple[str, str]]:
    for header in HEADERS:
        yield f"{header}: first line", f"{header}\n{OPENING}"
        yield f"{header}: last line", f"{OPENING}\n{header}"
        yield f"{header}: last line, ended", f"{OPENING}\n{header}:\n"
        yield f"{header}: blank lines around", _answer(header, "\n\n", "\n\n")
        yield f"{header}: inside a sentence", f"{OPENING} The {header} says so. {CLOSING}"
    for count in range(5):
        breaks = "\n" * count
        yield f"{count} breaks before", _answer("## What It Means", breaks, "\n")
        yield f"{count} breaks after", _answer("## What It Means", "\n", breaks)
        yield f"{count} breaks after a colon", _answer("What It Means:", "\n", breaks)
        yield f"{count} breaks before a colon", _answer(f"What It Means{breaks}: so", "\n", "\n")
        yield f"{count} breaks at the start", f"{breaks}What It Means\n{OPENING}"
        yield f"{count} breaks after the hashes", _answer(f"##{breaks}1.{breaks}What It Means")
        yield f"{count} breaks after seven hashes", _answer(f"#######{breaks}What It Means")
        yield f"{count} breaks between headers", _answer(f"What It Means{breaks}What to Watch")
        yield (
            f"{count} breaks after a header inside a line",
            _answer(f"So What It Means{breaks}What to Watch"),
        )
    yield "spaces and breaks before", _answer("What It Means", " \n \n\t\n ", "\n")
    yield "spaces and breaks after", _answer("What It Means", "\n", " \n \n\t\n ")
    yield "prose, hashes and a header on one line", f"{OPENING} ## What It Means\n{CLOSING}"
    yield "prose and a number on the line above", f"{OPENING} 1.\nWhat It Means\n{CLOSING}"
    yield "prose and hashes on the line above", f"{OPENING} ##\nWhat It Means\n{CLOSING}"
    yield "seven hashes on the line above a number", _answer("#######\n1. What It Means")
    for name, breaks in {"returns": " \r \r", "separators": "\u2028 \u2029 "}.items():
        yield f"{name} between headers", _answer(f"What It Means{breaks}What to Watch")
        yield (
            f"{name} after a header inside a line",
            _answer(f"So What It Means{breaks}What to Watch"),
        )
    yield "every header", "\n\n".join(f"## {header}\n{OPENING}" for header in HEADERS)
    yield "every header and nothing else", "\n".join(HEADERS)
    yield "punctuation on the next line", _answer("What It Means\n-\nfeeders are back")
    yield "a list on the next line", _answer("What It Means\n- feeders are back")
    yield "a dash and a list", _answer("What It Means -\n- feeders are back")


def _header_spelling() -> Iterator[tuple[str, str]]:
    for header in HEADERS:
        for name, change in (
            ("upper", str.upper),
            ("lower", str.lower),
            ("swapped", str.swapcase),
            ("two spaces", lambda text: text.replace(" ", "  ")),
            ("no-break space", lambda text: text.replace(" ", "\xa0")),
            ("over two lines", lambda text: text.replace(" ", "\n")),
            ("long s", lambda text: text.replace("s", "ſ").replace("S", "ſ")),
            ("dotless i", lambda text: text.replace("i", "ı").replace("I", "ı")),
            ("dotted I", lambda text: text.replace("i", "İ").replace("I", "İ")),
        ):
            yield f"{header}: {name}", _answer(change(header))
    for text in ("Follow up Questions", "Follow--up Questions", "Follow–up Questions"):
        yield text, _answer(text)
    yield "Arabic digits", _answer("٣. What It Means")
    yield "superscript digit", _answer("². What It Means")


def _mid_text() -> Iterator[tuple[str, str]]:
    for header in ("Executive Summary", "Situational Synthesis", "Interpretive Note"):
        for name, tail in {
            "colon": ": ",
            "hyphen": " - ",
            "em dash": " — ",
            "en dash": " – ",
            "two colons": ":: ",
            "spaces": "    ",
            "breaks": ":\n\n\n",
            "nothing": "",
        }.items():
            yield f"{header} inside, {name}", f"{OPENING} {header}{tail}{CLOSING}"
        yield f"{header} begins a line", _answer(f"{header}: {CAVEAT}", "\n\n", "\n\n")
        yield f"{header} in bold", _answer(f"**{header.upper()}:** {CAVEAT}")
        yield f"{header} inside a word", f"{OPENING} un{header}able {CLOSING}"
    yield "twice on a line", f"{OPENING} Executive Summary Executive Summary: {CLOSING}"
    yield "one made by taking one out", f"Executive Executive Summary: Summary\n{OPENING}"
    yield "a header made by taking one out", f"What It Interpretive Note: Means\n{OPENING}"
    yield (
        "a disclaimer made by taking one out",
        (f"{OPENING}\nNote on Executive Summary: Risk\n{CAVEAT}"),
    )


def _red_team() -> Iterator[tuple[str, str]]:
    for joint in (
        *(" – ", " - ", "–", "-", "  ", "", "\n", "\n–\n", "\n\n", " \t", " — ", " -- ", ": "),
        *(" – – ", "\xa0–\xa0", "\u2028", "\ufeff-", "\x1c", "\x85-"),
    ):
        name = joint.encode("unicode_escape").decode()
        text = f"Red Team{joint}Consideration"
        yield f"Red Team joined by '{name}'", _answer(text)
        yield f"Red Team joined by '{name}', decorated", _answer(f"### 2. {text.upper()}:")
        yield f"Red Team joined by '{name}', more on the line", _answer(f"{text} of feeders")
    yield "Red Team Considerations", _answer("Red Team Considerations")
    yield "Red Team over a list", _answer("Red Team -\nConsideration of feeders")


def _disclaimers() -> Iterator[tuple[str, str]]:
    decorations = {
        "bare": "{}",
        "colon": "{}:",
        "hyphen": "{} -",
        "quoted": "> {}:",
        "quoted without a space": ">{}:",
        "quoted twice": "> > {}:",
        "bold": "**{}:**",
        "underscored": "__{}__:",
        "one star": "*{}*",
        "one underscore": "_{}_",
        "three stars": "***{}***",
        "bold and underscored": "**__{}__**",
        "quoted and bold": "> **{}**",
        "bold and quoted": "**> {}**",
        "all with spaces": "  >  **  {} : ",
        "over several lines": "\n>\n**\n{}",
        "hashes": "## {}",
        "number": "1. {}",
        "bullet": "- {}",
        "after a word": "A {}",
        "run on": "{}s",
    }
    for phrase in DISCLAIMERS:
        for name, decoration in decorations.items():
            text = decoration.format(phrase)
            yield f"{phrase}, {name}: last", f"{OPENING}\n\n{text} {CAVEAT}"
            yield f"{phrase}, {name}: first", f"{text} {CAVEAT}\n\n{OPENING}"
            yield f"{phrase}, {name}: between", _answer(f"{text} {CAVEAT}", "\n\n", "\n\n")
        yield f"{phrase}: upper", _answer(f"{phrase.upper()}: {CAVEAT}", "\n\n", "\n\n")
        yield f"{phrase}: lower", _answer(f"{phrase.lower()}: {CAVEAT}", "\n\n", "\n\n")
        yield f"{phrase}: in a sentence", f"{OPENING} See the {phrase}. {CLOSING}"
    yield "long s", _answer("Note on Riſk", "\n\n", "\n\n")
    yield "Kelvin sign", _answer("Note on Ris\u212a", "\n\n", "\n\n")
    yield "dotless i", _answer("Rısk disclaimer", "\n\n", "\n\n")
    yield "two spaces in the phrase", _answer("Risk  disclaimer", "\n\n", "\n\n")


def _disclaimer_extent() -> Iterator[tuple[str, str]]:
    for count in range(5):
        breaks = "\n" * count
        yield f"{count} breaks before a disclaimer", _answer("Note on Risk: x", breaks, "\n\n")
        yield f"{count} breaks after a disclaimer", _answer("Note on Risk: x", "\n", breaks)
        yield f"{count} breaks after the phrase", _answer(f"Note on Risk{breaks}{CAVEAT}")
        yield f"{count} breaks after the colon", _answer(f"Note on Risk:{breaks}{CAVEAT}")
        yield f"{count} breaks at the start, disclaimer", f"{breaks}Note on Risk\n\n{OPENING}"
        yield f"{count} breaks at the end, disclaimer", f"{OPENING}\nNote on Risk{breaks}"
        yield f"{count} breaks between two", _answer(f"Note on Risk: x{breaks}Note on Risk: y")
        yield f"{count} breaks between both", _answer(f"Note on Risk: x{breaks}Risk disclaimer: y")
        yield (
            f"{count} breaks between both reversed",
            _answer(f"Risk disclaimer: y{breaks}Note on Risk: x"),
        )
    yield "several lines", _answer(f"Note on Risk\n{CAVEAT}\n{CAVEAT}", "\n\n", "\n\n")
    yield "a blank line with a space", _answer(f"Note on Risk\n{CAVEAT}", "\n\n", "\n \n")
    yield "a blank line of returns", _answer("Note on Risk: x", "\n\n", "\r\r")
    yield "after a return only", _answer("Note on Risk: x", "\r", "\n\n")
    yield "after a line separator only", _answer("Note on Risk: x", "\u2028", "\n\n")
    yield "after a return and a break", _answer("Note on Risk: x", "\r\n\r", "\n\n")
    yield "at the start after spaces", f" \t Note on Risk: x\n\n{OPENING}"
    yield "at the start after a return", f"\r> Note on Risk: x\n\n{OPENING}"
    yield "nothing but a disclaimer", f"Note on Risk: {CAVEAT}"
    yield "quoted prose above", _answer("Note on Risk: x", "\n> quoted\n", "\n\n")
    yield "a quote mark on the line above", _answer("Note on Risk: x", "\n>\n", "\n\n")
    yield "prose and a quote mark on the line above", _answer("Note on Risk", " >\n", "\n\n")


def _characters() -> Iterator[tuple[str, str]]:
    for character in CHARACTERS:
        name = f"U+{ord(character):04X}"
        yield f"{name} trimmed", f"{character}{OPENING}{character}"
        yield f"{name} around a header", _answer(f"{character}What It Means{character}")
        yield f"{name} for a break", _answer("What It Means", character, character)
        yield f"{name} before a number", _answer(f"##{character}1.{character}What It Means")
        yield f"{name} before a colon", _answer(f"What It Means{character}:{character}")
        yield f"{name} after one inside", f"{OPENING} Executive Summary{character}:{CLOSING}"
        yield f"{name} in a disclaimer", _answer(f">{character}**{character}Note on Risk", "\n")
        yield f"{name} between breaks", _answer(f"\n{character}\n")


def _blank_lines() -> Iterator[tuple[str, str]]:
    for count in range(1, 7):
        yield f"{count} breaks in prose", _answer("and", "\n" * count, "\n" * count)
        yield f"{count} CRLF in prose", _answer("and", "\r\n" * count, "\r\n" * count)
        yield f"{count} returns in prose", _answer("and", "\r" * count, "\r" * count)
    for middle in ("## What It Means:", "> Note on Risk: x", "Executive Summary - x"):
        yield f"CRLF around {middle}", _answer(middle, "\r\n\r\n", "\r\n\r\n")
        yield f"one CRLF around {middle}", _answer(middle, "\r\n", "\r\n")
        yield f"a return and CRLF around {middle}", _answer(middle, "\r\r\n", "\r\r\n")
    yield "a break and a return", _answer("and", "\n\r", "\n\r\n")


def _lengths() -> Iterator[tuple[str, str]]:
    yield "empty", ""
    for name, text in {
        "space": " ",
        "break": "\n",
        "CRLF": "\r\n",
        "white space": " \n\t\ufeff\u3000",
        "not white space": "\x85",
        "header only": "What It Means",
        "word": "No.",
        "zero": "0",
    }.items():
        yield f"{name} alone", text
    for length in (1, 38, 39, 40, 41):
        yield f"{length} letters", "a" * length
        yield f"{length} letters among spaces", f"  {'a' * length}\n\n"
        yield f"{length} letters under a header", f"What It Means\n{'a' * length}"
        yield f"{length} letters outside the plane", "\U0001f600" * length
        yield f"{length} units with one outside the plane", "\U0001f600" + "a" * (length - 2)
        yield f"{length} accents", "é" * length
        yield f"{length} lone surrogates", "\ud83d" * length
    yield "19 outside the plane", "\U0001f600" * 19
    yield "20 outside the plane", "\U0001f600" * 20
    yield "19 outside the plane and one in it", "\U0001f600" * 19 + "a"
    yield "19 outside the plane and a half", "\U0001f600" * 19 + "\udc00\ud83d"


def _orders() -> Iterator[tuple[str, str]]:
    yield "header under a disclaimer", _answer("Note on Risk\nWhat It Means\nx", "\n\n", "\n\n")
    yield "header that ends a disclaimer", _answer("Note on Risk\n\nWhat It Means\nx", "\n\n")
    yield "header between disclaimers", _answer("Note on Risk\nWhat It Means\nRisk disclaimer")
    yield "header between a break and a disclaimer", f"What It Means\nNote on Risk\n\n{OPENING}"
    yield "disclaimer between headers", _answer("What It Means\nNote on Risk\n\nWhat to Watch")
    yield "disclaimer after one inside", f"Executive Summary: Note on Risk\n\n{OPENING}"
    yield "inside a disclaimer", _answer("Note on Risk: Executive Summary\n\nx", "\n\n")
    yield "inside before a blank line", _answer("Note on Risk: Executive Summary:\n\nx", "\n\n")
    for mark in (">", "**", "__"):
        for first, second in (DISCLAIMERS, DISCLAIMERS[::-1]):
            yield (
                f"{first} once {second} is gone from under a second {mark}",
                f"{OPENING}\n{mark}\n{mark}\n{second}: x\n\n{first}: y",
            )
    yield (
        "a full answer",
        (
            f"# Executive Summary\n\n{OPENING}\n\n## 1. Situational Synthesis:\n\n{CLOSING}\n\n\n"
            f"## 2. What It Means —\n{OPENING}\n\n### Red Team – Consideration\n\n{CLOSING}\n\n"
            f"Follow-up Questions:\n1. When is the train due?\n2. Who unloads it?\n\n"
            f"> **Note on Risk:** {CAVEAT}\n> {CAVEAT}\n\nInterpretive Note: {OPENING}\n"
            f"\n__Risk disclaimer__ {CAVEAT}\n"
        ),
    )
    yield "a clean answer", f"{OPENING}\n\n1. {CLOSING}\n2. {CAVEAT}\n\n> {OPENING}"


def main() -> None:
    names, texts = zip(*inputs(), strict=True)
    answers = ask(list(texts))
    vectors = [
        {"name": name, "input": text, "output": answer}
        for name, text, answer in zip(names, texts, answers, strict=True)
    ]
    VECTORS.write_text(json.dumps(vectors, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
