"""The picture of one node: an axial crop of 40 mm with both outlines, as PNG bytes. Pure.

The crop is square in millimetres and small enough that no face can be recognised. Outlines run
along voxel edges, so what is drawn is exactly what the mask holds: the signed outline solid, the
AI's dotted and a little outside itself, so that both show where they are the same. The same arrays
give the same bytes.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from backend.imaging.grid import Grid

CROP_MM = 40.0
SIDE_PX = 396
# How far outside its voxels the AI's outline is drawn.
BESIDE_MM = 0.4
WINDOW_WIDTH_HU, WINDOW_LEVEL_HU = 350.0, 60.0
OUTSIDE_HU = -1000
SIGNED_COLOUR = (87, 214, 190)
AI_COLOUR = (255, 176, 66)
AXIS_COLOUR = (235, 240, 241)
LINE_PX = 3
SCALE_MM = 10.0

Plane = NDArray[np.bool_]
Corner = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """The crop's place on one slice: first row and column (fractional), and pixels per index."""

    row: float
    column: float
    rows_px: float
    columns_px: float

    def place(self, row: float, column: float) -> tuple[float, float]:
        """Picture coordinates (x, y) of a fractional voxel-edge index."""
        return (column - self.column) * self.columns_px, (row - self.row) * self.rows_px


def node_picture(
    frame_hu: NDArray[np.int16],
    grid: Grid,
    *,
    centre: tuple[float, float],
    signed: Plane | None = None,
    proposed: Plane | None = None,
    short_axis: Sequence[tuple[float, float]] = (),
) -> bytes:
    """PNG of the crop around `centre` on one slice.

    Args:
        frame_hu: the slice of the CT to show, ``(rows, columns)``.
        grid: the grid of the CT.
        centre: ``(row, column)`` voxel index of the middle of the crop.
        signed: the signed node on that slice ``(rows, columns)``, or None.
        proposed: the AI's node or nodes on that slice, or None; drawn `BESIDE_MM` outside.
        short_axis: the two ends of the short axis as ``(row, column)`` voxel indices.
    """
    _, row_mm, column_mm = grid.spacing_mm
    rows, columns = CROP_MM / row_mm, CROP_MM / column_mm
    window = Window(
        centre[0] + 0.5 - rows / 2, centre[1] + 0.5 - columns / 2, SIDE_PX / rows, SIDE_PX / columns
    )
    picture = _grey(frame_hu, window, rows, columns)
    draw = ImageDraw.Draw(picture)
    if signed is not None:
        for start, end, _ in outline(signed):
            draw.line([window.place(*start), window.place(*end)], SIGNED_COLOUR, LINE_PX)
    if proposed is not None:
        away = BESIDE_MM * SIDE_PX / CROP_MM
        for start, end, (down, right) in outline(proposed):
            middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
            dots = [window.place(*start), window.place(*middle)]
            moved = [(x + right * away, y + down * away) for x, y in dots]
            draw.line(moved, AI_COLOUR, LINE_PX)
    if len(short_axis) == 2:
        ends = [window.place(row + 0.5, column + 0.5) for row, column in short_axis]
        draw.line(ends, AXIS_COLOUR, 2)
    _scale(draw)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=False, compress_level=6)
    return buffer.getvalue()


def data_uri(png: bytes) -> str:
    """The picture as a `data:` address, so that a report needs no other file."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _grey(plane: NDArray[np.int16], window: Window, rows: float, columns: float) -> Image.Image:
    """The windowed crop at picture size; outside the image is air."""
    pad = int(np.ceil(max(rows, columns)))
    padded = np.pad(plane, pad, constant_values=OUTSIDE_HU).astype(np.float32)
    low = WINDOW_LEVEL_HU - WINDOW_WIDTH_HU / 2
    grey = np.clip(np.rint((padded - low) * (255 / WINDOW_WIDTH_HU)), 0, 255).astype(np.uint8)
    top, left = window.row + pad, window.column + pad
    return (
        Image.fromarray(grey, mode="L")
        .resize(
            (SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC, (left, top, left + columns, top + rows)
        )
        .convert("RGB")
    )


def outline(plane: Plane) -> Iterator[tuple[Corner, Corner, Corner]]:
    """Voxel edges between inside and outside: two ``(row, column)`` corners and the way out."""
    rows, columns = np.nonzero(plane)
    if not rows.size:
        return
    r0, c0 = int(rows.min()), int(columns.min())
    inside = np.pad(plane[r0 : int(rows.max()) + 1, c0 : int(columns.max()) + 1], 1)
    across = inside[1:, 1:-1] != inside[:-1, 1:-1]
    for row, column in zip(*np.nonzero(across), strict=True):
        r, c = int(row) + r0, int(column) + c0
        yield (r, c), (r, c + 1), (-1 if inside[row + 1, column + 1] else 1, 0)
    down = inside[1:-1, 1:] != inside[1:-1, :-1]
    for row, column in zip(*np.nonzero(down), strict=True):
        r, c = int(row) + r0, int(column) + c0
        yield (r, c), (r + 1, c), (0, -1 if inside[row + 1, column + 1] else 1)


def _scale(draw: ImageDraw.ImageDraw) -> None:
    """A bar of 10 mm in the lower left corner."""
    length = SIDE_PX * SCALE_MM / CROP_MM
    draw.line([(15, SIDE_PX - 16), (15 + length, SIDE_PX - 16)], AXIS_COLOUR, 3)
