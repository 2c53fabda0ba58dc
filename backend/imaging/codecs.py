"""imagecodecs as a decoder plugin of pydicom: one library for every compressed syntax.

pydicom decodes RLE by itself; JPEG (8 and 12 bit, lossless), JPEG-LS, JPEG 2000 and HTJ2K come
from here. Importing `backend.imaging.dicom` registers the plugin.
"""

from __future__ import annotations

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

_CODECS: dict[uid.UID, Callable[[bytes], Any]] = {
    uid.JPEGBaseline8Bit: imagecodecs.jpeg_decode,
    uid.JPEGExtended12Bit: imagecodecs.jpeg_decode,
    uid.JPEGLossless: imagecodecs.jpeg_decode,
    uid.JPEGLosslessSV1: imagecodecs.jpeg_decode,
    uid.JPEGLSLossless: imagecodecs.jpegls_decode,
    uid.JPEGLSNearLossless: imagecodecs.jpegls_decode,
    uid.JPEG2000Lossless: imagecodecs.jpeg2k_decode,
    uid.JPEG2000: imagecodecs.jpeg2k_decode,
    uid.HTJ2KLossless: imagecodecs.htj2k_decode,
    uid.HTJ2KLosslessRPCL: imagecodecs.htj2k_decode,
    uid.HTJ2K: imagecodecs.htj2k_decode,
}
PROGRESSIVE_JPEG = "1.2.840.10008.1.2.4.55"
"""Retired syntax that pydicom has no decoder for; `decode_progressive` reads it."""

DECODER_DEPENDENCIES = dict.fromkeys(_CODECS, ("imagecodecs",))


def is_available(syntax: str) -> bool:
    """Whether this plugin decodes the transfer syntax (asked by pydicom)."""
    return syntax in _CODECS


def decode_frame(encoded: bytes, runner: base.DecodeRunner) -> bytes:
    """Decode one frame to little-endian bytes of the pixel type (called by pydicom)."""
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
    for syntax in _CODECS:
        decoder = base.get_decoder(syntax)
        if LABEL not in {*decoder.available_plugins, *decoder.missing_dependencies}:
            decoder.add_plugin(LABEL, (__name__, decode_frame.__name__))


def decode_progressive(dataset: Dataset, index: int) -> NDArray[Any]:
    """One frame ``(rows, columns)`` of a progressive JPEG image, as it was stored."""
    frames = int(dataset.get("NumberOfFrames", 1))
    encoded = get_frame(dataset.PixelData, index, number_of_frames=frames)
    return np.asarray(imagecodecs.jpeg_decode(encoded))
