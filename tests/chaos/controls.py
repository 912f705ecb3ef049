"""For each rule that `sabotage` takes out, the faults that surely bring it to light."""

from __future__ import annotations

from tests.chaos.plan import Plan

CONTROLS = {
    # Held up between a call and its writes until somebody else has the row: the writes are slow,
    # the freezes longer than the lease, and the runs so long that the row is still active then.
    "fencing": Plan(
        simulations=250,
        seconds=60,
        calm=2,
        patience=90,
        run_seconds=10,
        rates={"freeze_worker": 20, "slow_database": 15},
    ),
    # Calls whose acceptance goes missing.
    "gate": Plan(
        simulations=100,
        seconds=30,
        calm=2,
        patience=60,
        rates={"kill_worker": 10, "fail_provider": 120},
    ),
    # Workers that die holding rows.
    "sweep": Plan(
        simulations=100,
        seconds=30,
        calm=2,
        patience=45,
        rates={"kill_worker": 12, "kill_worker_child": 12},
    ),
}
