"""What was seen from outside, once all is over: the rows, their history, the provider's ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any

from tests.chaos.clients import Journal
from tests.chaos.plan import Fault
from tests.chaos.world import World

Row = dict[str, Any]

SIMULATIONS = """
SELECT simulation.*, simulation.id::text AS id, simulation.run_id::text AS run_id,
    owner.username AS owner, conversation.provider_id AS conversation,
    conversation.protocol AS protocol
FROM simulations_simulation simulation
JOIN accounts_user owner ON owner.id = simulation.owner_id
JOIN simulations_conversation conversation ON conversation.id = simulation.conversation_id
ORDER BY simulation.created_at
"""
RUNS = """
SELECT *, id::text AS id, simulation_id::text AS simulation FROM simulations_run
ORDER BY requested_at
"""
HISTORY = "SELECT *, simulation_id::text AS simulation FROM chaos_history ORDER BY id"


@dataclass
class Evidence:
    """`runs` are the product's own, `ledger` has the provider's; `hits` the calls it failed."""

    journal: Journal
    faults: list[Fault]
    simulations: list[Row]
    runs: list[Row]
    history: list[Row]
    ledger: list[Row]
    hits: list[Row]

    @classmethod
    def collect(cls, world: World, journal: Journal, faults: list[Fault]) -> Evidence:
        return cls(
            journal=journal,
            faults=faults,
            simulations=world.select(SIMULATIONS),
            runs=world.select(RUNS),
            history=world.select(HISTORY),
            ledger=world.emulator.ledger()["runs"],
            hits=world.emulator.hits(),
        )

    @cached_property
    def runs_of(self) -> dict[str, list[Row]]:
        return grouped(self.runs, "simulation")

    @cached_property
    def history_of(self) -> dict[str, list[Row]]:
        return grouped(self.history, "simulation")

    @cached_property
    def ledger_of(self) -> dict[str, list[Row]]:
        """The provider's runs by simulation; under "" those that name none."""
        named = [run | {"simulation": run["metadata"].get("simulation", "")} for run in self.ledger]
        return grouped(named, "simulation")

    @cached_property
    def ledger_by_id(self) -> dict[str, Row]:
        return {run["id"]: run for run in self.ledger}


def round_of(entry: Row) -> tuple[str, int]:
    """The simulation and the round that a run in the ledger was started for."""
    told = entry["metadata"]
    return told.get("simulation", ""), int(told.get("round", 1))


def grouped(rows: Iterable[Row], column: str) -> defaultdict[str, list[Row]]:
    groups: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[itemgetter(column)(row)].append(row)
    return groups
