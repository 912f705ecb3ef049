"""The words and pairs of words that texts have in common. Pure."""

import re
from collections import Counter
from collections.abc import Iterable

# What a question says without saying what it is about.
STOP_WORDS = frozenset(
    """
    a about above actually after again against ago all almost along already also although always am
    among an and another any anyone anything anywhere are aren around as ask at away back be because
    been before being below best better between both but by call came can cannot come comes could
    couldn day days did didn different do does doesn doing don done down due during each either else
    enough especially etc even ever every everyone everything everywhere example few find first
    following for from further get gets getting give given gives go goes going good got had hadn has
    hasn have haven having he help her here hers him his hour hours how however i if important in
    instead into involved is isn it its itself just keep kind know last least less let lets like
    likely long look made main make makes making many may maybe me might mine minute minutes month
    months more most much must my myself need needed needs never new next no none nor not nothing
    now of off often old on once one ones only onto or other others our ours out over own part per
    perhaps please possible put question questions quite rather really regarding right said same say
    says see seem seems several shall she should shouldn since so some someone something somewhere
    soon still such sure take taken takes tell than thank thanks that the their theirs them
    themselves then there therefore these they thing things think this those though through thus
    time times to today together told tomorrow too toward towards two under unless until up upon us
    use used useful uses using usually various very via want wants was wasn way ways we week weeks
    well went were weren what whatever when whenever where whether which while who whole whom whose
    why will with within without won work works would wouldn year years yes yesterday yet you your
    yours yourself
    """.split()  # noqa: SIM905 - as literals they would fill a page
)
# Starts with a letter; apostrophes and hyphens hold a word together.
WORD = re.compile(r"[^\W\d_]\w*(?:['-]\w+)*")
SHORTEST, LONGEST = 3, 40


def frequent_terms(texts: Iterable[str], minimum: int = 2) -> list[tuple[str, int]]:
    """Terms with the number of texts that hold them, from `minimum` on, the most frequent first.

    A word that appears in one pair alone is left out: the pair says more.
    """
    counts = Counter(term for text in texts for term in terms_of(text))
    pairs = [(term, count) for term, count in counts.items() if " " in term and count >= minimum]
    told = {(word, count) for pair, count in pairs for word in pair.split(" ")}
    terms = [
        (term, count)
        for term, count in counts.items()
        if count >= minimum and (term, count) not in told
    ]
    return sorted(terms, key=lambda found: (-found[1], -len(found[0]), found[0]))


def terms_of(text: str) -> set[str]:
    """Lower-cased words and pairs of words with nothing but space between; no stop words."""
    terms: set[str] = set()
    lowered = text.lower().replace("’", "'")
    before, end = "", 0
    for match in WORD.finditer(lowered):
        word = match[0] if _is_telling(match[0]) else ""
        if word:
            terms.add(word)
        if word and before and lowered[end : match.start()].isspace():
            terms.add(f"{before} {word}")
        before, end = word, match.end()
    return terms


def _is_telling(word: str) -> bool:
    return SHORTEST <= len(word) <= LONGEST and word.partition("'")[0] not in STOP_WORDS
