"""The seeded rules, without a database."""

from importlib import import_module

from simulations.sanitizing.cleaner import AnswerCleaner
from simulations.sanitizing.phrases import Phrase, PhraseKind

RULES = import_module("simulations.migrations.0008_seed_answer_rules").RULES
PHRASES = tuple(Phrase(text, PhraseKind(kind), inside) for text, kind, inside in RULES)
CLEANER = AnswerCleaner(PHRASES)

sanitize_answer = CLEANER.clean
explain_answer = CLEANER.explain
