"""Pixels of stored instances: where they lie, whether they are whole, frames as raw bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np
from django.conf import settings
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.pixels import iter_pixels, pixel_array
from pydicom.pixels.utils import get_expected_length, get_nr_frames

from backend.archive.findings import ASK_SENDER, NotTaken
from backend.archive.plain_header import PIXEL_DATA, Header
from backend.imaging import codecs

codecs.register()

NATIVE_LITTLE_ENDIAN = frozenset({uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian})
_OTHER_PIXELS = frozenset({0x7FE00008, 0x7FE00009})  # Float and double float pixel data.
PIXEL_KEYWORDS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
MAX_PIXEL_BYTES: int = settings.MAX_PIXEL_BYTES


@dataclass(frozen=True)
class PixelFacts:
    """How the pixels of one instance lie in its file.

    `offset` and `frame_bytes` are given only for native little-endian pixels whose frames start
    at whole bytes; elsewhere a frame has to be decoded.
    """

    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    slope: float
    intercept: float
    offset: int | None = None
    frame_bytes: int | None = None

    def to_json(self) -> dict[str, Any]:
        """For the database."""
        return dict(vars(self))


def inspect(dataset: Dataset) -> PixelFacts | None:
    """The facts of whole, readable pixels; None where the object has no pixels.

    Call before any other use of the pixel element: it needs the declared length.

    Raises:
        NotTaken: TRUNCATED, PIXELS_UNREADABLE or TOO_LARGE.
    """
    keyword = next((k for k in PIXEL_KEYWORDS if k in dataset), None)
    if keyword is None:
        return None
    raw = dataset.get_item(keyword)
    syntax = dataset.file_meta.TransferSyntaxUID
    if isinstance(raw, RawDataElement) and raw.value is not None:
        present = len(raw.value)
    else:
        present = len(dataset[keyword].value or b"")
    try:
        expected = get_expected_length(dataset)
        facts = _facts(dataset)
    except Exception as error:  # noqa: BLE001  absent or malformed tags of many kinds
        raise NotTaken(
            "PIXELS_UNREADABLE",
            f"{{name}} does not say how its pixels are laid out ({_last_line(error)}).",
            ASK_SENDER,
        ) from None
    if expected > MAX_PIXEL_BYTES:
        raise NotTaken(
            "TOO_LARGE",
            f"{{name}} promises {expected >> 20} MiB of pixels, more than the "
            f"{MAX_PIXEL_BYTES >> 20} MiB allowed.",
            "Send the series as single-frame images.",
        )
    if not syntax.is_encapsulated:
        if present < expected:
            raise _truncated(expected, present)
        if not _is_usual(dataset, facts):
            _decode_all(dataset, facts, frames=1)
        return _native(facts, raw, syntax, expected)
    _decode_all(dataset, facts, frames=facts.frames)
    return facts


def require_whole(dataset: Dataset) -> None:
    """Raise `NotTaken` TRUNCATED where the file ends before an element that it declares.

    Before anything is written anew: what is written is padded to even lengths, and would hide that
    a byte is missing.
    """
    for raw in dataset.values():  # As they were read: nothing that is odd is looked at.
        if isinstance(raw, RawDataElement) and raw.value is not None:
            present = len(raw.value)
            if raw.length not in (0xFFFFFFFF, present):
                of_pixels = raw.tag == PIXEL_DATA or raw.tag in _OTHER_PIXELS
                raise _truncated(raw.length, present, "pixels" if of_pixels else "last element")


def plain_pixels(header: Header) -> PixelFacts | None:
    """The same of a plain header: one monochrome frame of whole bytes; None for anything else."""
    place = header.elements.get(PIXEL_DATA)
    if (
        place is None
        or place[0] not in ("OW", "OB")
        or not _OTHER_PIXELS.isdisjoint(header.elements)
    ):
        return None
    bits, stored = _whole(header, "BitsAllocated"), _whole(header, "BitsStored")
    rows, columns = _whole(header, "Rows"), _whole(header, "Columns")
    signed, frames = _whole(header, "PixelRepresentation"), _whole(header, "NumberOfFrames", 1)
    slope, intercept = _number(header, "RescaleSlope", 1), _number(header, "RescaleIntercept", 0)
    if (
        header.get("PhotometricInterpretation") not in ("MONOCHROME1", "MONOCHROME2")
        or _whole(header, "SamplesPerPixel") != 1
        or frames != 1
        or bits not in (8, 16, 32)
        or not rows
        or not columns
        or slope is None
        or intercept is None
        or signed not in (0, 1)
        or not stored
        or stored > bits
        or not _OTHER_PIXELS.isdisjoint(header.elements)
    ):
        return None
    size, (_, _, start, stop) = rows * columns * (bits // 8), place
    if size > MAX_PIXEL_BYTES or stop - start < size:
        return None
    return PixelFacts(
        rows=rows,
        columns=columns,
        frames=1,
        samples=1,
        bits_allocated=bits,
        bits_stored=stored or bits,
        signed=bool(signed),
        slope=float(slope),
        intercept=float(intercept),
        offset=start,
        frame_bytes=size,
    )


def _whole(header: Header, keyword: str, absent: int | None = None) -> int | None:
    value = header.get(keyword, absent)
    return value if isinstance(value, int) and value >= 0 else None


def _number(header: Header, keyword: str, absent: int) -> float | None:
    value = header.get(keyword, absent)
    return value if isinstance(value, (int, float)) and np.isfinite(value) else None


def _is_usual(dataset: Dataset, facts: PixelFacts) -> bool:
    """Whether native pixels are grey in whole bytes, which nothing can go wrong with."""
    return (
        str(dataset.get("PhotometricInterpretation", "")) in ("MONOCHROME1", "MONOCHROME2")
        and facts.samples == 1
        and facts.bits_allocated in (8, 16, 32)
        and dataset.get("BitsStored") == facts.bits_stored
        and 1 <= facts.bits_stored <= facts.bits_allocated
        and dataset.get("PixelRepresentation") in (0, 1)
    )


def _truncated(expected: int, present: int, what: str = "pixels") -> NotTaken:
    return NotTaken(
        "TRUNCATED",
        f"{{name}} is cut off: {present} of {expected} bytes of its {what} are there.",
        "The copy or transfer broke off; send the file again.",
    )


def _facts(dataset: Dataset) -> PixelFacts:
    bits = int(dataset.BitsAllocated)
    facts = PixelFacts(
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        frames=int(get_nr_frames(dataset, warn=False)),
        samples=int(dataset.SamplesPerPixel),
        bits_allocated=bits,
        bits_stored=int(dataset.get("BitsStored") or bits),
        signed=bool(dataset.get("PixelRepresentation") or 0),
        slope=_given(dataset, "RescaleSlope", 1.0),
        intercept=_given(dataset, "RescaleIntercept", 0.0),
    )
    if not np.isfinite([facts.slope, facts.intercept]).all():
        raise ValueError("slope and intercept must be finite numbers")
    if min(facts.rows, facts.columns, facts.frames, facts.samples, bits) < 1:
        raise ValueError("rows, columns, frames, samples and bits must be positive")
    return facts


def _given(dataset: Dataset, keyword: str, absent: float) -> float:
    """A number of the header; 0 is one, an empty element is none."""
    value = dataset.get(keyword)
    return absent if value is None or value == "" else float(value)


def _native(facts: PixelFacts, raw: Any, syntax: str, expected: int) -> PixelFacts:
    """With the place of the pixels, where frames can be cut out of the file as they are."""
    if (
        syntax not in NATIVE_LITTLE_ENDIAN
        or not isinstance(raw, RawDataElement)
        or facts.bits_allocated % 8
        or expected % facts.frames
    ):
        return facts
    return PixelFacts(
        **{
            **asdict(facts),
            "offset": raw.value_tell,
            "frame_bytes": expected // facts.frames,
        }
    )


def _decode_all(dataset: Dataset, facts: PixelFacts, *, frames: int) -> None:
    """Decode the first frames once, so that nothing is stored that cannot be served."""
    done = 0
    try:
        for _ in _first_frames(dataset, frames):
            done += 1
        if done < frames:
            raise ValueError("it is not there")
    except Exception as error:  # noqa: BLE001  decoders raise many kinds on broken streams
        syntax = dataset.file_meta.TransferSyntaxUID
        raise NotTaken(
            "PIXELS_UNREADABLE",
            f"The pixels of {{name}} ({syntax.name}, frame {done + 1} of {facts.frames}) "
            f"cannot be decoded: {_last_line(error)}.",
            "Send the file uncompressed, or send it again if it is damaged.",
        ) from None


def _first_frames(dataset: Dataset, frames: int) -> Iterator[NDArray[Any]]:
    """One after the other: a file that tells no offsets is walked once, not once for each."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if frames == 1 or syntax == codecs.PROGRESSIVE_JPEG:
        yield from (decode(dataset, index) for index in range(frames))
        return
    plugin = codecs.LABEL if codecs.is_available(syntax) else ""
    yield from islice(iter_pixels(dataset, decoding_plugin=plugin), frames)


