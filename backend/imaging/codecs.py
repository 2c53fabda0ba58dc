"""imagecodecs as a decoder plugin of pydicom: one library for every compressed syntax.

pydicom decodes RLE by itself; JPEG (8 and 12 bit, lossless), JPEG-LS, JPEG 2000 and HTJ2K come
from here. Importing `backend.imaging.dicom` registers the plugin.
"""

from __future__ import annotations

import struct
import sys
import threading
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.common import PhotometricInterpretation
from pydicom.pixels.decoders import base

LABEL = "imagecodecs"


class _Unraised(threading.local):
    """The last error of this thread that a codec could not raise."""

    error: BaseException | None = None


_unraised = _Unraised()


def _watch_codecs() -> None:
    """Hear of the errors that imagecodecs' HTJ2K decoder cannot raise and would only print."""
    before = sys.unraisablehook

    def hook(unraised: Any) -> None:
        if "imagecodecs" in str(unraised.object):
            _unraised.error = unraised.exc_value or RuntimeError("the codec failed")
        else:
            before(unraised)

    sys.unraisablehook = hook


def _htj2k(encoded: bytes) -> NDArray[Any]:
    """Decode HTJ2K; a broken codestream raises instead of leaving the rest of the frame empty."""
    _unraised.error = None
    decoded = np.asarray(imagecodecs.htj2k_decode(encoded))
    if _unraised.error is not None:
        raise ValueError(f"the HTJ2K codestream is damaged ({_unraised.error})")
    return decoded


def _lossless_jpeg(encoded: bytes) -> NDArray[Any]:
    """Decode lossless JPEG, by two decoders that must agree.

    An old encoder in wide use wrote differences of 16 bits that conforming decoders read as others:
    nothing fails, and every value after the first is wrong.
    """
    decoded = np.asarray(imagecodecs.jpeg_decode(encoded))
    try:
        again = np.asarray(imagecodecs.jpegsof3_decode(encoded))
    except (RuntimeError, ValueError):  # It reads fewer kinds.
        return decoded
    if not np.array_equal(decoded, again):
        raise ValueError("two decoders of lossless JPEG read different values from it")
    return decoded


_CODECS: dict[uid.UID, Callable[[bytes], Any]] = {
    uid.JPEGBaseline8Bit: imagecodecs.jpeg_decode,
    uid.JPEGExtended12Bit: imagecodecs.jpeg_decode,
    uid.JPEGLossless: _lossless_jpeg,
    uid.JPEGLosslessSV1: _lossless_jpeg,
    uid.JPEGLSLossless: imagecodecs.jpegls_decode,
    uid.JPEGLSNearLossless: imagecodecs.jpegls_decode,
    uid.JPEG2000Lossless: imagecodecs.jpeg2k_decode,
    uid.JPEG2000: imagecodecs.jpeg2k_decode,
    uid.HTJ2KLossless: _htj2k,
    uid.HTJ2KLosslessRPCL: _htj2k,
    uid.HTJ2K: _htj2k,
}
PROGRESSIVE_JPEG = "1.2.840.10008.1.2.4.55"
"""Retired syntax that pydicom has no decoder for; `decode_progressive` reads it."""

DECODER_DEPENDENCIES = dict.fromkeys(_CODECS, ("imagecodecs",))


_JPEG2000 = frozenset(
    {
        uid.JPEG2000Lossless,
        uid.JPEG2000,
        uid.HTJ2KLossless,
        uid.HTJ2KLosslessRPCL,
        uid.HTJ2K,
    }
)
# ISO/IEC 15444-1 A.5.1: start of codestream and of the size marker, then length, capabilities,
# and Xsiz, Ysiz, XOsiz, YOsiz, XTsiz, YTsiz, XTOsiz, YTOsiz.
_SIZE = struct.Struct(">4sHH8I")
_STARTS = b"\xff\x4f\xff\x51"
_MOST_TILES = 65535


def require_extent(encoded: bytes, rows: int, columns: int) -> None:
    """Let pass only a JPEG 2000 codestream as large as its image says.

    A decoder believes the codestream: one whose size was damaged keeps it busy for minutes.

    Raises:
        ValueError: the codestream says another size, or tiles that cannot be.
    """
    at = encoded.find(_STARTS, 0, 4096)  # Some writers put a JP2 header before it.
    if at < 0 or len(encoded) < at + _SIZE.size:
        raise ValueError("the JPEG 2000 codestream has no size")
    _, _, _, x, y, x0, y0, tile_x, tile_y, tile_x0, tile_y0 = _SIZE.unpack_from(encoded, at)
    if (y - y0, x - x0) != (rows, columns):
        raise ValueError(
            f"the JPEG 2000 codestream is of {y - y0} rows and {x - x0} columns, "
            f"its image of {rows} and {columns}"
        )
    if not (tile_x and tile_y and tile_x0 <= x0 and tile_y0 <= y0):
        raise ValueError("the JPEG 2000 codestream has tiles that cannot be")
    across, down = -(-(x - tile_x0) // tile_x), -(-(y - tile_y0) // tile_y)
    if across * down > _MOST_TILES:
        raise ValueError(f"the JPEG 2000 codestream has {across * down} tiles")


def is_available(syntax: str) -> bool:
    """Whether this plugin decodes the transfer syntax (asked by pydicom)."""
    return syntax in _CODECS


def decode_frame(encoded: bytes, runner: base.DecodeRunner) -> bytes:
    """Decode one frame to little-endian bytes of the pixel type (called by pydicom)."""
    if runner.transfer_syntax in _JPEG2000:
        require_extent(encoded, runner.rows, runner.columns)
    decoded = np.asarray(_CODECS[runner.transfer_syntax](encoded))
    bits = 8 if decoded.dtype.itemsize == 1 else 16
    runner.set_option("bits_allocated", bits)
    if runner.photometric_interpretation in (
        PhotometricInterpretation.YBR_ICT,
        PhotometricInterpretation.YBR_RCT,
    ):
        runner.set_option("photometric_interpretation", PhotometricInterpretation.RGB)
    return np.ascontiguousarray(decoded).astype(decoded.dtype.newbyteorder("<")).tobytes()


def register() -> None:
    """Add the plugin to pydicom's decoders; doing it twice changes nothing."""
    if "_watch_codecs" not in str(sys.unraisablehook):
        _watch_codecs()
    for syntax in _CODECS:
        decoder = base.get_decoder(syntax)
        if LABEL not in {*decoder.available_plugins, *decoder.missing_dependencies}:
            decoder.add_plugin(LABEL, (__name__, decode_frame.__name__))


def decode_progressive(dataset: Dataset, index: int) -> NDArray[Any]:
    """One frame ``(rows, columns)`` of a progressive JPEG image, as it was stored."""
    frames = int(dataset.get("NumberOfFrames", 1))
    encoded = get_frame(dataset.PixelData, index, number_of_frames=frames)
    return np.asarray(imagecodecs.jpeg_decode(encoded))


def encode_htj2k(frame: NDArray[Any]) -> bytes:
    """One frame, (rows, columns) or (rows, columns, 3) of 8 or 16 bits, as HTJ2K without loss."""
    return bytes(imagecodecs.htj2k_encode(np.ascontiguousarray(frame), reversible=True))
