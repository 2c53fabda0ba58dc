"""NIfTI-1 with a true sform: label maps and images as one `.nii.gz`, read back for comparison.

Source: NIfTI-1.1 header (nifti1.h). Voxels are stored column fastest, then row, then slice, which
is the memory order of our ``(slices, rows, columns)`` arrays; nothing is turned or flipped, the
sform says where the voxels lie.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.imaging.grid import DIRECTION_TOLERANCE, LENGTH_TOLERANCE_MM, Grid, GridMismatch

HEADER_BYTES = 348
DATA_OFFSET = 352
SCANNER_COORDINATES = 1
MILLIMETRES = 2
SINGLE_FILE = b"n+1\0"
_TYPES: dict[int, np.dtype[Any]] = {2: np.dtype("u1"), 4: np.dtype("<i2"), 512: np.dtype("<u2")}
_CODES = {dtype: code for code, dtype in _TYPES.items()}


class UnreadableNifti(ValueError):
    """The file is not a NIfTI-1 volume of ours. Export it again as .nii.gz, uint16 or int16."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"{detail} Export it again as .nii.gz, uint16 or int16.")


def write_nifti(volume: NDArray[Any], grid: Grid, description: str = "research use only") -> bytes:
    """The `.nii.gz` bytes of a volume ``(slices, rows, columns)``, uint8, int16 or uint16.

    The same voxels give the same bytes. `description` has at most 79 ASCII characters.

    Raises:
        GridMismatch: when the volume is not of the grid's shape.
        UnreadableNifti: when the voxel type is none of the three.
    """
    if volume.shape != grid.shape:
        raise GridMismatch(f"the volume has shape {volume.shape}, the grid {grid.shape}.")
    dtype = volume.dtype.newbyteorder("<") if volume.dtype.itemsize > 1 else volume.dtype
    code = _CODES.get(dtype)
    if code is None:
        raise UnreadableNifti(f"Voxels of type {volume.dtype} cannot be written.")
    slices, rows, columns = grid.shape
    header = bytearray(DATA_OFFSET)
    struct.pack_into("<i", header, 0, HEADER_BYTES)
    struct.pack_into("<8h", header, 40, 3, columns, rows, slices, 1, 1, 1, 1)
    struct.pack_into("<hh", header, 70, code, 8 * dtype.itemsize)
    sz, sy, sx = grid.spacing_mm
    struct.pack_into("<8f", header, 76, 1.0, sx, sy, sz, 0.0, 0.0, 0.0, 0.0)
    struct.pack_into("<3f", header, 108, DATA_OFFSET, 1.0, 0.0)
    header[123] = MILLIMETRES
    header[148:228] = description.encode("ascii")[:79].ljust(80, b"\0")
    struct.pack_into("<2h", header, 252, 0, SCANNER_COORDINATES)
    struct.pack_into("<12f", header, 280, *grid.affine_ras()[:3].ravel())
    header[344:348] = SINGLE_FILE
    voxels = np.ascontiguousarray(volume, dtype).tobytes()
    return gzip.compress(bytes(header) + voxels, compresslevel=6, mtime=0)


def read_nifti(data: bytes, grid: Grid) -> NDArray[Any]:
    """The volume ``(slices, rows, columns)`` of a `.nii.gz`, which must lie on the grid.

    Raises:
        UnreadableNifti: when it is not little-endian NIfTI-1 of uint8, int16 or uint16.
        GridMismatch: when shape or sform are not the grid's.
    """
    try:
        raw = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableNifti(f"The file is not gzip ({error}).") from error
    if len(raw) < DATA_OFFSET or raw[344:348] != SINGLE_FILE or raw[0:4] != b"\x5c\x01\0\0":
        raise UnreadableNifti("The file has no little-endian NIfTI-1 header.")
    dimensions = struct.unpack_from("<8h", raw, 40)
    (code,) = struct.unpack_from("<h", raw, 70)
    (sform,) = struct.unpack_from("<h", raw, 254)
    (offset,) = struct.unpack_from("<f", raw, 108)
    dtype = _TYPES.get(code)
    if dtype is None or dimensions[0] != 3 or sform < 1:
        raise UnreadableNifti("The file is not a 3-D volume of whole numbers with an sform.")
    shape = (dimensions[3], dimensions[2], dimensions[1])
    if shape != grid.shape:
        raise GridMismatch(f"the file has shape {shape}, the grid {grid.shape}.")
    affine = np.array(struct.unpack_from("<12f", raw, 280)).reshape(3, 4)
    _require_affine(affine, grid)
    size = int(np.prod(shape)) * dtype.itemsize
    body = raw[int(offset) : int(offset) + size]
    if len(body) != size:
        raise UnreadableNifti(f"The file ends after {len(body)} of {size} bytes of voxels.")
    volume: NDArray[Any] = np.frombuffer(body, dtype).reshape(shape)
    return volume.astype(dtype.newbyteorder("="))


def _require_affine(affine: NDArray[np.float64], grid: Grid) -> None:
    """Every corner of the grid within tolerance, so that directions count at their full length."""
    expected = grid.affine_ras()[:3]
    reach = float(np.linalg.norm(np.multiply(grid.shape, grid.spacing_mm)))
    allowed = LENGTH_TOLERANCE_MM + DIRECTION_TOLERANCE * reach
    last = [size - 1 for size in grid.shape[::-1]]
    for corner in ([0, 0, 0, 1], [*last, 1], [last[0], 0, 0, 1], [0, last[1], 0, 1]):
        away = float(np.abs((affine - expected) @ corner).max())
        if away > allowed:
            raise GridMismatch(f"the sform puts a corner {away:.3g} mm from the grid's.")
