"""The charts of a report as inline SVG, written by hand so that the same data give the same bytes.

Every mark says by its shape, not only by its colour, what it is. Presentation attributes carry a
palette for paper; the page's style sheet may override them by class.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from backend.reports.chart_labels import Circle, placed

Kind = Literal["kept", "added", "rejected", "untouched"]

_FILL: dict[Kind, str] = {
    "kept": "#2b8a7c",
    "added": "#3d6fb4",
    "rejected": "none",
    "untouched": "none",
}
_STROKE: dict[Kind, str] = {
    "kept": "#2b8a7c",
    "added": "#3d6fb4",
    "rejected": "#b3541e",
    "untouched": "#8b979c",
}


@dataclass(frozen=True)
class Spot:
    """One node on the map: patient x (mm, left is greater), z (mm, up is greater), short axis."""

    number: str
    kind: Kind
    x_mm: float
    z_mm: float
    sad_mm: float


def _n(value: float) -> str:
    """A coordinate with at most one decimal, never "-0"."""
    text = f"{value:.1f}".rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def _text(x: float, y: float, words: str, kind: str = "tick", anchor: str = "start") -> str:
    return (
        f'<text class="{kind}" x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}" '
        f'font-size="14" fill="#5c686d">{escape(words)}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    how = 'stroke="#5c686d" stroke-dasharray="4 3"' if kind == "threshold" else 'stroke="#dde2e4"'
    how = 'stroke="#8b979c"' if kind == "lead" else how
    return (
        f'<line class="{kind}" x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}" '
        f'{how} stroke-width="1"/>'
    )


def _svg(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    body = "".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {_n(width)} '
        f'{_n(height)}" width="{_n(width)}" height="{_n(height)}" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title>{body}</svg>'
    )


def _ticks(low: float, high: float, step: float) -> list[float]:
    first = -(-low // step) * step
    return [first + i * step for i in range(int((high - first) // step) + 1)]


def _mark(kind: Kind, x: float, y: float, radius: float) -> str:
    """Kept: a disc; added: a square; rejected: a cross in a ring; untouched: a ring."""
    style = f'class="{kind}" fill="{_FILL[kind]}" stroke="{_STROKE[kind]}" stroke-width="1.4"'
    if kind == "added":
        side = 1.8 * radius
        return (
            f'<rect {style} x="{_n(x - side / 2)}" y="{_n(y - side / 2)}" width="{_n(side)}" '
            f'height="{_n(side)}" fill-opacity="0.55"/>'
        )
    ring = f'<circle {style} cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" fill-opacity="0.55"/>'
    if kind != "rejected":
        return ring
    d = radius * 0.7
    return ring + (
        f'<path {style} d="M{_n(x - d)} {_n(y - d)}L{_n(x + d)} {_n(y + d)}'
        f'M{_n(x - d)} {_n(y + d)}L{_n(x + d)} {_n(y - d)}"/>'
    )


def node_map(
    spots: Sequence[Spot], *, x_range_mm: tuple[float, float], z_range_mm: tuple[float, float]
) -> str:
    """All nodes as seen from the front: the patient's right on the left, head up.

    Marks are drawn to scale (diameter = short axis), never smaller than can be seen. Both ranges
    are those of the images, so that the empty part of the scan shows as empty.
    """
    low_x, high_x = x_range_mm
    low_z, high_z = z_range_mm
    left, top, bottom = 46.0, 16.0, 34.0
    scale = min(470 / max(high_x - low_x, 1), 430 / max(high_z - low_z, 1))
    width, height = (high_x - low_x) * scale, (high_z - low_z) * scale

    def at(spot: Spot) -> tuple[float, float]:
        return left + (spot.x_mm - low_x) * scale, top + (high_z - spot.z_mm) * scale

    parts = [
        f'<rect class="ground" x="{_n(left)}" y="{_n(top)}" width="{_n(width)}" '
        f'height="{_n(height)}" fill="none" stroke="#c8d0d3"/>'
    ]
    step = 50.0 if high_z - low_z > 120 else 20.0
    for z in _ticks(low_z, high_z, step):
        y = top + (high_z - z) * scale
        parts += [
            _line(left, y, left + width, y, "rule"),
            _text(left - 6, y + 4, _n(z), anchor="end"),
        ]
    foot = top + height + 16
    parts += [
        _text(left, foot, "right"),
        _text(left + width, foot, "left", anchor="end"),
        _text(left + width / 2, foot, "seen from the front, z in mm", anchor="middle"),
    ]
    drawn = sorted(spots, key=lambda s: (-s.sad_mm, s.number))
    circles = [Circle(*at(spot), max(spot.sad_mm * scale / 2, 3.0)) for spot in drawn]
    parts += [_mark(s.kind, c.x, c.y, c.radius) for s, c in zip(drawn, circles, strict=True)]
    frame = (left, top, left + width, top + height)
    for spot, label in zip(drawn, placed([s.number for s in drawn], circles, frame), strict=True):
        if label.far:
            parts.append(_line(*label.line, "lead"))
        parts.append(_text(label.x, label.y, spot.number, "name", "middle"))
    return _svg(left + width + 30, top + height + bottom, "Map of all nodes", parts)


def sensitivity_chart(points: Sequence[tuple[str, float, float]]) -> str:
    """Share of each signed node the AI found (y) against its short axis in mm (x).

    Args:
        points: ``(number, sad_mm, sensitivity)`` of every signed node.
    """
    left, top, width, height = 46.0, 28.0, 430.0, 300.0
    widest = max([20.0, *(sad for _, sad, _ in points)])
    high = -(-widest // 5) * 5

    def x_of(sad: float) -> float:
        return left + sad / high * width

    def y_of(share: float) -> float:
        return top + (1 - share) * height

    parts = [
        f'<rect class="ground" x="{_n(left)}" y="{_n(top)}" width="{_n(width)}" '
        f'height="{_n(height)}" fill="none" stroke="#c8d0d3"/>'
    ]
    for share in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        kind = "threshold" if share == 0.4 else "rule"
        parts += [
            _line(left, y_of(share), left + width, y_of(share), kind),
            _text(left - 6, y_of(share) + 4, f"{share:.1f}", anchor="end"),
        ]
    for sad in _ticks(0, high, 5):
        parts.append(_text(x_of(sad), top + height + 16, _n(sad), anchor="middle"))
    parts.append(_line(x_of(10), top, x_of(10), top + height, "threshold"))
    parts += [
        _text(left + 6, y_of(0.4) - 5, "found from 0.4"),
        _text(left + width / 2, top + height + 34, "short axis in mm", anchor="middle"),
        _text(0, 15, "share of the node’s voxels that the AI had proposed"),
    ]
    for number, sad, share in sorted(points):
        x, y = x_of(sad), y_of(share)
        parts.append(_mark("kept" if share > 0 else "added", x, y, 4.0))
        if share <= 0.42:
            parts.append(_text(x + 7, y - 5, number, "name"))
    return _svg(left + width + 24, top + height + 42, "Sensitivity by short axis", parts)


def bland_altman_chart(
    points: Sequence[tuple[str, str, float, float]], limits: tuple[float, float, float] | None
) -> str:
    """Differences of two readers' short axes (y) against their mean (x), both in mm.

    Args:
        points: ``(name, kind, mean_mm, difference_mm)`` of every pair; the kind is that of
            `agreement.Pair`.
        limits: lower limit, bias, upper limit of the pairs that somebody edited; None for too few.
    """
    left, top, width, height = 46.0, 28.0, 430.0, 260.0
    widest = max([20.0, *(mean for *_, mean, _ in points)])
    wide = -(-widest // 5) * 5
    apart = [abs(d) for *_, d in points] + [abs(value) for value in limits or ()]
    reach = max(1.0, math.ceil(max(apart, default=0) * 1.1))

    def x_of(mean: float) -> float:
        return left + mean / wide * width

    def y_of(difference: float) -> float:
        return top + (reach - difference) / (2 * reach) * height

    parts = [
        f'<rect class="ground" x="{_n(left)}" y="{_n(top)}" width="{_n(width)}" '
        f'height="{_n(height)}" fill="none" stroke="#c8d0d3"/>'
    ]
    for value in _ticks(-reach, reach, 1.0 if reach <= 4 else 2.0 if reach <= 8 else 5.0):
        parts += [
            _line(left, y_of(value), left + width, y_of(value), "rule"),
            _text(left - 6, y_of(value) + 4, _n(value).replace("-", "−"), anchor="end"),
        ]
    for mean in _ticks(0, wide, 5):
        parts.append(_text(x_of(mean), top + height + 16, _n(mean), anchor="middle"))
    for name, value in zip(("lower limit", "bias", "upper limit"), limits or (), strict=False):
        y = y_of(value)
        parts += [
            _line(left, y, left + width, y, "threshold"),
            _text(left + width + 6, y + 4, name),
        ]
    parts += [
        _text(
            left + width / 2, top + height + 34, "mean short axis of both in mm", anchor="middle"
        ),
        _text(0, 15, "short axis in mm, second reader − first"),
    ]
    for _, kind, mean, difference in sorted(points):
        mark: Kind = {"edited": "kept", "added": "added"}.get(kind, "untouched")  # type: ignore[assignment]
        parts.append(_mark(mark, x_of(mean), y_of(difference), 4.0))
    title = "Differences of short axes between the readers"
    return _svg(left + width + 96, top + height + 42, title, parts)
