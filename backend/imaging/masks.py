"""The store of record for masks: manifests of slices, patches that change them, one container.

A mask is a label map, uint16, ``(slices, rows, columns)``, 0 = background, one label number per
node. It is kept as one blob per non-empty slice, addressed by the SHA-256 of its uncompressed
bytes (uint16 little-endian, row-major), and a `Manifest` that lists them. Browser and server
compute the same hashes: the byte recipes here are a contract and do not change.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import zstandard
from numpy.typing import NDArray

from backend.imaging.grid import Shape

Labels: TypeAlias = NDArray[np.uint16]
SliceReader: TypeAlias = Callable[[int], Labels]
Run: TypeAlias = tuple[int, int, int]
Box: TypeAlias = tuple[int, int, int, int]

MANIFEST_VERSION = 1
LARGEST_LABEL = 65535
MAX_HEADER_BYTES = 16 * 1024 * 1024
ZSTD_LEVEL = 3
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BLOB_DTYPE = np.dtype("<u2")


class InvalidManifest(ValueError):
    """The manifest contradicts itself. Read the mask again from the server."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"{detail} Read the mask again from the server.")


class InvalidPatch(ValueError):
    """The patch cannot be applied. Reload the mask, make the change again and resend it."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"{detail} Reload the mask, make the change again and resend it.")


class DamagedMask(ValueError):
    """The mask's bytes are damaged or incomplete. Send or fetch the mask once more."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"{detail} Send or fetch the mask once more.")


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys and no spaces, ASCII only."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return text.encode("ascii")


def node_uuid(value: object) -> str:
    """The UUID in its one spelling (lower case, with hyphens).

    Raises:
        ValueError: when it is not a UUID; the cure is to send the node's UUID as the API gave it.
    """
    try:
        return str(uuid.UUID(str(value)))
    except ValueError:
        raise ValueError(
            f"{value!r} is not a node UUID. Send the UUID as the server gave it."
        ) from None


@dataclass(frozen=True)
class Manifest:
    """One version of a mask: which blob fills which slice, and which node each number means.

    Attributes:
        geometry_hash: `Grid.geometry_hash` of the images it was drawn on.
        slices: slice index → SHA-256 of the slice blob; empty slices are left out.
        labels: label number → node UUID, for every node the reading ever had, so that a number is
            never used twice. Treat both mappings as read-only.
        parents: hashes of the manifests it was made from, the one edited first.

    Raises:
        InvalidManifest: when a hash, number or UUID is malformed or given twice.
    """

    geometry_hash: str
    slices: Mapping[int, str]
    labels: Mapping[int, str]
    parents: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for digest in (self.geometry_hash, *self.slices.values(), *self.parents):
            if not _SHA256.fullmatch(digest):
                raise InvalidManifest(f"{digest!r} is not a SHA-256 in lower-case hex.")
        if any(index < 0 for index in self.slices):
            raise InvalidManifest("A slice index is negative.")
        if any(not 1 <= number <= LARGEST_LABEL for number in self.labels):
            raise InvalidManifest(f"A label number is not in 1…{LARGEST_LABEL}.")
        try:
            labels = {number: node_uuid(node) for number, node in sorted(self.labels.items())}
        except ValueError as error:
            raise InvalidManifest(str(error)) from error
        if len(set(labels.values())) != len(labels):
            raise InvalidManifest("Two label numbers name the same node.")
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "slices", dict(sorted(self.slices.items())))
        object.__setattr__(self, "parents", tuple(self.parents))

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Node UUID → label number."""
        return {node: number for number, node in self.labels.items()}

    @property
    def next_label(self) -> int:
        """The number the next new node gets: one more than any node ever had."""
        return max(self.labels, default=0) + 1

    def canonical_bytes(self) -> bytes:
        """The bytes that are hashed: canonical JSON of geometry, labels, parents, slices, version.

        ``{"geometry":"…","labels":[[1,"uuid"],…],"parents":["…"],"slices":[[0,"sha"],…],
        "version":1}`` without spaces, labels and slices ascending by number, parents as given.
        """
        return canonical_json(
            {
                "geometry": self.geometry_hash,
                "labels": [[number, node] for number, node in self.labels.items()],
                "parents": list(self.parents),
                "slices": [[index, digest] for index, digest in self.slices.items()],
                "version": MANIFEST_VERSION,
            }
        )

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) of `canonical_bytes`: the mask's name everywhere."""
        return hashlib.sha256(self.canonical_bytes()).hexdigest()

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read what `canonical_bytes` wrote.

        Raises:
            InvalidManifest: when it is anything else.
        """
        try:
            value = json.loads(data)
            manifest = cls(
                geometry_hash=value["geometry"],
                slices={int(index): digest for index, digest in value["slices"]},
                labels={int(number): node for number, node in value["labels"]},
                parents=tuple(value["parents"]),
            )
        except InvalidManifest:
            raise
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise InvalidManifest(f"The manifest cannot be read ({error!r}).") from error
        if manifest.canonical_bytes() != data:
            raise InvalidManifest("The manifest is not in its canonical form.")
        return manifest

    @classmethod
    def of_volume(
        cls,
        volume: Labels,
        geometry_hash: str,
        labels: Mapping[int, str],
        parents: Sequence[str] = (),
    ) -> Manifest:
        """The manifest of a whole label map ``(slices, rows, columns)``."""
        slices = {index: slice_hash(volume[index]) for index in nonempty_slices(volume)}
        return cls(geometry_hash, slices, labels, tuple(parents))


def nonempty_slices(volume: Labels) -> list[int]:
    """Indices of the slices that hold any label, ascending."""
    return [index for index, plane in enumerate(volume) if plane.any()]


def slice_bytes(plane: Labels) -> bytes:
    """A slice blob: the labels ``(rows, columns)`` as uint16 little-endian, row-major."""
    if plane.dtype != np.uint16:
        raise TypeError(f"A slice of labels is uint16, not {plane.dtype}. Convert it first.")
    return np.ascontiguousarray(plane, dtype=_BLOB_DTYPE).tobytes()


def slice_hash(plane: Labels) -> str:
    """SHA-256 (hex) of the slice blob, before any compression."""
    return hashlib.sha256(slice_bytes(plane)).hexdigest()


def encode_slice(plane: Labels) -> tuple[str, bytes]:
    """The blob's SHA-256 and its bytes compressed with zstd."""
    data = slice_bytes(plane)
    compressed = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(data)
    return hashlib.sha256(data).hexdigest(), compressed


