"""The geometry of charts: across in percent, so that they fit any width; down in pixels. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

PLOT_TOP, PLOT_BOTTOM = 16, 136
# The labels of the ticks stand before the first column.
PLOT_LEFT = 9
COLUMN_SHARE = 0.68
# So many labels fit side by side in a third of the page.
MAX_LABELS = 6
BAR_ROW, BAR_TOP, BAR_HEIGHT = 40, 22, 8

Format = Callable[[float], str]


@dataclass(frozen=True)
class Series:
    """Values in the order of the chart's labels; `kind` is the CSS class that colours them."""

    name: str
    kind: str
    values: Sequence[float]


@dataclass(frozen=True)
class Box:
    """A coloured rectangle: `x` and `width` in percent, `y` and `height` in pixels."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Tick:
    label: str
    y: float


@dataclass(frozen=True)
class Stack:
    """What stands for one label. `title` says its values; `label` is empty where none fits."""

    title: str
    label: str
    centre: float
    y: float
    total: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Chart:
    name: str
    title: str
    description: str
    series: Sequence[Series]
    stacks: Sequence[Stack]
    height: int
    ticks: Sequence[Tick] = ()


def columns(
    name: str,
    title: str,
    labels: Sequence[str],
    series: Sequence[Series],
    *,
    number: Format,
    stacked: bool = True,
    least: float = 2,
) -> Chart:
    """Upright columns, their series one upon the other or, unless `stacked`, before each other.

    `least`: where the axis ends at the lowest.
    """
    combine = sum if stacked else max
    tops = [combine(values) for values in zip(*(one.values for one in series), strict=True)]
    top = round_up(max(tops, default=0), least)
    scale = (PLOT_BOTTOM - PLOT_TOP) / top
    slot = (100 - PLOT_LEFT) / max(len(labels), 1)
    step = ceil(len(labels) / MAX_LABELS)
    stacks = []
    for place, label in enumerate(labels):
        boxes, base = [], 0.0
        for one in series:
            value = one.values[place]
            y = PLOT_BOTTOM - (base + value) * scale
            x = PLOT_LEFT + slot * (place + (1 - COLUMN_SHARE) / 2)
            if value:
                boxes.append(box(one.kind, x, y, slot * COLUMN_SHARE, value * scale))
            base += value if stacked else 0
        is_labelled = (len(labels) - 1 - place) % step == 0
        stacks.append(
            Stack(
                title=describe(label, series, place, number),
                label=label if is_labelled else "",
                centre=round(PLOT_LEFT + slot * (place + 0.5), 2),
                y=PLOT_BOTTOM + 18,
                total=number(tops[place]),
                boxes=tuple(boxes),
            )
        )
    ticks = [
        Tick(number(value), round(PLOT_BOTTOM - value * scale, 2)) for value in (0, top / 2, top)
    ]
    description = sum_up(labels, tops, number)
    return Chart(name, title, description, series, stacks, PLOT_BOTTOM + 28, ticks)


def bars(
    name: str, title: str, labels: Sequence[str], series: Sequence[Series], *, number: Format
) -> Chart:
    """Lying bars, one below the other, each below its label."""
    totals = [sum(values) for values in zip(*(one.values for one in series), strict=True)]
    longest = max(totals, default=0) or 1
    stacks = []
    for place, label in enumerate(labels):
        y, boxes, x = place * BAR_ROW, [], 0.0
        for one in series:
            width = 100 * one.values[place] / longest
            if width:
                boxes.append(box(one.kind, x, y + BAR_TOP, width, BAR_HEIGHT))
            x += width
        stacks.append(
            Stack(
                title=describe(label, series, place, number),
                label=label,
                centre=0,
                y=y + BAR_TOP - 8,
                total=number(totals[place]),
                boxes=tuple(boxes),
            )
        )
    description = sum_up(labels, totals, number)
    return Chart(name, title, description, series, stacks, len(labels) * BAR_ROW)


def box(kind: str, x: float, y: float, width: float, height: float) -> Box:
    return Box(kind, round(x, 2), round(y, 2), round(width, 2), round(height, 2))


def describe(label: str, series: Sequence[Series], place: int, number: Format) -> str:
    values = ((one.name.lower(), one.values[place]) for one in series)
    parts = [f"{name} {number(value) if value else 'none'}" for name, value in values]
    return f"{label}: {', '.join(parts)}"


def sum_up(labels: Sequence[str], values: Sequence[float], number: Format) -> str:
    """What the chart shows at a glance; its table has the rest."""
    if not any(values):
        return "Nothing in this time."
    most = max(values)
    return f"Most: {labels[list(values).index(most)]}, {number(most)}."


def round_up(value: float, least: float = 2) -> float:
    """The next of … 0.2, 0.4, 0.6, 1, 2, 4 …, which halve well, from `least` on."""
    if value <= least:
        return least
    magnitude = 10 ** floor(log10(value))
    return next(step * magnitude for step in (1, 2, 4, 6, 10) if step * magnitude >= value)


def short(number: float) -> str:
    """To three digits or so: 950, 1.2k, 12k, 3.4M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            value = number / limit
            return f"{value:.1f}".removesuffix(".0") + unit if value < 10 else f"{value:.0f}{unit}"
    return f"{number:.0f}"


def money(number: float) -> str:
    """With cents where they matter: 0.42, 9.50, 12, 1.2k."""
    return f"{number:.2f}" if 0 < number < 10 else short(number)


def seconds(number: float) -> str:
    return f"{number:.0f} s"
