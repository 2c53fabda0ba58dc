"""What a file claims of itself and is not so: harmless, told, no matter to those beside it."""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pydicom
import pytest
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, RLELossless

from backend.archive import inflating
from backend.archive.findings import NotTaken
from backend.archive.models import Instance, KeptAside, Receipt
from backend.archive.parsing import parse
from backend.archive.storing import store_all, store_new
from tests.archive.made import ct_series, encoded, written

pytestmark = pytest.mark.django_db
Receive = Callable[..., Receipt]


def deflated() -> bytes:
    """Eight megabytes that deflate to almost nothing."""
    (ds,) = ct_series(1, Rows=2048, Columns=2048, PixelData=bytes(2048 * 2048 * 2))
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return encoded(ds)


def without_its_length(data: bytes) -> bytes:
    return data[:132] + data[144:]


def with_a_wrong_length(data: bytes) -> bytes:
    return data[:140] + bytes([data[140] + 8]) + data[141:]


def with_a_long_version(data: bytes) -> bytes:
    """A file meta information in which the transfer syntax comes after 100 kB of something else."""
    version, long = (b"\x02\x00\x01\x00OB\x00\x00" + n for n in (b"\x02\0\0\0", b"\xa0\x86\x01\0"))
    assert version in data
    return data.replace(version + b"\x00\x01", long + bytes(100_000))


def without_preamble(data: bytes) -> bytes:
    return data[144:]


@pytest.mark.parametrize(
    "disguised",
    [bytes, without_its_length, with_a_wrong_length, with_a_long_version, without_preamble],
)
def test_a_deflated_bomb_is_counted_and_not_kept(
    monkeypatch: pytest.MonkeyPatch, disguised: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(inflating, "MAX_FILE_BYTES", 1 << 20)
    data = disguised(deflated())
    assert len(data) < 200_000
    with pytest.raises(NotTaken) as caught:
        parse("x", data)
    assert caught.value.code == "TOO_LARGE"
    monkeypatch.setattr(inflating, "MAX_FILE_BYTES", 64 << 20)
    assert parse("x", data).pixels is not None


@pytest.mark.parametrize("behind", [b"", b"\0", b"\0\0"])
def test_what_stands_behind_a_long_deflated_object_is_no_endless_work(
    monkeypatch: pytest.MonkeyPatch, behind: bytes
) -> None:
    """More than is inflated at once, and a pad byte, as pydicom itself writes one."""
    monkeypatch.setattr(inflating, "_INFLATED_AT_ONCE", 1 << 20)
    assert parse("x", deflated() + behind).pixels is not None


@pytest.mark.parametrize("last", ["PixelData", "TextValue"])
@pytest.mark.parametrize("preamble", [True, False])
def test_one_byte_less_is_not_made_up_for_by_writing_the_object_anew(
    last: str, preamble: bool
) -> None:
    """What is written has even lengths: a pad byte would stand where a pixel's was."""
    (ds,) = ct_series(1)
    if last == "TextValue":
        del ds.PixelData, ds.Rows
        ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
        ds[0x0040A160] = DataElement(0x0040A160, "UT", "whole")
        ds[0x7FE10010] = DataElement(0x7FE10010, "LO", "Maker")
        ds[0x7FE11001] = DataElement(0x7FE11001, "UT", "words")
    whole = encoded(ds)
    data = whole if preamble else whole[144 + whole[140] :]
    assert parse("x", data, encoded).sop_uid == ds.SOPInstanceUID
    for change in (encoded, None):
        with pytest.raises(NotTaken) as caught:
            parse("x", data[:-1], change)
        assert (caught.value.code, caught.value.sop_uid) == ("TRUNCATED", ds.SOPInstanceUID)


@pytest.mark.parametrize("value", ["1e999", "-1e999", "inf", "nan"])
@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
def test_a_slope_that_is_no_number_is_kept_aside_and_harms_no_other(
    tmp_path: Path, receive: Receive, keyword: str, value: str
) -> None:
    odd, good = ct_series(2)
    odd[keyword] = DataElement(keyword, "DS", value, validation_mode=IGNORE)
    receipt = receive(written(tmp_path / "study", [odd, good]))
    assert (receipt.stored, receipt.kept_aside) == (1, 1)
    assert KeptAside.objects.get().code == "PIXELS_UNREADABLE"


def test_what_the_database_cannot_keep_is_told_and_harms_no_other(receive: Receive) -> None:
    first, *others = (parse(f"{n}.dcm", encoded(ds)) for n, ds in enumerate(ct_series(3)))
    assert first.pixels is not None
    odd = replace(first, pixels=replace(first.pixels, slope=float("inf")))
    receipt = receive()
    assert store_new(receipt, [odd, *others], lambda count: None) is None
    refused, *stored = store_all(receipt=receipt, incoming=[odd, *others])
    assert isinstance(refused, NotTaken)
    assert (refused.code, refused.sop_uid) == ("UNREADABLE", odd.sop_uid)
    assert Instance.objects.count() == len(stored) == 2


def many_frames(count: int) -> bytes:
    """Frames of one pixel, compressed, in a file that does not tell where each begins."""
    (ds,) = ct_series(1, Rows=1, Columns=1, NumberOfFrames=count)
    ds.file_meta.TransferSyntaxUID = RLELossless
    frame = struct.pack("<16L", 2, 64, 66, *[0] * 13) + b"\x00\x01\x00\x02"
    ds.PixelData = encapsulate([frame] * count, has_bot=False)
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    return encoded(ds)


def calls_to_parse(data: bytes) -> int:
    """How many functions were called to read a file: what it costs, on any machine."""
    calls = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        assert parse("x", data).pixels is not None
    finally:
        sys.setprofile(None)
    return calls


def test_twice_as_many_frames_cost_twice_as_much() -> None:
    calls_to_parse(many_frames(2))
    assert calls_to_parse(many_frames(800)) < 2.3 * calls_to_parse(many_frames(400))


def test_a_frame_more_than_there_is_is_told() -> None:
    whole = pydicom.dcmread(io.BytesIO(many_frames(5)))
    for promised in (4, 6):
        whole.NumberOfFrames = promised
        with pytest.raises(NotTaken) as caught:
            parse("x", encoded(whole))
        assert caught.value.code == "PIXELS_UNREADABLE"
