"""A series as one array: for measuring, for exports, and for the worker in one answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from backend.archive.models import Instance, Series, VolumeState
from backend.archive.pixels import stored_values
from backend.archive.storing import read_dataset
from backend.errors import WrongState
from backend.imaging.dicom import rescale, to_hu
from backend.imaging.grid import Grid
from backend.jobs.protocol import volume_header
from backend.store import store

_OF_PIXELS = ("series", "sop_uid", "blob", "pixels", "pixel_offset", "frame_bytes")


def grid_of(series: Series) -> Grid:
    """The grid of a volume; raises `WrongState` for a series that is none."""
    if series.volume_state != VolumeState.VOLUME or series.grid is None:
        raise WrongState(
            "NOT_A_VOLUME",
            series.volume_reason or "This series has not been judged yet.",
            "Choose a series that is a volume, or wait until it is judged.",
        )
    return Grid.from_json(series.grid)


def stored_grid(series: UUID) -> Grid | None:
    """The grid of the series of this id; None where it is no volume of this archive."""
    found = Series.objects.filter(pk=series, volume_state=VolumeState.VOLUME).first()
    return Grid.from_json(found.grid) if found is not None and found.grid else None


def load_volume(series: Series) -> tuple[Grid, NDArray[np.int16]]:
    """Grid and HU (slices, rows, columns) of a volume; raises `WrongState` for another series."""
    grid = grid_of(series)
    volume = np.empty(grid.shape, np.int16)
    for index, instance in enumerate(images_in_order(series, grid)):
        volume[index] = hounsfield(instance)
    return grid, volume


def sampled_slices(
    series: Series, count: int
) -> tuple[Grid, Iterator[tuple[int, NDArray[np.int16]]]]:
    """Grid, and (index, HU) of at most `count` slices spread evenly over a volume."""
    grid = grid_of(series)
    at = np.unique(np.linspace(0, grid.shape[0] - 1, min(count, grid.shape[0])).round().astype(int))
    uids = {grid.sop_uids[index]: int(index) for index in at}
    found = series.instances.filter(sop_uid__in=list(uids)).only(
        "series", "sop_uid", "blob", "pixels", "pixel_offset", "frame_bytes"
    )
    return grid, ((uids[i.sop_uid], hounsfield(i)) for i in found)


def source_datasets(series: Series) -> list[Dataset]:
    """The images of a volume as pydicom data sets, in grid order."""
    grid = grid_of(series)
    return [read_dataset(instance) for instance in images_in_order(series, grid)]


def source_headers(series: Series) -> list[Dataset]:
    """The headers alone (no pixels), in grid order: quick."""
    grid = grid_of(series)
    return [
        Dataset.from_json(instance.metadata, lambda tag, vr, uri: None)
        for instance in images_in_order(series, grid, "metadata")
    ]


def volume_parts(
    series: Series, *, facts: dict[str, Any], outwards: bool = False, after: int = 0
) -> tuple[int, Iterator[bytes]]:
    """Length and parts of an `application/x-concord-volume` answer: header, then one slice each.

    Slices whose rescale is whole and whose stored values fit int16 go out as they lie on the
    disk; others are rescaled here and say (1, 0).

    Args:
        series: a volume; raises `WrongState` for another series.
        facts: what the header tells beside the grid.
        outwards: the middle slice first, then its neighbours, as a reader looks; else in grid
            order. The header's `order` names all slices as they come, and its `stored` whether
            all are stored values.
        after: how many of them are there already and are left out.
    """
    grid = grid_of(series)
    instances = images_in_order(series, grid)
    rescales = [
        (1.0, float(i.pixels["intercept"])) if _goes_as_stored(i) else (1.0, 0.0) for i in instances
    ]
    order = from_the_middle(len(instances)) if outwards else list(range(len(instances)))
    if outwards:
        facts = {**facts, "order": order, "stored": all(map(_goes_as_stored, instances))}
    header = volume_header(grid.to_json(), rescales, facts)
    order = order[after:]
    length = len(header) + 2 * len(order) * int(np.prod(grid.shape[1:]))

    def parts() -> Iterator[bytes]:
        yield header
        for instance in (instances[index] for index in order):
            values = native_values(instance) if _goes_as_stored(instance) else None
            slice_values = hounsfield(instance) if values is None else values
            yield np.ascontiguousarray(slice_values, "<i2").tobytes()

    return length, parts()


def from_the_middle(count: int) -> list[int]:
    """All slices of a volume, the one the viewer shows first at the beginning, then outwards."""
    middle = count // 2
    return sorted(range(count), key=lambda index: (abs(index - middle), -index))


def facts_for_model(series: Series) -> dict[str, Any]:
    """What a model may want to know of a series; nothing of the patient but the age."""
    return {
        "modality": series.modality,
        "body_part": series.body_part,
        "contrast": series.contrast,
        "slice_thickness_mm": series.slice_thickness_mm,
        "patient_age_years": series.patient_age_years,
        "manufacturer": series.manufacturer,
        "kernel": series.kernel,
    }


def hounsfield(instance: Instance) -> NDArray[np.int16]:
    """One slice in HU (in MR: in rescaled units)."""
    values = native_values(instance)
    if values is None:
        return to_hu(read_dataset(instance))
    return rescale(values, instance.pixels["slope"], instance.pixels["intercept"])


def native_values(instance: Instance) -> NDArray[Any] | None:
    """Stored values (rows, columns) cut out of the file, or None where they must be decoded."""
    data = native_frame(instance, 0) if instance.pixels["bits_allocated"] == 16 else None
    return None if data is None else stored_values(data, instance.pixels)


def native_frame(instance: Instance, index: int) -> bytes | None:
    """The bytes of one frame as they lie in the file, or None where they must be decoded."""
    if instance.pixel_offset is None or instance.frame_bytes is None:
        return None
    start = instance.pixel_offset + index * instance.frame_bytes
    return store().read_range(instance.blob, start, instance.frame_bytes)


def _goes_as_stored(instance: Instance) -> bool:
    pixels = instance.pixels
    return (
        instance.pixel_offset is not None
        and pixels["bits_allocated"] == 16
        and (pixels["signed"] or pixels["bits_stored"] < 16)
        and pixels["slope"] == 1
        and float(pixels["intercept"]).is_integer()
    )


def images_in_order(series: Series, grid: Grid, *more: str) -> list[Instance]:
    """The images of a volume, one a slice, with what is needed to read their pixels (and more)."""
    found = {i.sop_uid: i for i in series.instances.only(*_OF_PIXELS, *more)}
    return [found[uid] for uid in grid.sop_uids]
