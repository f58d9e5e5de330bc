"""The bars of the chart of verdicts, as numbers for an SVG."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from signals.admin.front_page.figures import Hour
from signals.choices import Decision

WIDTH: Final = 720
HEIGHT: Final = 140
LABELLED: Final = 6
"""Every how many hours the axis has a label."""
_GAP: Final = 4


@dataclass(frozen=True, slots=True)
class Block:
    """The part of a bar that stands for one decision, in units of the chart."""

    decision: Decision
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """The verdicts of an hour."""

    hour: Hour
    x: float
    width: float
    blocks: Sequence[Block]

    @property
    def title(self) -> str:
        """Return the numbers of the bar in words."""
        counts = zip(Decision, self.hour.counts, strict=True)
        said = [f"{count:,} {decision.label.lower()}" for decision, count in counts if count]
        return f"{self.hour.start:%H:%M} UTC: {', '.join(said) or 'none'}"


@dataclass(frozen=True, slots=True)
class Chart:
    """The bars, from the oldest hour to the current one, as high as their verdicts are many.

    `labels` has the times below the axis, at equal distances.
    """

    bars: Sequence[Bar]
    most: int
    labels: Sequence[str]
    width: int = WIDTH
    height: int = HEIGHT


def chart_of(hours: Sequence[Hour]) -> Chart:
    """Return the chart of the hours; the highest bar takes all of its height."""
    most = max((hour.total for hour in hours), default=0)
    step = WIDTH / max(len(hours), 1)
    bars = [
        Bar(
            hour,
            x=round(place * step + _GAP / 2, 2),
            width=round(step - _GAP, 2),
            blocks=list(_blocks(hour, most)),
        )
        for place, hour in enumerate(hours)
    ]
    return Chart(bars, most, [f"{hour.start:%H:%M}" for hour in hours[::LABELLED]])


def _blocks(hour: Hour, most: int) -> Iterator[Block]:
    top = float(HEIGHT)
    for decision in Decision:
        if count := hour.verdicts.get(decision, 0):
            height = HEIGHT * count / most
            top -= height
            yield Block(decision, round(top, 2), round(height, 2))
