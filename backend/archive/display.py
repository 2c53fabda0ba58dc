"""A series as one answer for a browser that cuts it itself: header, then a slice after the other.

The form is that of `jobs.protocol.volume_header`: stored values as little-endian int16 in grid
order, and (slope, intercept) of each slice. PET keeps its own scale for every slice, and is told
as SUVbw where its headers say enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.archive.models import Instance, Series
from backend.archive.storing import read_dataset
from backend.archive.volume import grid_of, images_in_order, native_values, source_headers
from backend.imaging.dicom import decode_frame
from backend.imaging.suv import NoSuv, suvbw_per_unit
from backend.jobs.protocol import volume_header

# Unsigned 16-bit values are told as signed ones, so much lower.
LOWERED = 1 << 15


@dataclass(frozen=True)
class Measure:
    """What the values of a series are.

    Attributes:
        unit: "HU", "SUVbw", or "" for what has none that is known.
        factor: rescaled values times this are in that unit.
        words: why a PET is not in SUV, a sentence; else "".
    """

    unit: str
    factor: float = 1.0
    words: str = ""


def measure_of(series: Series) -> Measure:
    """The unit that a series is shown in."""
    if series.modality == "CT":
        return Measure("HU")
    if series.modality != "PT":
        return Measure("")
    try:
        return Measure("SUVbw", suvbw_per_unit(source_headers(series)))
    except NoSuv as why:
        return Measure("", words=f"No SUV. {why}")


def display_parts(series: Series, measure: Measure) -> tuple[int, Iterator[bytes]]:
    """Length and parts of the answer; raises `WrongState` for a series that is no volume."""
    grid = grid_of(series)
    instances = images_in_order(series, grid)
    facts = {"modality": series.modality, "unit": measure.unit, "words": measure.words}
    header = volume_header(grid.to_json(), [_scale(i, measure) for i in instances], facts)
    length = len(header) + 2 * int(np.prod(grid.shape))

    def parts() -> Iterator[bytes]:
        yield header
        for instance in instances:
            yield _stored(instance).tobytes()

    return length, parts()


def _scale(instance: Instance, measure: Measure) -> tuple[float, float]:
    slope, intercept = (float(instance.pixels[name]) for name in ("slope", "intercept"))
    if _is_lowered(instance):
        intercept += LOWERED * slope
    return slope * measure.factor, intercept * measure.factor


def _stored(instance: Instance) -> NDArray[Any]:
    values = native_values(instance)
    if values is None:
        values = decode_frame(read_dataset(instance))
    if _is_lowered(instance):
        values = values.astype(np.int32) - LOWERED
    limits = np.iinfo(np.int16)
    return np.ascontiguousarray(np.clip(values, limits.min, limits.max), "<i2")


def _is_lowered(instance: Instance) -> bool:
    pixels = instance.pixels
    return not pixels["signed"] and int(pixels["bits_stored"]) >= 16
