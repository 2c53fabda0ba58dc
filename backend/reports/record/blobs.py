"""What events name by hash: masks, images, documents. Every byte is hashed again when read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from backend.imaging.grid import Grid
from backend.imaging.masks import InvalidManifest, Labels, Manifest, volume_of

Blob: TypeAlias = Callable[[str], bytes]


class BlobFault(ValueError):
    """A blob that the events name is missing or damaged. Restore the content store."""

    def __init__(self, name: str, what: str, detail: str) -> None:
        self.blob = name
        super().__init__(
            f"{what} {name} {detail}. Restore the content store from its backup, then try again."
        )


@dataclass
class Blobs:
    """The blobs of a record, each checked against its name; `read` says which were asked for."""

    source: Blob
    read: set[str] = field(default_factory=set)

    def bytes_of(self, name: str, what: str = "The stored file") -> bytes:
        """A blob's bytes; raises `BlobFault` where it is missing or not what its name says."""
        try:
            data = self.source(name)
        except (LookupError, OSError) as error:
            raise BlobFault(name, what, "is missing") from error
        if hashlib.sha256(data).hexdigest() != name:
            raise BlobFault(name, what, "is not what its hash says")
        self.read.add(name)
        return data

    def json_of(self, name: str, what: str = "The stored file") -> Any:
        """A blob that is JSON."""
        try:
            return json.loads(self.bytes_of(name, what))
        except (ValueError, RecursionError) as error:
            raise BlobFault(name, what, "cannot be read") from error

    def manifest(self, name: str) -> Manifest:
        """The manifest of a mask; the mask's hash is the blob's name."""
        try:
            return Manifest.from_bytes(self.bytes_of(name, "The mask"))
        except InvalidManifest as error:
            raise BlobFault(name, "The mask", "has no readable manifest") from error

    def labels(self, name: str | None, grid: Grid) -> Labels:
        """A mask's label map ``(slices, rows, columns)``; empty for None."""
        if name is None:
            return np.zeros(grid.shape, np.uint16)
        manifest = self.manifest(name)
        if manifest.geometry_hash != grid.geometry_hash:
            raise BlobFault(name, "The mask", "lies on other images")

        def plane(index: int) -> Labels:
            data = self.bytes_of(manifest.slices[index], "A slice of the mask,")
            if len(data) != 2 * grid.shape[1] * grid.shape[2]:
                raise BlobFault(manifest.slices[index], "A slice of the mask,", "has another size")
            return np.frombuffer(data, "<u2").reshape(grid.shape[1:]).astype(np.uint16)

        return volume_of(manifest, grid.shape, plane)

    def frame(self, name: str, grid: Grid) -> NDArray[np.int16]:
        """One slice of the images ``(rows, columns)`` in HU."""
        data = self.bytes_of(name, "The image")
        if len(data) != 2 * grid.shape[1] * grid.shape[2]:
            raise BlobFault(name, "The image", "has another size")
        return np.frombuffer(data, "<i2").reshape(grid.shape[1:]).astype(np.int16)


def frame_bytes(frame: NDArray[np.int16]) -> bytes:
    """An image slice as a blob: HU as int16 little-endian, row-major."""
    return np.ascontiguousarray(frame, "<i2").tobytes()


def slices_of(manifests: Iterable[Manifest]) -> set[str]:
    """The slice blobs that manifests name."""
    return {blob for manifest in manifests for blob in manifest.slices.values()}