def decode_slice(compressed: bytes, shape: tuple[int, int], sha256: str | None = None) -> Labels:
    """The labels ``(rows, columns)`` of a zstd slice blob, checked against its hash if given.

    Raises:
        DamagedMask: when the bytes are not zstd, of another size, or of another hash.
    """
    expected = shape[0] * shape[1] * _BLOB_DTYPE.itemsize
    try:
        with zstandard.ZstdDecompressor().stream_reader(compressed) as reader:
            data = reader.read(expected + 1)
    except zstandard.ZstdError as error:
        raise DamagedMask(f"A slice cannot be decompressed ({error}).") from error
    if len(data) != expected:
        raise DamagedMask(f"A slice of {shape} has other than {expected} bytes.")
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise DamagedMask(f"A slice is not the one named {sha256}.")
    return _plane(data, shape)


def _plane(data: bytes | memoryview, shape: tuple[int, int]) -> Labels:
    return np.frombuffer(data, dtype=_BLOB_DTYPE).reshape(shape).astype(np.uint16)


def volume_of(manifest: Manifest, shape: Shape, read_slice: SliceReader) -> Labels:
    """The whole label map; `read_slice` is asked for the non-empty slices only."""
    volume = np.zeros(shape, np.uint16)
    for index in manifest.slices:
        if index >= shape[0]:
            raise InvalidManifest(f"Slice {index} is outside a grid of {shape[0]} slices.")
        volume[index] = read_slice(index)
    return volume


def effective(volume: Labels, rejected: Iterable[int]) -> Labels:
    """The label map without the rejected nodes: what is submitted, compared and exported."""
    keep = np.arange(LARGEST_LABEL + 1, dtype=np.uint16)
    keep[list(rejected)] = 0
    return keep[volume]


@dataclass(frozen=True)
class SlicePatch:
    """New labels inside one box of one slice.

    Attributes:
        index: slice index.
        box: ``(row0, column0, row1, column1)``, half-open.
        runs: ``(offset, length, k)`` ascending and without overlap; `offset` counts voxels
            row-major inside the box; `k` is 0 for background or the 1-based place of a node in
            `Patch.nodes`. Voxels of the box under no run stay as they are.
    """

    index: int
    box: Box
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Patch:
    """A change of voxels: absolute new values, so applying it twice is applying it once.

    Attributes:
        nodes: UUIDs the runs refer to; unknown ones get label numbers in this order.
        slices: ascending by slice index, each slice at most once.
    """

    nodes: tuple[str, ...]
    slices: tuple[SlicePatch, ...]

    def to_json(self) -> dict[str, Any]:
        """The patch as it travels; `parse_patch` reads it."""
        return {
            "nodes": list(self.nodes),
            "slices": [
                {"index": s.index, "box": list(s.box), "runs": [list(run) for run in s.runs]}
                for s in self.slices
            ],
        }


