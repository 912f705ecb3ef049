"""When a run that is going on is asked for: often enough to be quick, not so often as to cost."""

import time
from collections import defaultdict, deque
from datetime import timedelta

from django.conf import settings
from django.db.models import Case, F, Q, When
from django.db.models.functions import Least, Now

from simulations.models import Simulation

MIN_INTERVAL = 1.2
# However many runs there are, and however late a provider wants to be asked again.
MAX_INTERVAL = 30.0
# Between polls, where webhooks tell of a run's end and polling is the safety net.
SPARSE_INTERVAL = 30.0

# Of so many recent runs, and not before there are so many.
REMEMBERED_RUNS = 200
ENOUGH_RUNS = 20
# As long as fewer than one run in twenty has ended, asking is a waste.
QUIET_SHARE = 0.05
LONGEST_QUIET = 30.0

COUNTED_EVERY = 1.0


class Pacing:
    """One process's idea of how long runs take, and how many there are."""

    def __init__(self) -> None:
        self._durations: dict[int, deque[float]] = defaultdict(
            lambda: deque(maxlen=REMEMBERED_RUNS)
        )
        self._quiet: dict[int, float] = {}
        self._interval = MIN_INTERVAL
        # Those of at least the last 30 s.
        self._recent = deque([MIN_INTERVAL], maxlen=int(MAX_INTERVAL / COUNTED_EVERY))
        self._counted_at = float("-inf")

    @property
    def interval(self) -> float:
        """Seconds between two polls of a run that only polls tell of.

        In each interval, at most as many runs are due as POLLS_PER_SECOND allows for.
        """
        now = time.monotonic()
        if now - self._counted_at > COUNTED_EVERY:
            self._interval = poll_interval(count_polled(self._interval))
            self._recent.append(self._interval)
            self._counted_at = now
        return self._interval

    def interval_of(self, protocol: str) -> float:
        """Seconds between two polls of a run."""
        return SPARSE_INTERVAL if has_webhooks(protocol) else self.interval

    def longest_interval_of(self, protocol: str) -> float:
        """Seconds that may lie between the two latest polls of a run; the load may have changed."""
        return SPARSE_INTERVAL if has_webhooks(protocol) else max(self._recent)

    def first_look(self, assistant_id: int, protocol: str) -> float:
        """Seconds from a run's start to the first poll of it; at its deadline at the latest."""
        wanted = max(self._quiet.get(assistant_id, 0.0), self.interval_of(protocol))
        return min(wanted, settings.RUN_TIMEOUT.total_seconds())

    def learn(self, assistant_id: int, seconds: float) -> None:
        """Takes in how long a run surely took: up to the last time it was seen going on.

        A run that ended before its first poll counts as shorter than the quiet time by a poll
        interval, so that the quiet time shrinks when runs become quicker.
        """
        durations = self._durations[assistant_id]
        durations.append(max(0.0, seconds))
        if len(durations) >= ENOUGH_RUNS:
            shortest = sorted(durations)[int(len(durations) * QUIET_SHARE)]
            self._quiet[assistant_id] = min(shortest, LONGEST_QUIET)


def has_webhooks(protocol: str) -> bool:
    """Only responses have them; a conversation keeps the protocol that opened it."""
    return bool(settings.OPENAI_WEBHOOK_SECRET) and protocol == "responses"


def count_polled(seconds: float) -> int:
    """Runs that will be asked for within so long; others are in their quiet time."""
    soon = Now() + timedelta(seconds=seconds)
    return Simulation.objects.filter(Simulation.POLLED, due_at__lte=soon).count()


def poll_interval(polled: int) -> float:
    """Seconds: 1.2 while the load is small, longer when it would exceed POLLS_PER_SECOND."""
    wanted = polled / settings.POLLS_PER_SECOND
    return min(max(wanted, MIN_INTERVAL), MAX_INTERVAL)


def first_wait(named: float | None, planned: float) -> timedelta:
    """From the beginning of a round to the first poll of it: as the provider has `named` it, else
    as `planned` (seconds); at the deadline at the latest."""
    return min(timedelta(seconds=min(named or planned, MAX_INTERVAL)), settings.RUN_TIMEOUT)


def next_poll(wait: timedelta, run_timeout: timedelta) -> Case:
    """When a run that was polled just now is due again: at its deadline, if that comes first."""
    later = Now() + wait
    deadline = F("round_started_at") + run_timeout
    is_to_come = Q(round_started_at__gt=Now() - run_timeout)
    return Case(When(is_to_come, then=Least(later, deadline)), default=later)
