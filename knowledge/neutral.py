"""Characters that do something else than stand for themselves, dropped or made visible. Pure."""

import re

LINE_END = re.compile(r"\r\n?")
# Colours, cursor movements, window titles and links of terminals, with what they carry.
ANSI = re.compile(r"\x1b\[[0-?]*+[ -/]*+[@-~]|\x1b\][^\x07\x1b]*+(?:\x07|\x1b\\)")
# Control characters; characters that reorder the text around them, so that it reads differently
# from what it is; halves of surrogate pairs, which no encoder takes.
UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def drop_unsafe(text: str) -> str:
    r"""Without them; every line end is `\n`."""
    return UNSAFE.sub("", ANSI.sub("", LINE_END.sub("\n", text)))


def show_unsafe(text: str) -> str:
    r"""With their code points in their places, for texts that are shown word for word."""
    return UNSAFE.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", LINE_END.sub("\n", text))
