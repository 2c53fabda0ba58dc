"""A node before and after one step, on one slice: a crop of the image with both outlines. Pure.

An SVG image of its own: the grey crop inside as PNG, the outlines as paths along voxel edges, in
millimetres, so that they are exactly what the masks hold and stay sharp at any size. Before is
dashed and pale, after is solid; what was added and what was taken away is tinted. The same arrays
give the same bytes.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backend.imaging.grid import Grid

WINDOW_WIDTH_HU, WINDOW_LEVEL_HU = 350.0, 60.0
OUTSIDE_HU = -1000
SIDE_PX = 300
NARROWEST_MM, MARGIN_MM = 32.0, 9.0
SCALE_MM = 10.0
BEFORE, AFTER, ADDED, REMOVED, LINE = "#f0f4f5", "#57d6be", "#57d6be", "#dfb160", "#ebf0f1"

Plane = NDArray[np.bool_]
Box = tuple[int, int, int, int, int, int]


@dataclass(frozen=True)
class View:
    """What all pictures of one node show: the same middle, the same width.

    Attributes:
        row, column: voxel index of the middle, fractional.
        extent_mm: width and height.
    """

    row: float
    column: float
    extent_mm: float


def view_of(boxes: Sequence[Sequence[int]], grid: Grid) -> View:
    """A view that holds every one of the boxes ``[z0, y0, x0, z1, y1, x1]`` with a margin."""
    _, rows, columns = grid.shape
    if not boxes:
        return View((rows - 1) / 2, (columns - 1) / 2, NARROWEST_MM)
    low_row, low_column = min(box[1] for box in boxes), min(box[2] for box in boxes)
    high_row, high_column = max(box[4] for box in boxes), max(box[5] for box in boxes)
    _, row_mm, column_mm = grid.spacing_mm
    widest = max((high_row - low_row) * row_mm, (high_column - low_column) * column_mm)
    extent = max(NARROWEST_MM, float(np.ceil(widest + 2 * MARGIN_MM)))
    return View((low_row + high_row - 1) / 2, (low_column + high_column - 1) / 2, extent)


def crop(
    plane_hu: NDArray[np.int16],
    grid: Grid,
    view: View,
    *,
    before: Plane | None,
    after: Plane | None,
    short_axis: Sequence[tuple[float, float]] = (),
) -> bytes:
    """SVG bytes of the crop of one slice.

    Args:
        plane_hu: the slice ``(rows, columns)``.
        grid: its grid.
        view: the middle and the width.
        before, after: the node on that slice ``(rows, columns)``, or None where it was not.
        short_axis: the two ends of the short axis as ``(row, column)`` voxel indices.
    """
    _, row_mm, column_mm = grid.spacing_mm
    frame = _Frame(view, row_mm, column_mm)
    side = f"{view.extent_mm:.3f}"
    parts = [f'<image width="{side}" height="{side}" href="{_grey(plane_hu, frame)}"/>']
    if before is not None and after is not None:
        parts += _tint(after & ~before, frame, ADDED)
        parts += _tint(before & ~after, frame, REMOVED)
    if after is not None:
        parts.append(_outline(after, frame, AFTER, 'stroke-width="1.7"'))
    if before is not None:
        parts.append(_outline(before, frame, BEFORE, 'stroke-width="1.2" stroke-dasharray="2 2.5"'))
    if len(short_axis) == 2:
        (x1, y1), (x2, y2) = (frame.place(row + 0.5, column + 0.5) for row, column in short_axis)
        parts.append(f'<path d="M{x1:.2f} {y1:.2f}L{x2:.2f} {y2:.2f}" stroke="{LINE}"/>')
    low = view.extent_mm - 1.6
    parts.append(f'<path d="M1.6 {low:.2f}h{SCALE_MM:g}" stroke="{LINE}" stroke-width="2"/>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" width="{SIDE_PX}" '
        f'height="{SIDE_PX}" fill="none" stroke-linecap="square">'
        f"<style>path{{vector-effect:non-scaling-stroke}}</style>{''.join(parts)}</svg>"
    ).encode("ascii")


@dataclass(frozen=True)
class _Frame:
    """Where voxel corners lie on the picture, in mm."""

    view: View
    row_mm: float
    column_mm: float

    @property
    def corner(self) -> tuple[float, float]:
        """Row and column of the upper left corner, as voxel corners."""
        half = self.view.extent_mm / 2
        return (
            self.view.row + 0.5 - half / self.row_mm,
            self.view.column + 0.5 - half / self.column_mm,
        )

    def place(self, row: float, column: float) -> tuple[float, float]:
        """Picture coordinates (x, y) in mm of a voxel corner."""
        top, left = self.corner
        return (column - left) * self.column_mm, (row - top) * self.row_mm


def _grey(plane: NDArray[np.int16], frame: _Frame) -> str:
    """The windowed crop as a `data:` address; outside the image is air."""
    rows = frame.view.extent_mm / frame.row_mm
    columns = frame.view.extent_mm / frame.column_mm
    top, left = frame.corner
    row0, column0 = int(np.floor(top)) - 2, int(np.floor(left)) - 2
    part = _cut(plane, row0, column0, int(rows) + 6, int(columns) + 6).astype(np.float32)
    low = WINDOW_LEVEL_HU - WINDOW_WIDTH_HU / 2
    grey = np.clip(np.rint((part - low) * (255 / WINDOW_WIDTH_HU)), 0, 255).astype(np.uint8)
    y, x = top - row0, left - column0
    picture = Image.fromarray(grey, mode="L").resize(
        (SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC, (x, y, x + columns, y + rows)
    )
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=False, compress_level=9)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _cut(
    plane: NDArray[np.int16], row0: int, column0: int, rows: int, columns: int
) -> NDArray[np.int16]:
    """A part of a slice that may reach over its border."""
    part = np.full((rows, columns), OUTSIDE_HU, np.int16)
    top, left = max(row0, 0), max(column0, 0)
    found = plane[top : max(row0 + rows, 0), left : max(column0 + columns, 0)]
    part[top - row0 :, left - column0 :][: found.shape[0], : found.shape[1]] = found
    return part


def _outline(plane: Plane, frame: _Frame, colour: str, style: str) -> str:
    lines = []
    for start, end in _edges(plane):
        (x1, y1), (x2, y2) = frame.place(*start), frame.place(*end)
        lines.append(f"M{x1:.2f} {y1:.2f}L{x2:.2f} {y2:.2f}")
    return f'<path d="{"".join(lines)}" stroke="{colour}" {style}/>' if lines else ""


def _edges(plane: Plane) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """The outline as straight pieces along voxel edges, as pairs of ``(row, column)`` corners.

    Edges that go on in one line are one piece, so that dashes run through.
    """
    inside = np.pad(plane, 1)
    across = inside[1:, 1:-1] != inside[:-1, 1:-1]
    for row in np.flatnonzero(across.any(axis=1)):
        for start, end in _runs(across[row]):
            yield (int(row), start), (int(row), end)
    down = inside[1:-1, 1:] != inside[1:-1, :-1]
    for column in np.flatnonzero(down.any(axis=0)):
        for start, end in _runs(down[:, column]):
            yield (start, int(column)), (end, int(column))


def _runs(line: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Half-open runs of True."""
    steps = np.flatnonzero(np.diff(np.concatenate(([0], line.view(np.int8), [0]))))
    yield from zip(steps[::2].tolist(), steps[1::2].tolist(), strict=True)


def _tint(plane: Plane, frame: _Frame, colour: str) -> list[str]:
    shapes = []
    for row in np.flatnonzero(plane.any(axis=1)):
        for start, end in _runs(np.ascontiguousarray(plane[row])):
            x, y = frame.place(int(row), start)
            wide = (end - start) * frame.column_mm
            shapes.append(f"M{x:.2f} {y:.2f}h{wide:.2f}v{frame.row_mm:.2f}h-{wide:.2f}z")
    if not shapes:
        return []
    return [f'<path d="{"".join(shapes)}" fill="{colour}" fill-opacity="0.34"/>']
