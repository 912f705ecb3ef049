"""The answer rules in the database, ready for use."""

import threading
import time
from dataclasses import dataclass, replace
from datetime import timedelta

from simulations.models import AnswerRule, RulesVersion
from simulations.sanitizing.cleaner import AnswerCleaner
from simulations.sanitizing.phrases import Phrase


@dataclass(frozen=True)
class AnswerRules:
    """The active rules at one moment. `version` is the id of the RulesVersion that keeps them."""

    version: int
    phrases: tuple[Phrase, ...]
    cleaner: AnswerCleaner


class RulesCache:
    """The rules in the database, compiled once per process and per change.

    They are few and short: reading them is the way to see whether they have changed, and sees what
    passes by the models too.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: AnswerRules | None = None
        self._read_at = float("-inf")

    def get(self, max_age: timedelta) -> AnswerRules:
        """As they were at most `max_age` ago; costs two queries where they are older."""
        now = time.monotonic()
        known = self._rules
        if known is not None and now - self._read_at < max_age.total_seconds():
            return known
        phrases = tuple(AnswerRule.objects.phrases())
        version = RulesVersion.objects.of(phrases).pk
        with self._lock:
            if known is None or known.phrases != phrases:
                known = AnswerRules(version, phrases, AnswerCleaner(phrases))
            self._rules, self._read_at = replace(known, version=version), now
            return self._rules


_cache = RulesCache()


def current_rules(max_age: timedelta = timedelta(0)) -> AnswerRules:
    return _cache.get(max_age)
