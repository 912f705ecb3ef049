"""The engine: claims what is due, keeps the call slots full, applies what comes back.

The database is the truth. If this process dies, leases run out and another one carries on from
what was saved.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple
from uuid import UUID

from config.database import DATABASE_AWAY
from simulations.monitoring.pulse import pulse
from simulations.providers import ProviderError, get_provider
from simulations.queue.admission import admit
from simulations.queue.claims import claim, claim_unwanted, look_for_work
from simulations.queue.pacing import Pacing
from simulations.steps import DiscardRun, Step, next_step
from simulations.steps.deleting import claim_deletions

logger = logging.getLogger(__name__)

SLICE_SECONDS = 0.9
# How long a slice goes on with what it has before it looks for more: rows are claimed in batches.
LOOK_AROUND_SECONDS = 0.2
# For each call slot, how many rows a claim takes: what its calls need until the next look.
CLAIMS_PER_SLOT = 2
# In the last part of a slice nothing more is claimed: what waits then would have to be given back.
WIND_UP_SECONDS = 0.2


class Outcome(NamedTuple):
    """What came of a step's call."""

    step: Step
    result: Any
    error: Exception | None


class Engine:
    """One process's call slots, and the steps whose calls are under way in them.

    `run_due_agents` is called when an agent is due, and says whether that queued anything.
    """

    def __init__(self, slots: int, run_due_agents: Callable[[], bool] = lambda: False) -> None:
        self.slots = slots
        self.run_due_agents = run_due_agents
        self.pool = ThreadPoolExecutor(max_workers=slots, thread_name_prefix="call")
        self.pacing = Pacing()
        self.waiting: deque[Step] = deque()
        self.calling: dict[UUID, Step] = {}
        self.outcomes: SimpleQueue[Outcome] = SimpleQueue()
        self.unsaved: deque[Outcome] = deque()
        self.has_deletions = False
        self.turnstile = threading.Lock()

    def run_slice(self, seconds: float = SLICE_SECONDS) -> bool:
        """Works for at most `seconds` and says whether work was left behind.

        One slice at a time in a process: a second one has nothing to do here.
        """
        if not self.turnstile.acquire(blocking=False):
            return False
        try:
            return self._work_until(time.monotonic() + seconds)
        finally:
            self.turnstile.release()

    def drain(self, seconds: float) -> None:
        """Before the process ends: applies what is still under way and starts nothing new."""
        end = time.monotonic() + seconds
        with self.turnstile:
            while self.calling and time.monotonic() < end:
                self._wait(LOOK_AROUND_SECONDS)
                self._apply_outcomes()
                self._give_back_waiting()

    def delete_remote(self) -> None:
        """Starts what is to be deleted at the provider, in slots that would be idle."""
        free = self.slots // 2 - len(self.calling)
        if free > 0:
            steps = claim_deletions(free, self.pacing)
            self.has_deletions = bool(steps)
            for step in steps:
                self.start(step)

    def under_way(self) -> list[UUID]:
        return [*self.calling, *(step.key for step in self.waiting)]

    def start(self, step: Step) -> None:
        """Prepares a step and hands its call to a slot."""
        if self._guarded(step, step.prepare):
            pulse.count_step(type(step).__name__)
            self.calling[step.key] = step
            self.pool.submit(self._call, step, step.protocol)

    def _work_until(self, end: float) -> bool:
        """A slice that found work goes on to its end: more will be due by then."""
        look_at = time.monotonic()
        is_more = found_work = False
        try:
            while (now := time.monotonic()) < end:
                self._apply_outcomes()
                if now >= look_at or (is_more and not self.waiting and look_at < end):
                    is_more = self._look_for_work()
                    look_at = _next_look(end)
                self._fill_slots()
                found_work = found_work or bool(self.calling or self.waiting)
                if not found_work:
                    return False
                self._wait(min(end, look_at) - time.monotonic())
            return True
        finally:
            self._give_back_waiting()

    def _look_for_work(self) -> bool:
        """Says whether there may be more than there was room for."""
        room = self.slots * CLAIMS_PER_SLOT - len(self.calling) - len(self.waiting)
        if room <= 0:
            return True
        work = look_for_work()
        if work.is_agent_due and self.run_due_agents():
            work = work._replace(is_queued=True)
        if work.is_queued and admit():
            work = work._replace(is_due=True)
        claimed = claim(room, self.pacing, self.under_way()) if work.is_due else []
        if claimed:
            pulse.note_claim()
        self.waiting.extend(next_step(row, self.pacing) for row in claimed)
        if work.is_unwanted:
            unwanted = claim_unwanted(self.slots, self.under_way())
            self.waiting.extend(DiscardRun(run, self.pacing) for run in unwanted)
        return len(claimed) == room

    def _fill_slots(self) -> None:
        while self.waiting and len(self.calling) < self.slots:
            self.start(self.waiting.popleft())

    def _give_back_waiting(self) -> None:
        while self.waiting:
            self.waiting.popleft().give_back()

    def _call(self, step: Step, protocol: str) -> None:
        try:
            with step.named():
                outcome = Outcome(step, step.call(get_provider(protocol)), None)
        except Exception as error:
            outcome = Outcome(step, None, error)
        self.outcomes.put(outcome)

    def _wait(self, seconds: float) -> None:
        """Until a call is over, or for so long; then takes in all that are."""
        try:
            self.unsaved.append(self.outcomes.get(timeout=max(0.0, seconds)))
            while True:
                self.unsaved.append(self.outcomes.get_nowait())
        except Empty:
            return

    def _apply_outcomes(self) -> None:
        while self.unsaved:
            # Taken out only once it is saved: while the database is away, the result waits here.
            outcome = self.unsaved[0]
            following = self._apply(outcome)
            self.unsaved.popleft()
            del self.calling[outcome.step.key]
            if following is not None:
                self.waiting.appendleft(following)

    def _apply(self, outcome: Outcome) -> Step | None:
        step, result, error = outcome
        if error is None:
            return self._guarded(step, lambda: step.apply(result))
        if not isinstance(error, ProviderError):
            logger.error("A call failed in an unforeseen way", exc_info=error)
            error = unreadable(error)
        pulse.count_error(error)
        return self._guarded(step, lambda: step.fail(error))

    def _guarded(self, step: Step, action: Callable[[], Any]) -> Any:
        """One row that can't be worked on must not keep the others from theirs."""
        with step.named():
            try:
                return action()
            except DATABASE_AWAY:
                raise  # nothing is wrong with the row
            except Exception:
                logger.exception("%s of %s can't be worked on", type(step).__name__, step.key)
                step.fail_internally()
                return None


def _next_look(end: float) -> float:
    """In the last part of a slice, with the next one."""
    look_at = time.monotonic() + LOOK_AROUND_SECONDS
    return look_at if look_at < end - WIND_UP_SECONDS else end


def unreadable(error: BaseException) -> ProviderError:
    return ProviderError(
        f"The provider's answer could not be read: {type(error).__name__}",
        code="invalid_response",
        retryable=True,
        ambiguous=True,
    )
