"""Which of a study's volumes a protocol reads, and why not the others. Pure.

The protocol's criteria stand in a fixed order; of two volumes the one that is better in the first
criterion in which they differ comes first. So one sentence says why a volume was not chosen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from backend.imaging.grid import Grid

SHARP_FROM = 60
"""Kernels named by a letter and a number (B31f, Br40, Hr64) are sharp from this number on."""
_KERNEL_NUMBER = re.compile(r"[A-Z][A-Z]?(\d{2})")
_HEAD_FOOT = 2  # The axis of LPS coordinates that runs from the feet to the head.


@dataclass(frozen=True)
class Candidate:
    """What the ranking asks of one volume; "" or None where its images do not say.

    Attributes:
        key: what the caller knows it by.
        name: what sentences call it.
        slice_distance_mm: between slice positions; the thickness is the header's.
        coverage_mm: how far it reaches from head to foot.
        matrix: (rows, columns).
        original: whether its first image says ORIGINAL.
        order: earlier of what is equal in everything: series number, then UID.
    """

    key: str
    name: str
    modality: str
    plane: str
    body_part: str
    contrast: bool
    thickness_mm: float | None
    slice_distance_mm: float
    coverage_mm: float
    kernel: str
    matrix: tuple[int, int]
    original: bool
    order: tuple[int, str]


@dataclass(frozen=True)
class Point:
    """How a candidate stands in one criterion: a higher `grade` is better; `said` is the fact."""

    criterion: str
    grade: float
    said: str
    good: bool = True


@dataclass(frozen=True)
class Ranked:
    """A candidate in its place, from 1; `reason` is a sentence."""

    candidate: Candidate
    place: int
    points: tuple[Point, ...]
    reason: str


Criterion: TypeAlias = Callable[[Mapping[str, Any], Candidate], Point | None]


def coverage_mm(grid: Grid) -> float:
    """How far a volume reaches from head to foot, slice thickness included."""
    axes = (grid.normal, grid.column_direction, grid.row_direction)
    return sum(
        count * spacing * abs(axis[_HEAD_FOOT])
        for count, spacing, axis in zip(grid.shape, grid.spacing_mm, axes, strict=True)
    )


def rank(rule: Mapping[str, Any], candidates: Sequence[Candidate]) -> list[Ranked]:
    """The candidates of the rule's modality, the one to read first; in whatever order they come."""
    taken = [c for c in candidates if c.modality == rule["modality"]]
    graded = [(c, _points(rule, c)) for c in taken]
    graded.sort(key=lambda pair: (*(-p.grade for p in pair[1]), *pair[0].order))
    if not graded:
        return []
    best, its = graded[0]
    found = [Ranked(best, 1, its, _chosen(its))]
    for place, (candidate, points) in enumerate(graded[1:], start=2):
        found.append(Ranked(candidate, place, points, _passed_over(best, its, points)))
    return found


def _points(rule: Mapping[str, Any], candidate: Candidate) -> tuple[Point, ...]:
    found = (criterion(rule, candidate) for criterion in _CRITERIA)
    return tuple(point for point in found if point is not None)


def _plane(rule: Mapping[str, Any], c: Candidate) -> Point | None:
    if not rule["plane"]:
        return None
    right = c.plane == rule["plane"]
    return Point("plane", float(right), f"{c.plane} slices", right)


def _body_part(rule: Mapping[str, Any], c: Candidate) -> Point | None:
    if not rule["body_parts"]:
        return None
    part = _plain(c.body_part)
    if not part:
        return Point("body part", 1.0, "no body part is given", good=False)
    right = part in {_plain(name) for name in rule["body_parts"]}
    return Point("body part", 2.0 * right, f"body part {c.body_part}", right)


def _plain(text: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", text.upper())


def _contrast(rule: Mapping[str, Any], c: Candidate) -> Point | None:
    if not rule["contrast_required"]:
        return None
    said = "contrast agent given" if c.contrast else "no contrast agent is recorded"
    return Point("contrast", float(c.contrast), said, c.contrast)


def _coverage(rule: Mapping[str, Any], c: Candidate) -> Point | None:
    needed = float(rule["coverage_mm"] or 0)
    if not needed:
        return None
    reached = round(c.coverage_mm)
    enough = reached >= needed
    said = f"covers {reached} mm from head to foot"
    said += "" if enough else f" of the {needed:g} mm needed"
    return Point("coverage", min(float(reached), needed), said, enough)


def _thickness(rule: Mapping[str, Any], c: Candidate) -> Point | None:
    thinnest, thickest = rule["slice_thickness_mm"]
    if c.thickness_mm is None:
        return Point("thickness", -1e3, "no slice thickness is given", good=False)
    outside = max(thinnest - c.thickness_mm, c.thickness_mm - thickest, 0.0)
    said = f"slices {c.thickness_mm:.4g} mm thick"
    said += f", outside {thinnest:g}–{thickest:g} mm" if outside else ""
    return Point("thickness", -round(outside, 3), said, not outside)


def _kernel(rule: Mapping[str, Any], c: Candidate) -> Point | None:
    if not rule["sharp_kernels"]:
        return None
    name = c.kernel.upper()
    number = _KERNEL_NUMBER.match(name)
    sharp = any(word in name for word in rule["sharp_kernels"])
    sharp = sharp or bool(number and int(number[1]) >= SHARP_FROM)
    if not name:
        return Point("kernel", 0.5, "no kernel is given")
    return Point("kernel", float(not sharp), f"{'sharp ' * sharp}kernel {c.kernel}", not sharp)


def _distance(rule: Mapping[str, Any], c: Candidate) -> Point:
    apart = round(c.slice_distance_mm, 2)
    return Point("slice distance", -apart, f"slices {apart:g} mm apart")


def _original(rule: Mapping[str, Any], c: Candidate) -> Point:
    said = "images of the scanner" if c.original else "images derived from others"
    return Point("original", float(c.original), said)


def _matrix(rule: Mapping[str, Any], c: Candidate) -> Point:
    rows, columns = c.matrix
    return Point("matrix", float(rows * columns), f"{rows} × {columns} pixels")


_CRITERIA: tuple[Criterion, ...] = (
    _plane,
    _body_part,
    _contrast,
    _coverage,
    _thickness,
    _kernel,
    _original,
    _distance,
    _matrix,
)


def _chosen(points: Sequence[Point]) -> str:
    wanting = [point.said for point in points if not point.good]
    said = "Fits best of what the study has"
    return f"{said}, though: {'; '.join(wanting)}." if wanting else f"{said}."


def _passed_over(best: Candidate, its: Sequence[Point], points: Sequence[Point]) -> str:
    for theirs, own in zip(its, points, strict=True):
        if theirs.grade != own.grade:
            return f"{own.said[:1].upper()}{own.said[1:]}; {best.name}: {theirs.said}."
    return f"Equal in everything the protocol asks; {best.name} comes first by its number."
