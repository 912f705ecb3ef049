"""Tries at a time: each lane is a process with a database and a provider of its own."""

import multiprocessing
import signal
import tempfile
import traceback
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from tests.crashpoints.databases import databases
from tests.crashpoints.tries import Lane, Report, Try, failed
from tests.emulator.process import EmulatorProcess

FORK = multiprocessing.get_context("fork")


class Crew:
    """The lanes' processes. They take tries from one queue and leave reports in the other."""

    def __init__(self, lanes: list[Lane]) -> None:
        self.tries: SimpleQueue[Try] = FORK.SimpleQueue()
        self.reports: SimpleQueue[Report] = FORK.SimpleQueue()
        self.processes = [FORK.Process(target=self._work, args=(lane,)) for lane in lanes]

    def run(self, tries: Iterable[Try]) -> Iterator[Report]:
        """Never more tries in the queue than lanes: neither queue can fill up."""
        waiting = iter(tries)
        under_way = 0
        for tried in islice(waiting, len(self.processes)):
            self.tries.put(tried)
            under_way += 1
        while under_way:
            yield self.reports.get()
            if following := next(waiting, None):
                self.tries.put(following)
            else:
                under_way -= 1

    def start(self) -> None:
        for process in self.processes:
            process.start()

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
            process.join()

    def _work(self, lane: Lane) -> None:
        # Ctrl-C reaches every process of a terminal: the parent decides when lanes end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        lane.enter()
        while True:
            tried = self.tries.get()
            try:
                report = lane.run(tried)
            except Exception:
                report = failed(tried, f"the harness: {traceback.format_exc()}")
            self.reports.put(report)


@contextmanager
def crew(size: int) -> Iterator[Crew]:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sitrep-crash-")))
        lanes = [
            Lane(name, stack.enter_context(EmulatorProcess()), directory / f"{number}.txt")
            for number, name in enumerate(stack.enter_context(databases(size)))
        ]
        gathered = Crew(lanes)
        stack.callback(gathered.stop)
        gathered.start()
        yield gathered