def _last_line(error: Exception) -> str:
    """The line of a library's error that says what is wrong; the first ones only introduce it."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[-1].strip().rstrip(".:")[:160]


def decode(dataset: Dataset, index: int) -> NDArray[Any]:
    """One frame: (rows, columns) or (rows, columns, samples), stored values, RGB where colour."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax == codecs.PROGRESSIVE_JPEG:
        return codecs.decode_progressive(dataset, index)
    if syntax in NATIVE_LITTLE_ENDIAN and (dataset.BitsAllocated, dataset.SamplesPerPixel) == (
        1,
        1,
    ):
        return _one_bit(dataset, index)
    plugin = codecs.LABEL if codecs.is_available(syntax) else ""
    array: NDArray[Any] = pixel_array(dataset, index=index, decoding_plugin=plugin)
    return array


def _one_bit(dataset: Dataset, index: int) -> NDArray[np.uint8]:
    """One frame of single bits; frames follow one another without a gap (PS3.5, 8.1.1).

    Not by pydicom: it takes another frame than the first for shorter where bytes stand behind.
    """
    count = int(dataset.Rows) * int(dataset.Columns)
    start = index * count
    packed = np.frombuffer(dataset.PixelData, np.uint8)[start // 8 : (start + count + 7) // 8]
    bits = np.unpackbits(packed, bitorder="little")[start % 8 : start % 8 + count]
    return bits.reshape(int(dataset.Rows), int(dataset.Columns))


def raw_frame(dataset: Dataset, index: int) -> bytes:
    """One frame as explicit little-endian bytes, as its metadata describes them."""
    array = decode(dataset, index)
    bits = int(dataset.BitsAllocated)
    if bits == 1:
        return np.packbits(array.ravel().astype(np.uint8), bitorder="little").tobytes()
    if array.dtype.kind in "iu" and array.dtype.itemsize * 8 < bits:
        array = array.astype(f"{array.dtype.kind}{bits // 8}")
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()


def stored_values(data: bytes, facts: dict[str, Any]) -> NDArray[Any]:
    """Native 16-bit bytes of one frame as values (rows, columns), unused bits corrected."""
    array = np.frombuffer(data, "<i2" if facts["signed"] else "<u2")
    array = array.reshape(facts["rows"], facts["columns"])
    if shift := facts["bits_allocated"] - facts["bits_stored"]:
        array = (array << shift) >> shift
    return array
