"""Where the names of marks stand on a chart so that none covers another mark or name. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LETTER, TALL = 7.5, 12.0
_AROUND = (0, 180, 90, 270, 45, 315, 135, 225)
_STEPS = (4.0, 16.0, 30.0, 46.0, 64.0)
Rectangle = tuple[float, float, float, float]


@dataclass(frozen=True)
class Circle:
    """A mark: its middle and how far it reaches."""

    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Label:
    """A name's place: the middle of its foot line; `line` leads there from its mark if `far`."""

    x: float
    y: float
    far: bool
    line: Rectangle


def placed(names: Sequence[str], circles: Sequence[Circle], frame: Rectangle) -> list[Label]:
    """A place for each name beside its mark, or further off with a line where it is crowded.

    Args:
        names: the names, one per mark.
        circles: the marks, in the same order.
        frame: left, top, right and bottom of where names may stand.
    """
    taken: list[Rectangle] = []
    labels = []
    for name, circle in zip(names, circles, strict=True):
        choices = list(_places(name, circle))
        found = min(
            range(len(choices)),
            key=lambda place: (_cost(choices[place][0], circles, taken, frame), place),
        )
        box, label = choices[found]
        taken.append(box)
        labels.append(label)
    return labels


def _places(name: str, circle: Circle) -> Iterator[tuple[Rectangle, Label]]:
    wide = LETTER * len(name)
    for step in _STEPS:
        for angle in _AROUND:
            across, down = math.cos(math.radians(angle)), -math.sin(math.radians(angle))
            reach = circle.radius + step
            x = circle.x + across * (reach + wide / 2)
            y = circle.y + down * (reach + TALL / 2)
            box = (x - wide / 2, y - TALL / 2, x + wide / 2, y + TALL / 2)
            edge = (circle.x + across * circle.radius, circle.y + down * circle.radius)
            end = (circle.x + across * (reach - 1), circle.y + down * (reach - 1))
            yield box, Label(x, y + 4, step > _STEPS[0], (*edge, *end))


def _cost(
    box: Rectangle, circles: Sequence[Circle], taken: Sequence[Rectangle], frame: Rectangle
) -> float:
    """Area of the name that lies over marks, other names, or outside the frame."""
    size = (box[2] - box[0]) * (box[3] - box[1])
    over = sum(_shared(box, (c.x - c.radius, c.y - c.radius, c.x + c.radius, c.y + c.radius))
               for c in circles)  # fmt: skip
    over += 2 * sum(_shared(box, other) for other in taken)
    return round(over + 4 * (size - _shared(box, frame)), 3)


def _shared(a: Rectangle, b: Rectangle) -> float:
    wide = min(a[2], b[2]) - max(a[0], b[0])
    tall = min(a[3], b[3]) - max(a[1], b[1])
    return wide * tall if wide > 0 and tall > 0 else 0.0
