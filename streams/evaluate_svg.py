"""Line charts as inline SVG: no library, no script; colours come from the page's style sheet, for light and dark."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from math import ceil, floor, isfinite, log10
from typing import Final

Point = tuple[float, float]

_WIDTH: Final = 520
_HEIGHT: Final = 340
_LEFT: Final = 62
_RIGHT: Final = 14
_TOP: Final = 12
_BOTTOM: Final = 46
_STEPS: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart. A point that is not finite is left out, and the line has a gap there."""

    name: str
    colour: str
    """One of the names of the style sheet."""
    points: Sequence[Point]
    dotted: bool = False
    marked: bool = False
    """With a circle at each point."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis from `least` to `most`."""

    title: str
    least: float
    most: float
    label: Callable[[float], str] = "{:g}".format

    def marks(self, wanted: int = 5) -> list[float]:
        """Round numbers within it, about so many."""
        step = _round_step((self.most - self.least) / wanted)
        first, last = ceil(self.least / step - 1e-9), floor(self.most / step + 1e-9)
        return [round(place * step, 10) for place in range(first, last + 1)]


def around(title: str, values: Sequence[float], label: Callable[[float], str] = "{:g}".format) -> Axis:
    """An axis that has room for all finite values."""
    finite = [value for value in values if isfinite(value)] or [0.0, 1.0]
    least, most = min(finite), max(finite)
    room = (most - least) * 0.05 or 0.5
    return Axis(title, least - room, most + room, label)


def chart(title: str, x: Axis, y: Axis, lines: Sequence[Line]) -> str:
    """The chart with its title and legend."""
    parts = [
        f'<figure><figcaption>{escape(title)}</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{escape(title)}</title>",
        *_grid(x, y),
        *(part for line in lines for part in _drawn(line, x, y)),
        "</svg>",
        f'<p class="legend">{"".join(_legend(line) for line in lines)}</p></figure>',
    ]
    return "\n".join(parts)


def _grid(x: Axis, y: Axis) -> list[str]:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    parts = []
    for mark in x.marks():
        at = _across(x, mark)
        parts.append(f'<line class="grid" x1="{at}" y1="{_TOP}" x2="{at}" y2="{bottom}"/>')
        parts.append(f'<text x="{at}" y="{bottom + 17}" text-anchor="middle">{escape(x.label(mark))}</text>')
    for mark in y.marks():
        at = _up(y, mark)
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{at}" x2="{right}" y2="{at}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4}" text-anchor="end">{escape(y.label(mark))}</text>')
    middle = (_TOP + bottom) / 2
    parts.append(f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(x.title)}</text>')
    turned = f'transform="rotate(-90 14 {middle})"'
    parts.append(f'<text x="14" y="{middle}" text-anchor="middle" {turned}>{escape(y.title)}</text>')
    return parts


def _drawn(line: Line, x: Axis, y: Axis) -> list[str]:
    colour = escape(line.colour)
    parts = []
    for run in _runs(line.points):
        places = " ".join(f"{_across(x, point[0])},{_up(y, point[1])}" for point in run)
        dots = ' stroke-dasharray="5 4"' if line.dotted else ""
        parts.append(f'<polyline class="line {colour}"{dots} points="{places}"/>')
        if line.marked or len(run) == 1:
            parts += [f'<circle class="dot {colour}" cx="{_across(x, a)}" cy="{_up(y, b)}" r="3"/>' for a, b in run]
    return parts


def _runs(points: Sequence[Point]) -> list[list[Point]]:
    """The parts of a line between its gaps."""
    gaps = [-1, *(place for place, point in enumerate(points) if not all(map(isfinite, point))), len(points)]
    runs = [list(points[before + 1 : after]) for before, after in pairwise(gaps)]
    return [run for run in runs if run]


def _legend(line: Line) -> str:
    return f'<span class="{escape(line.colour)}">{"┄" if line.dotted else "━"} {escape(line.name)}</span>'


def _across(axis: Axis, value: float) -> float:
    return round(_LEFT + (value - axis.least) / (axis.most - axis.least) * (_WIDTH - _LEFT - _RIGHT), 1)


def _up(axis: Axis, value: float) -> float:
    share = (value - axis.least) / (axis.most - axis.least)
    return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)


def _round_step(step: float) -> float:
    size = 10.0 ** floor(log10(step))
    return size * next(round_ for round_ in _STEPS if round_ * size >= step * (1 - 1e-9))