def parse_patch(data: bytes | str | Mapping[str, Any], shape: Shape) -> Patch:
    """Read a patch for a grid of `shape` ``(slices, rows, columns)``, refusing anything odd.

    Raises:
        InvalidPatch: naming the first thing that is wrong and where.
    """
    try:
        decoded = json.loads(data) if isinstance(data, bytes | str) else data
    except ValueError as error:
        raise InvalidPatch(f"The patch is not JSON ({error}).") from error
    value = _object(decoded, {"nodes", "slices"}, "The patch")
    nodes = _parse_nodes(value["nodes"])
    if not isinstance(value["slices"], list):
        raise InvalidPatch("`slices` is not a list.")
    slices: list[SlicePatch] = []
    for entry in value["slices"]:
        parsed = _parse_slice(entry, shape, len(nodes))
        if slices and parsed.index <= slices[-1].index:
            raise InvalidPatch(
                f"Slice {parsed.index} does not come after slice {slices[-1].index}: "
                "slices must ascend, each at most once."
            )
        slices.append(parsed)
    return Patch(nodes, tuple(slices))


def _object(value: object, keys: set[str], what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or set(value) != keys:
        raise InvalidPatch(f"{what} is not an object with exactly {', '.join(sorted(keys))}.")
    return value


def _parse_nodes(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(node, str) for node in value):
        raise InvalidPatch("`nodes` is not a list of UUIDs.")
    try:
        nodes = tuple(node_uuid(node) for node in value)
    except ValueError as error:
        raise InvalidPatch(str(error)) from error
    if len(set(nodes)) != len(nodes):
        raise InvalidPatch("`nodes` names a node twice.")
    if len(nodes) > LARGEST_LABEL:
        raise InvalidPatch(f"`nodes` names more than {LARGEST_LABEL} nodes.")
    return nodes


def _integers(value: object, count: int, what: str) -> list[int]:
    if (
        not isinstance(value, list | tuple)
        or len(value) != count
        or not all(type(number) is int for number in value)
    ):
        raise InvalidPatch(f"{what} is not a list of {count} whole numbers.")
    return list(value)


def _parse_slice(value: object, shape: Shape, node_count: int) -> SlicePatch:
    entry = _object(value, {"index", "box", "runs"}, "A slice of the patch")
    index = entry["index"]
    if type(index) is not int or not 0 <= index < shape[0]:
        raise InvalidPatch(f"Slice index {index!r} is not in 0…{shape[0] - 1}.")
    r0, c0, r1, c1 = _integers(entry["box"], 4, f"The box of slice {index}")
    if not (0 <= r0 < r1 <= shape[1] and 0 <= c0 < c1 <= shape[2]):
        raise InvalidPatch(
            f"The box {[r0, c0, r1, c1]} of slice {index} is empty or outside "
            f"{shape[1]} rows × {shape[2]} columns."
        )
    if not isinstance(entry["runs"], list):
        raise InvalidPatch(f"`runs` of slice {index} is not a list.")
    size = (r1 - r0) * (c1 - c0)
    runs: list[Run] = []
    end = 0
    for item in entry["runs"]:
        offset, length, k = _integers(item, 3, f"A run of slice {index}")
        where = f"Run {[offset, length, k]} of slice {index}"
        if offset < end:
            raise InvalidPatch(f"{where} starts before {end}: runs must ascend without overlap.")
        if length < 1 or offset + length > size:
            raise InvalidPatch(f"{where} does not fit into a box of {size} voxels.")
        if not 0 <= k <= node_count:
            raise InvalidPatch(f"{where} names node {k} of {node_count}.")
        end = offset + length
        runs.append((offset, length, k))
    return SlicePatch(index, (r0, c0, r1, c1), tuple(runs))


def apply_patch(
    manifest: Manifest, read_slice: SliceReader, patch: Patch
) -> tuple[Manifest, dict[int, Labels]]:
    """The manifest after the patch, and the slices it changed.

    `read_slice(index)` gives the labels ``(rows, columns)`` of any slice of the grid, zeros for an
    empty one. Unknown nodes get the next numbers (largest ever + 1) in the order of
    `Patch.nodes`, used or not. The new manifest's parent is the old one. A slice that became empty
    is among the changed ones but not in the manifest.

    Raises:
        InvalidPatch: when the numbers run out, or the patch was parsed for another grid.
    """
    labels = dict(manifest.labels)
    numbers = dict(manifest.numbers)
    number = manifest.next_label
    for node in patch.nodes:
        if node not in numbers:
            if number > LARGEST_LABEL:
                raise InvalidPatch(f"The mask already numbers {LARGEST_LABEL} nodes.")
            labels[number] = node
            numbers[node] = number
            number += 1
    values = np.array([0, *(numbers[node] for node in patch.nodes)], np.uint16)
    slices = dict(manifest.slices)
    changed: dict[int, Labels] = {}
    for part in patch.slices:
        old = read_slice(part.index)
        r0, c0, r1, c1 = part.box
        if old.ndim != 2 or r1 > old.shape[0] or c1 > old.shape[1]:
            raise InvalidPatch(f"The box {list(part.box)} lies outside slice {part.index}.")
        box = old[r0:r1, c0:c1].flatten()
        for offset, length, k in part.runs:
            box[offset : offset + length] = values[k]
        new = old.copy()
        new[r0:r1, c0:c1] = box.reshape(r1 - r0, c1 - c0)
        if np.array_equal(new, old):
            continue
        changed[part.index] = new
        if new.any():
            slices[part.index] = slice_hash(new)
        else:
            slices.pop(part.index, None)
    return Manifest(manifest.geometry_hash, slices, labels, (manifest.hash,)), changed


def diff_patch(old: Labels, new: Labels, labels: Mapping[int, str]) -> Patch:
    """The patch that turns one label map into another of the same numbering.

    Both are ``(slices, rows, columns)`` uint16; `labels` names the node of every number in `new`.
    Numbers of `new` appear in `Patch.nodes` in ascending order, so that new nodes numbered from
    `Manifest.next_label` upwards keep their numbers.

    Raises:
        InvalidPatch: when the shapes differ or a number in `new` has no node.
    """
    if old.shape != new.shape:
        raise InvalidPatch(f"The label maps have shapes {old.shape} and {new.shape}.")
    touched: list[tuple[int, Box, Labels, NDArray[np.bool_]]] = []
    used: set[int] = set()
    for index in range(old.shape[0]):
        differs = old[index] != new[index]
        if not differs.any():
            continue
        rows = np.flatnonzero(differs.any(axis=1))
        columns = np.flatnonzero(differs.any(axis=0))
        r0, r1, c0, c1 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
        values, mask = new[index, r0:r1, c0:c1], differs[r0:r1, c0:c1]
        used.update(int(number) for number in np.unique(values[mask]))
        touched.append((index, (r0, c0, r1, c1), values, mask))
    used.discard(0)
    unnamed = sorted(used - set(labels))
    if unnamed:
        raise InvalidPatch(f"Label numbers {unnamed} have no node.")
    order = sorted(used)
    place = np.zeros(LARGEST_LABEL + 1, np.int64)
    place[order] = np.arange(1, len(order) + 1)
    slices = tuple(
        SlicePatch(index, box, _runs(place[values].ravel(), mask.ravel()))
        for index, box, values, mask in touched
    )
    return Patch(tuple(node_uuid(labels[number]) for number in order), slices)


def _runs(values: NDArray[np.int64], mask: NDArray[np.bool_]) -> tuple[Run, ...]:
    """Runs of equal value under the mask, in flat order."""
    key = np.where(mask, values, -1)
    starts = np.flatnonzero(np.diff(key, prepend=-2))
    lengths = np.diff(starts, append=key.size)
    return tuple(
        (int(start), int(length), int(key[start]))
        for start, length in zip(starts, lengths, strict=True)
        if key[start] >= 0
    )


@dataclass(frozen=True)
class PackedMask:
    """A mask with its voxels, as it travels between worker, server and browser.

    Attributes:
        geometry_hash: `Grid.geometry_hash` of the images.
        shape: ``(slices, rows, columns)``.
        labels: label number → node UUID.
        slices: slice index → labels ``(rows, columns)`` uint16, the non-empty ones.
    """

    geometry_hash: str
    shape: Shape
    labels: Mapping[int, str]
    slices: Mapping[int, Labels]

    @classmethod
    def of_volume(cls, volume: Labels, geometry_hash: str, labels: Mapping[int, str]) -> PackedMask:
        """Take the non-empty slices of a label map ``(slices, rows, columns)``."""
        slices = {index: volume[index] for index in nonempty_slices(volume)}
        shape = (volume.shape[0], volume.shape[1], volume.shape[2])
        return cls(geometry_hash, shape, dict(labels), slices)

    def to_volume(self) -> Labels:
        """The whole label map ``(slices, rows, columns)`` uint16."""
        volume = np.zeros(self.shape, np.uint16)
        for index, plane in self.slices.items():
            volume[index] = plane
        return volume

    def manifest(self, parents: Sequence[str] = ()) -> Manifest:
        """The manifest of this mask."""
        hashes = {index: slice_hash(plane) for index, plane in self.slices.items() if plane.any()}
        return Manifest(self.geometry_hash, hashes, self.labels, tuple(parents))


def pack_mask(mask: PackedMask) -> bytes:
    """One binary container: header length, JSON header, raw slices.

    Bytes: uint32 little-endian length of the header; the header, ASCII JSON ``{"geometry":…,
    "labels":[[number,uuid],…],"shape":[z,y,x],"slices":[{"index":i,"sha256":…},…]}`` padded with
    spaces so that the slices begin at a multiple of eight; then each slice as uint16 little-endian
    row-major, in the header's (ascending) order. Compression is the transport's business.
    """
    planes = {index: slice_bytes(plane) for index, plane in sorted(mask.slices.items())}
    header = canonical_json(
        {
            "geometry": mask.geometry_hash,
            "labels": [[number, node] for number, node in sorted(mask.labels.items())],
            "shape": list(mask.shape),
            "slices": [
                {"index": index, "sha256": hashlib.sha256(data).hexdigest()}
                for index, data in planes.items()
            ],
        }
    )
    header += b" " * (-(4 + len(header)) % 8)
    return b"".join((struct.pack("<I", len(header)), header, *planes.values()))


def _whole(value: Any) -> int:
    """A whole number of JSON: no fraction to cut off, no text that looks like a number."""
    if type(value) is not int:
        raise TypeError(f"{value!r} is not a whole number")
    return value


def unpack_mask(data: bytes) -> PackedMask:
    """Read what `pack_mask` wrote, checking every size, hash and label.

    Raises:
        DamagedMask: naming what does not fit.
    """
    if len(data) < 4:
        raise DamagedMask("The mask is shorter than its header length.")
    (length,) = struct.unpack_from("<I", data)
    if length > min(MAX_HEADER_BYTES, len(data) - 4):
        raise DamagedMask(f"The mask's header of {length} bytes is cut off or too long.")
    try:
        header = json.loads(data[4 : 4 + length])
        slices, rows, columns = (_whole(n) for n in header["shape"])
        named = [(_whole(number), node_uuid(node)) for number, node in header["labels"]]
        labels = dict(named)
        if len(labels) != len(named):
            raise ValueError("a label is named twice")
        names = [(_whole(entry["index"]), str(entry["sha256"])) for entry in header["slices"]]
        geometry = str(header["geometry"])
        manifest = Manifest(geometry, dict(names), labels)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise DamagedMask(f"The mask's header cannot be read ({error}).") from error
    shape = (slices, rows, columns)
    if min(shape) < 1:
        raise DamagedMask(f"The mask's shape {shape} is not three positive numbers.")
    indices = [index for index, _ in names]
    if sorted(set(indices)) != indices or (indices and indices[-1] >= slices):
        raise DamagedMask(f"The mask's slices do not ascend within 0…{slices - 1}.")
    size = rows * columns * _BLOB_DTYPE.itemsize
    if len(data) != 4 + length + size * len(names):
        raise DamagedMask(
            f"The mask has {len(data)} bytes; {len(names)} slices of {rows}×{columns} "
            f"need {4 + length + size * len(names)}."
        )
    allowed = np.zeros(LARGEST_LABEL + 1, np.bool_)
    allowed[[0, *manifest.labels]] = True
    planes: dict[int, Labels] = {}
    body = memoryview(data)[4 + length :]
    for place, (index, digest) in enumerate(names):
        blob = body[place * size : (place + 1) * size]
        if hashlib.sha256(blob).hexdigest() != digest:
            raise DamagedMask(f"Slice {index} of the mask is not the one its header names.")
        plane = _plane(blob, (rows, columns))
        numbers = plane[plane != 0]
        if not numbers.size:
            raise DamagedMask(f"Slice {index} of the mask is listed but empty.")
        if not allowed[numbers].all():
            raise DamagedMask(f"Slice {index} of the mask holds a label without a node.")
        planes[index] = plane
    return PackedMask(geometry, shape, dict(manifest.labels), planes)
