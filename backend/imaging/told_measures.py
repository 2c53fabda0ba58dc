"""Measures that another program told of a node: whether a node of this grid can have them. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from backend.imaging.grid import Grid, Shape

NEEDED = ("sad_mm", "lad_mm", "volume_mm3", "slice_index")
PLANES = ("axial", "coronal", "sagittal", "oblique")
FLAGS = ("ELLIPSE_DISAGREES", "NOT_AXIAL", "CUT_OFF")
# Patient coordinates of one place, computed twice.
SAME_PLACE_MM = 1e-3
# Lengths and volumes that are the grid's own, computed twice.
ROUNDING = 1 + 1e-6
# No scanner reaches so far; where the grid's spacing is not known.
FARTHEST_MM = 1e5
LOWEST_HU, HIGHEST_HU = -(2**15), 2**15 - 1

Check: TypeAlias = Callable[[Any], str]


def measures_fault(told: Any, shape: Shape, grid: Grid | None) -> str:
    """What of `told` no node on this grid can have, as the end of a sentence; "" if nothing.

    Looked at is what `NodeMeasures` has; more is left alone. `NEEDED` must be there.

    Args:
        told: what should be `NodeMeasures.to_json()`, read from JSON.
        shape: the grid's ``(slices, rows, columns)``.
        grid: the grid itself, where it is known: it bounds millimetres too.
    """
    if not isinstance(told, Mapping):
        return "has no measures"
    checks = _checks(shape, grid)
    for name in (*NEEDED, *(key for key in checks if key in told and key not in NEEDED)):
        if name not in told:
            return f"has no {name}"
        wrong = checks[name](told[name])
        if wrong:
            return f"cannot have {name} {told[name]!r:.60}: {wrong}"
    return _places_fault(told, grid) if grid is not None else ""


def _checks(shape: Shape, grid: Grid | None) -> dict[str, Check]:
    slices, rows, columns = shape
    voxels = math.prod(shape)
    longest_mm, volume_mm3, middle_mm = FARTHEST_MM, FARTHEST_MM**3, (0.0, 0.0, 0.0)
    if grid is not None:
        sides = [n * step for n, step in zip(shape, grid.spacing_mm, strict=True)]
        longest_mm = math.hypot(*sides) * ROUNDING
        volume_mm3 = voxels * grid.voxel_mm3 * ROUNDING
        middle_mm = grid.to_patient(slices / 2, rows / 2, columns / 2)
    length = _number(0, longest_mm, "mm")
    # Outlines run between voxel centres, half a voxel beyond the outermost.
    beyond = 0.5 * ROUNDING
    on_slice = _numbers((2, 2), [(-beyond, rows - 1 + beyond), (-beyond, columns - 1 + beyond)])
    in_grid = [(0, n - 1) for n in shape]
    in_patient = [(at - longest_mm, at + longest_mm) for at in middle_mm]
    ends_mm = _numbers((2, 3), in_patient)
    return {
        "sad_mm": length,
        "lad_mm": length,
        "volume_mm3": _number(0, volume_mm3, "mm³"),
        "slice_index": _whole(0, slices - 1),
        "region_id": _whole(1, rows * columns),
        "lad_points": on_slice,
        "sad_points": on_slice,
        "lad_points_mm": ends_mm,
        "sad_points_mm": ends_mm,
        "longest_any_plane_mm": length,
        "longest_points_mm": ends_mm,
        "longest_plane": _one_of(PLANES),
        "sad_max_over_slices_mm": length,
        "sad_ellipse_mm": length,
        "voxels": _whole(1, voxels),
        "fragmented": _yes_or_no,
        "measurable": _yes_or_no,
        "plane": _one_of(PLANES),
        "flags": _some_of(FLAGS),
        "centroid": _numbers((3,), in_grid),
        "centroid_mm": _numbers((3,), in_patient),
        "bounding_box": _box(shape),
        "mean_hu": lambda value: (
            "" if value is None else _number(LOWEST_HU, HIGHEST_HU, "HU")(value)
        ),
    }


def _places_fault(told: Mapping[str, Any], grid: Grid) -> str:
    """What is said twice, as an index and in the patient, must be one place."""
    at = told["slice_index"]
    pairs = [
        (f"{axis}_mm", told.get(axis), told.get(f"{axis}_mm"))
        for axis in ("lad_points", "sad_points")
    ]
    for name, ends, ends_mm in pairs:
        if ends is None or ends_mm is None:
            continue
        if any(
            _apart(grid.to_patient(at, *end), end_mm)
            for end, end_mm in zip(ends, ends_mm, strict=True)
        ):
            return f"has {name} at another place than on its slice"
    middle, middle_mm = told.get("centroid"), told.get("centroid_mm")
    if middle and middle_mm and _apart(grid.to_patient(*middle), middle_mm):
        return "has centroid_mm at another place than its centroid"
    return ""


def _apart(a: Any, b: Any) -> bool:
    return any(abs(p - q) > SAME_PLACE_MM for p, q in zip(a, b, strict=True))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(least: float, most: float, unit: str) -> Check:
    def check(value: Any) -> str:
        if _is_number(value) and least <= value <= most:
            return ""
        return f"on this grid it is a number from {least:g} to {most:g} {unit}"

    return check


def _whole(least: int, most: int) -> Check:
    def check(value: Any) -> str:
        if type(value) is int and least <= value <= most:
            return ""
        return f"on this grid it is a whole number from {least} to {most}"

    return check


def _numbers(sizes: tuple[int, ...], bounds: Sequence[tuple[float, float]]) -> Check:
    """Lists of that many lists …; the innermost within `bounds`, one pair for each number."""

    def fits(value: Any, sizes: tuple[int, ...]) -> bool:
        if not isinstance(value, list) or len(value) != sizes[0]:
            return False
        if len(sizes) > 1:
            return all(fits(one, sizes[1:]) for one in value)
        return all(
            _is_number(one) and least <= one <= most
            for one, (least, most) in zip(value, bounds, strict=True)
        )

    def check(value: Any) -> str:
        if fits(value, sizes):
            return ""
        ranges = ", ".join(f"{least:g} to {most:g}" for least, most in bounds)
        return f"on this grid it is {' × '.join(map(str, sizes))} numbers, {ranges}"

    return check


def _box(shape: Shape) -> Check:
    def check(value: Any) -> str:
        whole = isinstance(value, list) and len(value) == 6 and all(type(n) is int for n in value)
        if whole and all(
            0 <= start < stop <= size
            for start, stop, size in zip(value[:3], value[3:], shape, strict=True)
        ):
            return ""
        return f"on this grid it is six whole numbers within 0, 0, 0 and {shape}, half-open"

    return check


def _one_of(words: tuple[str, ...]) -> Check:
    return lambda value: "" if value in words else f"it is one of {', '.join(words)}"


def _some_of(words: tuple[str, ...]) -> Check:
    def check(value: Any) -> str:
        if isinstance(value, list) and all(word in words for word in value):
            return ""
        return f"it is a list of {', '.join(words)}"

    return check


def _yes_or_no(value: Any) -> str:
    return "" if isinstance(value, bool) else "it is true or false"
