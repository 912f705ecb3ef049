"""How long runs take: the same for all, or drawn for each question."""

from __future__ import annotations

import math
import statistics

import pytest

from emulator.latency import Latency

QUESTIONS = [f"Is depot {number} safe?" for number in range(2000)]


def duration(run):
    return run["ended_at"] - run["created_at"]


def test_it_is_lognormal():
    latency = Latency(median=30, sigma=0.5, seed=7)
    logs = [math.log(latency.of(question)) for question in QUESTIONS]
    assert statistics.median(logs) == pytest.approx(math.log(30), abs=0.05)
    assert statistics.stdev(logs) == pytest.approx(0.5, abs=0.03)


def test_the_same_seed_gives_the_same_latency():
    drawn = Latency(30, 0.5, seed=7).of("Is it safe?")
    assert drawn == Latency(30, 0.5, seed=7).of("Is it safe?")
    assert drawn != Latency(30, 0.5, seed=8).of("Is it safe?")
    assert Latency(30, 0.5).of("\ud800") > 0


def test_a_question_takes_as_long_whatever_the_order(emulator, ask):
    settings = {"median": 30, "sigma": 0.5, "seed": 7}
    assert emulator.control(latency=settings)["latency"] == settings
    for question in QUESTIONS[:5] + QUESTIONS[4::-1]:
        ask(question)
    drawn = [round(duration(run), 3) for run in emulator.ledger()["runs"]]
    assert drawn[:5] == drawn[:4:-1]
    assert len(set(drawn)) == 5


def test_threads_draw_as_well(emulator, threads):
    emulator.control(latency={"median": 30, "sigma": 0.5})
    for question in QUESTIONS[:2]:
        thread = threads.create(messages=[{"role": "user", "content": question}])
        threads.runs.create(thread.id, assistant_id="asst_demo")
    first, second = (duration(run) for run in emulator.ledger()["runs"])
    assert first != pytest.approx(second)


def test_a_reset_ends_the_distribution(emulator):
    emulator.control(latency={"median": 30, "sigma": 0.5})
    emulator.reset()
    assert emulator.request("GET", "/control")["latency"] == 0
