"""The geometry of the charts."""

from itertools import pairwise

import pytest

from simulations.usage import charts
from simulations.usage.charts import PLOT_BOTTOM, PLOT_TOP, Chart, Series


def series(*rows: list[float]) -> list[Series]:
    return [Series(f"S{n}", f"kind{n}", row) for n, row in enumerate(rows)]


def columns(*rows: list[float], stacked: bool = True) -> Chart:
    labels = [f"L{n}" for n in range(len(rows[0]))]
    return charts.columns("x", "X", labels, series(*rows), number=charts.short, stacked=stacked)


def test_stacked_columns_stand_upon_each_other_within_the_plot() -> None:
    chart = columns([3, 30, 0], [1, 10, 0])
    for stack in chart.stacks[:2]:
        low, high = stack.boxes
        assert low.y + low.height == pytest.approx(PLOT_BOTTOM, abs=0.02)
        assert high.y + high.height == pytest.approx(low.y, abs=0.02)
        assert high.y >= PLOT_TOP
        assert low.height == pytest.approx(3 * high.height, abs=0.05)
    assert chart.stacks[2].boxes == ()
    assert [tick.label for tick in chart.ticks] == ["0", "20", "40"]
    assert chart.ticks[-1].y == PLOT_TOP
    assert chart.description == "Most: L1, 40."


def test_columns_before_each_other_begin_at_the_bottom() -> None:
    [stack] = columns([50.0], [20.0], stacked=False).stacks
    assert [box.y + box.height for box in stack.boxes] == [PLOT_BOTTOM, PLOT_BOTTOM]
    assert stack.total == "50"


@pytest.mark.parametrize("count", [1, 3, 12, 24])
def test_columns_keep_apart_and_some_are_labelled(count: int) -> None:
    chart = columns([1.0] * count)
    boxes = [stack.boxes[0] for stack in chart.stacks]
    for left, right in pairwise(boxes):
        assert left.x + left.width < right.x
    assert boxes[-1].x + boxes[-1].width <= 100
    labelled = [stack.label for stack in chart.stacks if stack.label]
    assert 1 <= len(labelled) <= charts.MAX_LABELS
    assert labelled[-1] == f"L{count - 1}", "the latest month has its name"


def test_bars_are_as_long_as_their_values() -> None:
    chart = charts.bars("x", "X", ["a", "b"], series([6, 1], [2, 1]), number=charts.short)
    longest, shorter = chart.stacks
    assert [(box.x, box.width) for box in longest.boxes] == [(0, 75), (75, 25)]
    assert sum(box.width for box in shorter.boxes) == 25
    assert (longest.title, longest.total) == ("a: s0 6, s1 2", "8")
    assert chart.height == 2 * charts.BAR_ROW


def test_nothing_is_a_chart_as_well() -> None:
    assert columns([0.0, 0.0]).description == "Nothing in this time."
    assert charts.bars("x", "X", [], series([]), number=charts.short).stacks == []


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (950, "950"), (1_200, "1.2k"), (2_000, "2k"), (12_345, "12k"), (3.4e6, "3.4M")],
)
def test_numbers_in_short(number: float, text: str) -> None:
    assert charts.short(number) == text


@pytest.mark.parametrize(("value", "top"), [(0, 2), (3, 4), (5, 6), (7, 10), (11, 20), (450, 600)])
def test_axes_end_at_round_numbers(value: float, top: float) -> None:
    assert charts.round_up(value) == top
