"""Passwords that somebody who knows the place would try first."""

import re
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError

SITE_WORDS = {
    *("sitrep", "simulation", "knowledge", "security", "assistant", "password", "welcome"),
    *("administrator", "admin", "analyst"),
}
# Letters that a password has to have beside such words.
OTHER_LETTERS = 8


class ContextWordsValidator:
    """Refuses passwords that are little more than words of the site, in any order and case."""

    def __init__(self, site_url: str) -> None:
        longest_first = sorted(SITE_WORDS | words_of(site_url), key=len, reverse=True)
        self.words = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)

    def validate(self, password: str, user: object = None) -> None:
        others, count = self.words.subn("", password)
        letters = sum(character.isalpha() for character in others)
        if count and letters < OTHER_LETTERS:
            raise ValidationError(
                "This password is little more than words that anybody would try for this site.",
                code="password_of_context_words",
            )

    def get_help_text(self) -> str:
        return "Your password can’t be little more than words of this site, such as its name."


def words_of(url: str) -> set[str]:
    """Of the host's name, such as the organization's own."""
    host = urlsplit(url).hostname or ""
    return {word for word in re.split(r"[\W\d_]+", host) if len(word) > 3}
