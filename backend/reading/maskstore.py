"""The voxels behind a mask's manifest: one blob per slice in the content store."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import numpy as np
from zstandard import ZstdDecompressor

from backend.imaging.grid import Grid, Shape
from backend.imaging.masks import (
    Labels,
    Manifest,
    canonical_json,
    slice_bytes,
    volume_of,
)
from backend.imaging.regions import Box
from backend.jobs.models import Run
from backend.reading.models import Mask, MaskSlice
from backend.store import BlobMissing, store

K = TypeVar("K")

# Flushing to the disk is waiting; a few slices wait together.
_FILES = ThreadPoolExecutor(max_workers=8, thread_name_prefix="slices")
# Slices are named by their content, so a kept one is never stale. 48 × 512 kB = 24 MB.
_KEPT_SLICES = 48
# Slices in memory until the disk has them: a stroke has a few, a list of changes very many.
_MOST_BEGUN = 64


def read_slice(blob: str, shape: Shape) -> Labels:
    """The labels ``(rows, columns)`` of a slice blob; read-only."""
    return _read_slice(blob, shape[1], shape[2])


@lru_cache(maxsize=_KEPT_SLICES)
def _read_slice(blob: str, rows: int, columns: int) -> Labels:
    plane = np.frombuffer(store().read(blob), dtype="<u2").reshape(rows, columns)
    return plane.astype(np.uint16, copy=False)


def put_slices(planes: Mapping[int, Labels]) -> dict[int, str]:
    """Keep slices durably: index → blob hash, "" for a slice without a label."""
    filled = [(index, plane) for index, plane in planes.items() if plane.any()]
    names = _FILES.map(lambda item: store().put(slice_bytes(item[1]), compress=True), filled)
    found = dict.fromkeys(planes, "")
    found.update(zip((index for index, _ in filled), names, strict=True))
    return found


def put_version(manifest: Manifest, planes: Mapping[int, Labels]) -> dict[int, str]:
    """Keep a manifest durably, under the mask's hash, and with it slices that it names."""
    whole = _FILES.submit(store().put, manifest.canonical_bytes(), compress=True)
    found = put_slices(planes)
    whole.result()
    return found


class Writes:
    """Versions on their way to the disk while the database takes the rows that name them.

    Call `finish` before the transaction of those rows ends.
    """

    def __init__(self) -> None:
        self._begun: list[Future[str]] = []

    def begin(self, manifest: Manifest, planes: Mapping[int, Labels]) -> dict[int, str]:
        """Begin to keep a manifest and slices that it names: index → blob hash, "" for an empty."""
        if len(self._begun) > _MOST_BEGUN:
            self.finish()

        def keep(plane: Labels, name: str) -> str:
            return store().put(slice_bytes(plane), compress=True, name=name)

        whole = manifest.canonical_bytes()
        self._begun.append(_FILES.submit(store().put, whole, compress=True, name=manifest.hash))
        names = {index: manifest.slices.get(index, "") for index in planes}
        self._begun += [_FILES.submit(keep, planes[i], name) for i, name in names.items() if name]
        return names

    def finish(self) -> None:
        """Until all of them are durable; raises what the store raised."""
        for write in self._begun:
            write.result()
        self._begun.clear()


def crops(manifest: Manifest, shape: Shape, boxes: Mapping[K, Box]) -> dict[K, Labels]:
    """What a mask holds in each of some boxes, reading every slice at most once."""
    found = {
        key: np.zeros([part.stop - part.start for part in box], np.uint16)
        for key, box in boxes.items()
    }
    for index in manifest.slices:
        here = [key for key, box in boxes.items() if box[0].start <= index < box[0].stop]
        if here:
            plane = plane_of(manifest, shape, index)
            for key in here:
                box = boxes[key]
                found[key][index - box[0].start] = plane[box[1:]]
    return found


def plane_of(manifest: Manifest, shape: Shape, index: int) -> Labels:
    """One slice of a mask ``(rows, columns)``, zeros where it is empty; read-only."""
    blob = manifest.slices.get(index)
    if blob is None:
        return np.zeros(shape[1:], np.uint16)
    return read_slice(blob, shape)


def volume(mask: Mask) -> Labels:
    """The whole label map ``(slices, rows, columns)`` uint16 of a mask."""
    grid: Grid = mask.case.grid
    manifest = mask.manifest
    return volume_of(manifest, grid.shape, lambda i: plane_of(manifest, grid.shape, i))


def packed(mask: Mask, names: Mapping[int, str] | None = None) -> bytes:
    """The mask in its container: the bytes of `imaging.masks.pack_mask`, no slice hashed again.

    `names` says what its numbers stand for in the place of nodes.
    """
    header = _header(mask, names)
    blobs = _FILES.map(store().read, mask.manifest.slices.values())
    return b"".join((struct.pack("<I", len(header)), header, *blobs))


def packed_as_put(mask: Mask) -> bytes | None:
    """The container of `packed` with zstd, as the worker put it that made the mask.

    None where no worker did, or where the case calls a node otherwise than the worker: the header
    names every slice by its content, so the same header stands before the same bytes.
    """
    if mask.run_id is None:
        return None
    put = Run.objects.filter(pk=mask.run_id).values_list("mask_blob", flat=True).first()
    if not put:
        return None
    try:
        body = store().read_zstd(put)
    except BlobMissing:
        return None
    with ZstdDecompressor().stream_reader(body) as stream:
        (length,) = struct.unpack("<I", stream.read(4))
        return body if stream.read(length) == _header(mask) else None


def _header(mask: Mask, names: Mapping[int, str] | None = None) -> bytes:
    manifest = mask.manifest
    named = manifest.labels if names is None else names
    header = canonical_json(
        {
            "geometry": manifest.geometry_hash,
            "labels": [[number, name] for number, name in sorted(named.items())],
            "shape": mask.case.grid_json["shape"],
            "slices": [{"index": i, "sha256": blob} for i, blob in manifest.slices.items()],
        }
    )
    return header + b" " * (-(4 + len(header)) % 8)


def own_slices(mask: Mask, blobs: Mapping[int, str]) -> list[MaskSlice]:
    """The rows that say which slices this mask brought (not yet saved)."""
    return [MaskSlice(mask=mask, index=index, blob=blob) for index, blob in sorted(blobs.items())]


def manifest_json(manifest: Manifest) -> dict[str, object]:
    """The manifest as it is stored and sent: canonical order, ready to be hashed again."""
    return {
        "geometry": manifest.geometry_hash,
        "labels": [[number, node] for number, node in manifest.labels.items()],
        "parents": list(manifest.parents),
        "slices": [[index, blob] for index, blob in manifest.slices.items()],
        "version": 1,
    }


def without(manifest: Manifest, shape: Shape, labels: Iterable[int]) -> dict[int, Labels]:
    """The slices that change when `labels` are taken out of a mask."""
    removed = np.array(sorted(labels), np.uint16)
    changed: dict[int, Labels] = {}
    if not removed.size:
        return changed
    for index in manifest.slices:
        plane = plane_of(manifest, shape, index)
        hit = np.isin(plane, removed)
        if hit.any():
            changed[index] = np.where(hit, np.uint16(0), plane).astype(np.uint16)
    return changed
