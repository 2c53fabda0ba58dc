"""Valid DICOM files of many kinds, and what can happen to them on the way."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from tests.archive.made import ct_slice, encoded

Random: TypeAlias = np.random.Generator
Mutation: TypeAlias = Callable[[bytes, Random], bytes]
EXPLICIT = "1.2.840.10008.1.2.1"
NUMBERS = (
    "Rows",
    "Columns",
    "NumberOfFrames",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "SamplesPerPixel",
    "PlanarConfiguration",
    "InstanceNumber",
    "SeriesNumber",
    "RescaleSlope",
    "RescaleIntercept",
    "WindowWidth",
    "SliceThickness",
)
TEXTS = (
    "SpecificCharacterSet",
    "PhotometricInterpretation",
    "Modality",
    "PatientName",
    "PatientID",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "ImageType",
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "FrameOfReferenceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
)
HUGE = (0, 1, 2, 7, 255, 4096, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63, -1, -(2**31), 10**30)
ODD_TEXTS = (
    "",
    " ",
    "\\",
    "\\\\\\",
    "../../etc/passwd",
    "A" * 70000,
    "\x00\x01",
    "Ünïcödé",
    "ISO 2022 IR 87",
    "ISO_IR 192\\ISO 2022 IR 149",
    "NaN",
    "1e999",
    "RGB",
    "PALETTE COLOR",
    "YBR_FULL_422",
    "1.2.840.10008.5.1.4.1.1.66.4",
    "1..2.03",
    "99999999",
    "\u202e",
    "\ud800",
)


@cache
def corpus() -> dict[str, bytes]:
    """Valid files: a CT slice in every kind of transfer syntax, many frames, a report, colour."""
    made = {name: encoded(_in_syntax(syntax)) for name, syntax in _ENCODED.items()}
    made["many frames"] = encoded(_many_frames())
    made["one bit"] = encoded(_one_bit())
    made["colour"] = encoded(_colour())
    made["report"] = encoded(_report())
    made["no preamble"] = made["explicit"][_data_at(made["explicit"]) :]
    made["names"] = encoded(
        _slice(SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Tarou=山田^太郎")
    )
    return made


_ENCODED = {
    "explicit": EXPLICIT,
    "implicit": "1.2.840.10008.1.2",
    "big endian": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99",
    "RLE": "1.2.840.10008.1.2.5",
    "JPEG": "1.2.840.10008.1.2.4.50",
    "JPEG extended": "1.2.840.10008.1.2.4.51",
    "JPEG lossless": "1.2.840.10008.1.2.4.70",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
    "HTJ2K": "1.2.840.10008.1.2.4.201",
}


def _slice(**changes: Any) -> Dataset:
    return ct_slice(0, study="1.2.826.0.1.99", series="1.2.826.0.1.99.1", **changes)


def _in_syntax(syntax: str) -> Dataset:
    rng = np.random.default_rng(1)
    ds = _slice(PixelRepresentation=0, RescaleIntercept=-1024)
    eight = syntax.endswith(".50")
    bits = 8 if eight else 12
    plane = rng.integers(0, 2**bits - 1, (12, 16)).astype(np.uint8 if eight else np.uint16)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = (8, 8, 7) if eight else (16, 12, 11)
    ds.PixelData = plane.tobytes()
    ds["PixelData"].VR = "OB" if eight else "OW"
    if syntax.endswith(".1.2.5"):
        ds.compress(UID(syntax), generate_instance_uid=False)
        return ds
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    encoders: dict[str, Callable[[], bytes]] = {
        ".50": lambda: imagecodecs.jpeg8_encode(plane),
        ".51": lambda: imagecodecs.jpeg8_encode(plane, bitspersample=12),
        ".70": lambda: imagecodecs.jpeg8_encode(plane, lossless=True, bitspersample=12),
        ".80": lambda: imagecodecs.jpegls_encode(plane),
        ".90": lambda: imagecodecs.jpeg2k_encode(plane, codecformat="j2k", reversible=True),
        ".201": lambda: imagecodecs.htj2k_encode(plane, reversible=True),
    }
    for end, encode in encoders.items():
        if syntax.endswith(f".4{end}"):
            ds.PixelData = encapsulate([encode()])
            ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    if syntax == "1.2.840.10008.1.2.2":
        ds.PixelData = plane.astype(">u2").tobytes()
    return ds


def _many_frames() -> Dataset:
    ds = _slice(SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1", NumberOfFrames=3)
    ds.PixelData = bytes(ds.PixelData) * 3
    ds.PerFrameFunctionalGroupsSequence = []
    for index in range(3):
        group, place = Dataset(), Dataset()
        place.ImagePositionPatient = [0, 0, index]
        group.PlanePositionSequence = [place]
        ds.PerFrameFunctionalGroupsSequence.append(group)
    return ds


def _one_bit() -> Dataset:
    ds = _slice(SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4", Modality="SEG", NumberOfFrames=3)
    ds.Rows, ds.Columns, ds.PixelRepresentation = 5, 5, 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 1, 0
    ds.PixelData = bytes(range(10))
    return ds


def _colour() -> Dataset:
    ds = _slice(SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Modality="OT")
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PixelData = bytes(i % 251 for i in range(12 * 16 * 3))
    return ds


def _report() -> Dataset:
    ds = _slice(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Modality="SR")
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "NumberOfFrames"):
        if keyword in ds:
            delattr(ds, keyword)
    item = Dataset()
    item.ValueType, item.TextValue = "TEXT", "No abnormality."
    ds.ContentSequence = [item, item]
    return ds


def mutate(data: bytes, rng: Random) -> tuple[str, bytes]:
    """The names of one to three mutations, and what they made of the file."""
    names = []
    for _ in range(int(rng.integers(1, 4))):
        name = str(rng.choice(sorted(MUTATIONS)))
        try:
            data = MUTATIONS[name](data, rng)
        except Exception:  # noqa: BLE001  what is broken already may not bear this one
            name += " (not possible)"
        names.append(name)
    return " + ".join(names), data


def _data_at(data: bytes) -> int:
    """Where the data set begins in a file with preamble."""
    return 144 + int(struct.unpack_from("<I", data, 140)[0])


def _place(data: bytes, rng: Random) -> int:
    """Somewhere, more often in the header than in the pixels."""
    stop = len(data) if rng.random() < 0.3 else min(len(data), 1400)
    return int(rng.integers(0, max(1, stop)))


def flip_bits(data: bytes, rng: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        changed[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def truncate(data: bytes, rng: Random) -> bytes:
    return data[: int(rng.integers(0, len(data)))]


def delete_bytes(data: bytes, rng: Random) -> bytes:
    start = _place(data, rng)
    return data[:start] + data[start + int(rng.integers(1, 64)) :]


def insert_bytes(data: bytes, rng: Random) -> bytes:
    start = _place(data, rng)
    return data[:start] + rng.bytes(int(rng.integers(1, 64))) + data[start:]


def repeat_bytes(data: bytes, rng: Random) -> bytes:
    start = _place(data, rng)
    piece = data[start : start + int(rng.integers(1, 256))]
    return data[:start] + piece * int(rng.integers(2, 40)) + data[start:]


def overwrite(data: bytes, rng: Random) -> bytes:
    start, size = _place(data, rng), int(rng.integers(1, 16))
    return data[:start] + bytes([int(rng.choice([0, 255, 32, 92]))]) * size + data[start + size :]


def lie_of_a_length(data: bytes, rng: Random) -> bytes:
    """Another length in some element's header (explicit, implicit, or an item's)."""
    marks = [b"UI", b"DS", b"IS", b"LO", b"SQ", b"OW", b"OB", b"PN", b"CS", b"\xfe\xff\x00\xe0"]
    mark = marks[int(rng.integers(len(marks)))]
    places = [i for i in range(len(data)) if data.startswith(mark, i)]
    start = int(rng.choice(places)) + len(mark)
    value = int(rng.choice([0, 1, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 13]))
    long = mark in (b"SQ", b"OW", b"OB")
    start += 2 if long else 0
    width = 4 if long or mark[0] == 0xFE else 2
    return data[:start] + (value % 256**width).to_bytes(width, "little") + data[start + width :]


def swap_vr(data: bytes, rng: Random) -> bytes:
    vrs = [b"UI", b"DS", b"IS", b"LO", b"SQ", b"OW", b"US", b"FD", b"UN", b"AT", b"PN", b"??"]
    places = [i for i in range(132, len(data)) if data[i : i + 2] in vrs]
    start = int(rng.choice(places))
    return data[:start] + vrs[int(rng.integers(len(vrs)))] + data[start + 2 :]


def other_syntax(data: bytes, rng: Random) -> bytes:
    """The file meta information names another transfer syntax."""
    named = [s.encode() for s in sorted(_ENCODED.values(), key=len, reverse=True)]
    here = next(syntax for syntax in named if syntax in data[:600])
    return data.replace(here, named[int(rng.integers(len(named)))], 1)


def _changed(data: bytes, change: Callable[[Dataset], None]) -> bytes:
    ds = pydicom.dcmread(io.BytesIO(data), force=True)
    change(ds)
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, ds)
    return buffer.getvalue()


def odd_number(data: bytes, rng: Random) -> bytes:
    """A number in the header becomes another, in bytes of its own choice."""
    keyword = str(rng.choice(NUMBERS))
    value = HUGE[int(rng.integers(len(HUGE)))]

    def change(ds: Dataset) -> None:
        tag = pydicom.tag.Tag(keyword)
        vr = pydicom.datadict.dictionary_VR(tag)
        raw = (value % 65536).to_bytes(2, "little") if vr == "US" else str(value).encode()
        ds[tag] = pydicom.dataelem.RawDataElement(
            tag, vr, len(raw), raw, 0, False, True, is_raw=True
        )

    return _changed(data, change)


def odd_text(data: bytes, rng: Random) -> bytes:
    keyword = str(rng.choice(TEXTS))
    raw = ODD_TEXTS[int(rng.integers(len(ODD_TEXTS)))].encode("utf-8", "surrogatepass")

    def change(ds: Dataset) -> None:
        tag = pydicom.tag.Tag(keyword)
        vr = pydicom.datadict.dictionary_VR(tag)
        ds[tag] = pydicom.dataelem.RawDataElement(
            tag, vr, len(raw), raw, 0, False, True, is_raw=True
        )

    return _changed(data, change)


def lose_elements(data: bytes, rng: Random) -> bytes:
    def change(ds: Dataset) -> None:
        for tag in rng.permutation(list(ds.keys()))[: int(rng.integers(1, 5))]:
            del ds[int(tag)]

    return _changed(data, change)


def nest(data: bytes, rng: Random) -> bytes:
    """A sequence in a sequence in a sequence …, of true lengths or of none."""
    inner, open_ended = b"", bool(rng.integers(2))
    for _ in range(int(rng.choice([3, 40, 90, 400, 2000]))):
        if open_ended:
            item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + inner + b"\xfe\xff\x0d\xe0\0\0\0\0"
            size, after = b"\xff\xff\xff\xff", b"\xfe\xff\xdd\xe0\0\0\0\0"
        else:
            item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(inner)) + inner
            size, after = struct.pack("<I", len(item)), b""
        inner = b"\x08\x00\x15\x11SQ\0\0" + size + item + after
    start = _data_at(data) if data[128:132] == b"DICM" else 0
    return data[:start] + inner + data[start:]


def nest_without_end(data: bytes, rng: Random) -> bytes:
    """Thousands of sequences of undefined length, none closed."""
    opened = b"\x08\x00\x15\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    start = _data_at(data) if data[128:132] == b"DICM" else 0
    return data[:start] + opened * int(rng.choice([50, 500, 5000])) + data[start:]


def shuffle_fragments(data: bytes, rng: Random) -> bytes:
    """Items of encapsulated pixels cut, doubled or with other lengths."""
    item = b"\xfe\xff\x00\xe0"
    places = [i for i in range(len(data)) if data.startswith(item, i)]
    start = int(rng.choice(places))
    kind = int(rng.integers(4))
    if kind == 0:
        return data[:start] + item + b"\x00\x00\x00\x00" + data[start:]
    if kind == 1:
        return data[:start] + data[start + 8 :]
    if kind == 2:
        return data[:start] + b"\xfe\xff\xdd\xe0\x00\x00\x00\x00" + data[start:]
    return data[: start + 4] + rng.bytes(4) + data[start + 8 :]


def scramble_pixels(data: bytes, rng: Random) -> bytes:
    """Bytes of the (often compressed) pixels changed."""
    changed = bytearray(data)
    low = max(0, len(data) - int(rng.integers(16, 400)))
    for _ in range(int(rng.integers(1, 12))):
        changed[int(rng.integers(low, len(data)))] = int(rng.integers(256))
    return bytes(changed)


MUTATIONS: dict[str, Mutation] = {
    function.__name__: function
    for function in (
        flip_bits,
        truncate,
        delete_bytes,
        insert_bytes,
        repeat_bytes,
        overwrite,
        lie_of_a_length,
        swap_vr,
        other_syntax,
        odd_number,
        odd_text,
        lose_elements,
        nest,
        nest_without_end,
        shuffle_fragments,
        scramble_pixels,
    )
}
