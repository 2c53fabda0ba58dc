"""An axial slice with the outlines of up to three masks, as PNG bytes. Pure.

Outlines run along voxel edges, so what is drawn is exactly what a mask holds. The same arrays give
the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from backend.imaging.grid import Grid
from backend.reports.pictures import WINDOW_LEVEL_HU, WINDOW_WIDTH_HU, outline

WIDTH_PX = 640
MARGIN_MM = 15.0
LEAST_MM = 110.0
FIRST_COLOUR = (87, 214, 190)
SECOND_COLOUR = (255, 176, 66)
TRUTH_COLOUR = (240, 240, 240)

Plane = NDArray[np.bool_]
Box = tuple[int, int, int, int]


def box_around(planes: Sequence[NDArray[np.uint16]], grid: Grid) -> Box:
    """(top, left, bottom, right) of the part of the image to show, for all slices alike."""
    _, row_mm, column_mm = grid.spacing_mm
    _, rows, columns = grid.shape
    used = [np.argwhere(plane) for plane in planes if plane.any()]
    if not used:
        return 0, 0, rows, columns
    every = np.concatenate(used)
    top, bottom = _widened(every[:, 0], row_mm, rows)
    left, right = _widened(every[:, 1], column_mm, columns)
    return top, left, bottom, right


def _widened(indices: NDArray[np.intp], step_mm: float, size: int) -> tuple[int, int]:
    low, high = int(indices.min()), int(indices.max()) + 1
    margin = MARGIN_MM / step_mm
    half = max((high - low) / 2 + margin, LEAST_MM / step_mm / 2)
    middle = (low + high) / 2
    return max(0, int(middle - half)), min(size, int(np.ceil(middle + half)))


def slice_picture(
    frame_hu: NDArray[np.int16],
    grid: Grid,
    box: Box,
    *,
    first: Plane,
    second: Plane | None = None,
    truth: Plane | None = None,
) -> bytes:
    """PNG of one slice ``(rows, columns)`` within `box`: first green, second amber, truth white."""
    top, left, bottom, right = box
    _, row_mm, column_mm = grid.spacing_mm
    scale = WIDTH_PX / ((right - left) * column_mm)
    height = max(1, round((bottom - top) * row_mm * scale))
    low = WINDOW_LEVEL_HU - WINDOW_WIDTH_HU / 2
    shown = frame_hu[top:bottom, left:right].astype(np.float32)
    grey = np.clip(np.rint((shown - low) * (255 / WINDOW_WIDTH_HU)), 0, 255).astype(np.uint8)
    picture = (
        Image.fromarray(grey, mode="L")
        .resize((WIDTH_PX, height), Image.Resampling.BICUBIC)
        .convert("RGB")
    )
    draw = ImageDraw.Draw(picture)
    layers = ((truth, TRUTH_COLOUR, 5), (first, FIRST_COLOUR, 2), (second, SECOND_COLOUR, 2))
    for mask, colour, width in layers:
        if mask is None:
            continue
        away = 2 if mask is second else 0
        for start, end, (down, across) in outline(mask):
            line = [
                (
                    (column - left) * column_mm * scale + across * away,
                    (row - top) * row_mm * scale + down * away,
                )
                for row, column in (start, end)
            ]
            draw.line(line, colour, width)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=False, compress_level=6)
    return buffer.getvalue()
