"""Comments in compressed frames are blanked; the pixels are what they were."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import encapsulate
from pydicom.uid import UID, JPEG2000Lossless, JPEGLossless

from backend.archive.deidentify.streams import silent
from backend.archive.models import Receipt
from backend.imaging import codecs
from backend.store import store
from tests.archive.made import ct_series, values, written

NAME = b"Zyxquell^Hildegard"


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">HH", marker, len(data) + 2) + data


def jpeg(pixels: np.ndarray) -> bytes:
    """Lossless JPEG that speaks: a comment, Exif, and a JFIF segment with a thumbnail's text."""
    stream = imagecodecs.ljpeg_encode(pixels.astype(np.uint16), bitspersample=16)
    said = segment(0xFFFE, NAME) + segment(0xFFE1, b"Exif\0\0" + NAME)
    said += segment(0xFFE0, b"JFIF\0\1\1\0\0\1\0\1\0\0" + NAME)
    return bytes(stream[:2] + said + stream[2:])


def jpeg2000(pixels: np.ndarray) -> bytes:
    stream = imagecodecs.jpeg2k_encode(
        pixels.astype(np.uint16), level=0, codecformat="j2k", reversible=True
    )
    size = 4 + struct.unpack_from(">H", stream, 4)[0]
    said = segment(0xFF64, b"\0\1" + NAME)
    return bytes(stream[:size] + said + stream[size:])


@pytest.mark.django_db
@pytest.mark.parametrize(("syntax", "encode"), [(JPEGLossless, jpeg), (JPEG2000Lossless, jpeg2000)])
def test_a_name_in_a_stream_goes_and_its_pixels_stay(
    tmp_path: Path,
    receive: Callable[..., Receipt],
    syntax: UID,
    encode: Callable[[np.ndarray], bytes],
) -> None:
    codecs.register()
    (ds,) = ct_series(1, PixelRepresentation=0)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate([encode(values(0))])
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    folder = written(tmp_path / "x", [ds])
    assert NAME in (folder / "00.dcm").read_bytes()
    receipt = receive(folder)
    assert receipt.stored == 1, list(receipt.kept.values("code", "message"))
    data = store().read(receipt.instances.get().blob)
    assert NAME not in data
    new = pydicom.dcmread(io.BytesIO(data))
    assert len(new.PixelData) == len(ds.PixelData)
    assert (new.pixel_array == values(0)).all()


@given(st.binary(max_size=300), st.sampled_from([b"\xff\xd8", b"\xff\x4f", b""]))
def test_no_bytes_are_too_odd_and_no_length_changes(data: bytes, begins: bytes) -> None:
    value = struct.pack("<HHL", 0xFFFE, 0xE000, len(begins + data)) + begins + data
    assert len(silent(value)) == len(value)
    assert len(silent(begins + data)) == len(begins + data)


def test_what_says_nothing_is_the_same_object() -> None:
    value = encapsulate([b"\xff\x4f\xff\x51" + bytes(40)])
    assert silent(value) is value
