"""A node's short axis over the steps of its life, as one small picture. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

MARKS = {
    "ai": "Square: AI.",
    "first": "Disc: first reader.",
    "second": "Ring: second reader.",
    "agreed": "Diamond: agreed.",
}
LEFT, RIGHT, TOP, PLOT, FOOT = 38.0, 12.0, 10.0, 120.0, 24.0
STEP, LANE_GAP = 26.0, 22.0
THRESHOLDS_MM = (5.0, 10.0, 15.0)


@dataclass(frozen=True)
class Point:
    """One step: its lane and the lane's name, its short axis, where a click leads, its words."""

    lane: str
    name: str
    sad_mm: float
    url: str
    title: str


def chart(points: Sequence[Point]) -> str:
    """SVG markup; "" where nothing was measured. Lanes from left to right, steps in order."""
    if not points:
        return ""
    highest = max(6.0, *(point.sad_mm for point in points)) * 1.12
    lanes = [(name, list(found)) for name, found in groupby(points, key=lambda p: p.name)]
    widths = [max(STEP * len(found), 64.0) for _, found in lanes]
    width = LEFT + sum(widths) + LANE_GAP * (len(lanes) - 1) + RIGHT
    height = TOP + PLOT + FOOT

    def y_of(sad_mm: float) -> float:
        return TOP + (1 - sad_mm / highest) * PLOT

    parts = []
    for threshold in (0.0, *THRESHOLDS_MM):
        if threshold < highest:
            y = y_of(threshold)
            parts.append(
                f'<line class="rule" x1="{LEFT:.1f}" y1="{y:.1f}" x2="{width - RIGHT:.1f}" '
                f'y2="{y:.1f}"/><text class="tick" x="{LEFT - 7:.1f}" y="{y + 4:.1f}" '
                f'text-anchor="end">{threshold:g}</text>'
            )
    x, before = LEFT, None
    for (name, found), wide in zip(lanes, widths, strict=True):
        places = [
            (x + (index + 0.5) * wide / len(found), y_of(point.sad_mm))
            for index, point in enumerate(found)
        ]
        if before is not None:
            parts.append(_path([before, places[0]], "link"))
        parts.append(_path(places, "steps"))
        for point, (px, py) in zip(found, places, strict=True):
            parts.append(
                f'<a href="{escape(point.url)}">{_mark(point.lane, px, py)}'
                f"<title>{escape(point.title)}</title></a>"
            )
        parts.append(
            f'<text class="lane" x="{x + wide / 2:.1f}" y="{height - 6:.1f}" '
            f'text-anchor="middle">{escape(name)}</text>'
        )
        before, x = places[-1], x + wide + LANE_GAP
    words = ", ".join(f"{point.name} {point.sad_mm:.1f}" for point in points)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="life-chart" viewBox="0 0 {width:.0f} '
        f'{height:.0f}" width="{width:.0f}" height="{height:.0f}" role="group" '
        f'aria-label="Short axis in mm over its steps: {escape(words)}">{"".join(parts)}</svg>'
    )


def marks_of(points: Sequence[Point]) -> str:
    """What the marks that are there mean, and no others."""
    lanes = {point.lane for point in points}
    return " ".join(words for lane, words in MARKS.items() if lane in lanes)


def _path(places: Sequence[tuple[float, float]], kind: str) -> str:
    if len(places) < 2:
        return ""
    points = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    return f'<path class="{kind}" d="M{points}"/>'


def _mark(lane: str, x: float, y: float) -> str:
    """A square for the AI, discs for readers (the second's hollow), a diamond for the agreed."""
    if lane == "ai":
        return f'<rect class="mark" x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>'
    if lane == "agreed":
        return f'<path class="mark full" d="M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z"/>'
    kind = "mark full" if lane == "first" else "mark"
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4.2"/>'
