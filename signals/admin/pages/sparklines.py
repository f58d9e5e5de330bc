"""Sparklines: the course of a measured feature as a small drawing, with its numbers in words."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from typing import Final

from signals.admin.pages.measurements import Measurement, Period
from signals.admin.pages.values import TIMES, brief_number
from signals.verification.features import MAX_CLOCK_SKEW

WIDTH: Final = 240
HEIGHT: Final = 40
_EDGE: Final = 4  # room for the dot of the last point
_MOST_EMPTY_SLOTS: Final = 2
"""Slots without a value that a line passes over; more of them divide it."""


@dataclass(frozen=True, slots=True)
class Plotted:
    """A feature that is drawn: its name with the unit, and its value in a measurement."""

    name: str
    value: Callable[[Measurement], Decimal | None]


PLOTTED: Final = (
    Plotted(
        "Active addresses",
        lambda each: None if each.addr_active is None else Decimal(each.addr_active),
    ),
    Plotted(f"Growth ({TIMES} the previous window)", lambda each: each.growth),
    Plotted("Top-10 share (0 to 1)", lambda each: each.top10_share),
    Plotted("Self-loop ratio (0 to 1)", lambda each: each.self_loop_ratio),
)


@dataclass(frozen=True, slots=True)
class Point:
    """A value at a time, which is finite."""

    at: datetime
    value: Decimal


@dataclass(frozen=True, slots=True)
class Sparkline:
    """A drawing and the numbers beside it.

    `lines` are the points of each unbroken part, as SVG has them; `dots` are the parts of one point, and the
    last point. `left_out` counts the values that are no numbers, such as NaN.
    """

    title: str
    lines: tuple[str, ...]
    dots: tuple[tuple[str, str], ...]
    numbers: tuple[tuple[str, str], ...]
    left_out: int

    @property
    def width(self) -> int:
        return WIDTH

    @property
    def height(self) -> int:
        return HEIGHT


def sparkline(
    feature: Plotted, measurements: Iterable[Measurement], period: Period, now: datetime
) -> Sparkline:
    """Return the drawing of the feature over the period, from measurements with the oldest first."""
    values = [
        (each.as_of, value) for each in measurements if (value := feature.value(each)) is not None
    ]
    points = [Point(at, value) for at, value in values if value.is_finite()]
    placed = _placed(points, now + MAX_CLOCK_SKEW - period.length, period.length)
    parts = list(_parts(points, placed, period.slot * (_MOST_EMPTY_SLOTS + 1)))
    return Sparkline(
        title=period.title,
        lines=tuple(" ".join(f"{x},{y}" for x, y in part) for part in parts if len(part) > 1),
        dots=tuple(
            part[-1]
            for number, part in enumerate(parts, 1)
            if len(part) == 1 or number == len(parts)
        ),
        numbers=_numbers([point.value for point in points]),
        left_out=len(values) - len(points),
    )


def _numbers(values: list[Decimal]) -> tuple[tuple[str, str], ...]:
    if not values:
        return ()
    named = {"first": values[0], "last": values[-1], "min": min(values), "max": max(values)}
    return tuple((name, brief_number(value)) for name, value in named.items())


def _placed(points: list[Point], start: datetime, length: timedelta) -> list[tuple[str, str]]:
    """Return the places of the points in the drawing; equal values lie in its middle."""
    if not points:
        return []
    low, high = (bound(point.value for point in points) for bound in (min, max))
    with localcontext(prec=12):
        span = high - low
        heights = [float((point.value - low) / span) if span else 0.5 for point in points]
    return [
        (
            f"{_EDGE + (point.at - start) / length * (WIDTH - 2 * _EDGE):.1f}",
            f"{HEIGHT - _EDGE - height * (HEIGHT - 2 * _EDGE):.1f}",
        )
        for point, height in zip(points, heights, strict=True)
    ]


def _parts(
    points: list[Point], placed: list[tuple[str, str]], longest_gap: timedelta
) -> Iterator[list[tuple[str, str]]]:
    """Divide the places where more than the longest gap lies between two points."""
    part: list[tuple[str, str]] = []
    for number, place in enumerate(placed):
        if part and points[number].at - points[number - 1].at > longest_gap:
            yield part
            part = []
        part.append(place)
    if part:
        yield part
