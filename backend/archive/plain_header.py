"""The header of a plain file, read in one pass over its bytes.

Plain is: preamble, file meta information with its length, Explicit VR Little Endian, every
element in order and within the file, nothing after the last. Of such a header the plain values
become DICOM JSON here and the others are read by pydicom, alone. For every other file the answer is
None and pydicom reads it whole; a test holds both ways to the same answers.
"""

from __future__ import annotations

import io
import struct
from functools import lru_cache
from typing import Any, TypeAlias

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from backend.archive.metadata import BULK_VRS, INLINE_BYTES, Metadata, metadata_of
from backend.archive.raw_elements import LONGEST, plain_value

PIXEL_DATA = 0x7FE00010
_META_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"
_SYNTAX, _EXPLICIT = 0x00020010, b"1.2.840.10008.1.2.1"
_DICOMDIR = b"1.2.840.10008.1.3.10"
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_DEEPEST = 12
_head = struct.Struct("<HH2sH").unpack_from
_long = struct.Struct("<L").unpack_from
_item = struct.Struct("<HHL").unpack_from
_SHORT_VRS = "AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US"
_LONG_VRS = "OB OD OF OL OV OW SQ SV UC UN UR UT UV"
# Bytes of a VR → its name, and whether its length takes four bytes.
_VRS = {vr.encode(): (vr, False) for vr in _SHORT_VRS.split()}
_VRS |= {vr.encode(): (vr, True) for vr in _LONG_VRS.split()}
# What the reading of other elements may depend on: character set, signedness, width.
_CONTEXT = (0x00080005, 0x00280100, 0x00280103)

# Tag → (VR, where the element begins, where its value begins, where it ends).
Elements: TypeAlias = dict[int, tuple[str, int, int, int]]


class Header:
    """What a plain file says; `get` answers as a pydicom data set does.

    Attributes:
        syntax: the transfer syntax UID.
        elements: where each top-level element lies.
        metadata: DICOM JSON as `metadata_of` gives it.
    """

    syntax = _EXPLICIT.decode()

    def __init__(self, data: bytes, elements: Elements) -> None:
        self._data, self.elements = data, elements
        self._left: list[int] = []
        self.metadata = self._json()

    def get(self, keyword: str, default: Any = None) -> Any:
        """The value of a top-level element as pydicom would give it: None, one, or several."""
        tag, key = _tag_of(keyword)
        if tag not in self.elements:
            return default
        values = self.metadata[key].get("Value")
        if not values or tag in self._left or self.elements[tag][0] == "PN":
            return self._by_pydicom([tag]).get(keyword, default)
        return values[0] if len(values) == 1 else values

    def _json(self) -> Metadata:
        data, left = self._data, self._left
        metadata: Metadata = {}
        for tag, (vr, _, start, stop) in self.elements.items():
            if not tag & 0xFFFF:
                continue
            found: dict[str, Any] | None = None
            if vr in BULK_VRS:
                if vr != "UN" and stop - start > INLINE_BYTES:
                    found = {"vr": vr, "BulkDataURI": f"bulkdata/{tag:08X}"}
            elif stop - start <= LONGEST:
                found = plain_value(vr, data[start:stop])
            if found is None:
                left.append(tag)
            metadata[f"{tag:08X}"] = found or {}
        if left:
            read = metadata_of(self._by_pydicom(left))
            for tag in left:
                metadata[f"{tag:08X}"] = read[f"{tag:08X}"]
        return metadata

    def _by_pydicom(self, tags: list[int]) -> Dataset:
        """A data set of these elements and of those they may depend on."""
        wanted = {*tags, *_CONTEXT}
        if any(tag >> 16 & 1 for tag in tags):
            wanted |= {t for t in self.elements if t >> 16 & 1 and 0x10 <= t & 0xFFFF <= 0xFF}
        places = [place for tag, place in self.elements.items() if tag in wanted]
        pieces = [self._data[head:stop] for _, head, _, stop in places]
        return read_dataset(io.BytesIO(b"".join(pieces)), False, True)


def read_header(data: bytes) -> Header | None:
    """The header of a plain file; None where pydicom has to read the file."""
    if data[128:132] != b"DICM" or data[132:140] != _META_LENGTH or len(data) < 144:
        return None
    end = 144 + _long(data, 140)[0]
    meta = _elements(data, 144, end, 0x00020000) if end <= len(data) else None
    if not meta or max(meta) >> 16 != 2 or _SYNTAX not in meta:
        return None
    _, _, start, stop = meta[_SYNTAX]
    if data[start:stop].rstrip(b"\x00") != _EXPLICIT or data.find(_DICOMDIR, 132, end) >= 0:
        return None
    elements = _elements(data, end, len(data), 0x0007FFFF)
    if not elements or max(elements) >= 0xFFFE0000:
        return None
    return Header(data, elements)


@lru_cache(maxsize=256)
def _tag_of(keyword: str) -> tuple[int, str]:
    tag = tag_for_keyword(keyword) or 0
    return tag, f"{tag:08X}"


def _elements(data: bytes, place: int, end: int, last: int) -> Elements | None:
    """The elements between two places, all of which come after tag `last`."""
    found: Elements = {}
    while place < end:
        if place + 8 > end:
            return None
        group, number, name, length = _head(data, place)
        tag = group << 16 | number
        known = _VRS.get(name)
        if known is None or tag <= last:
            return None
        last, start = tag, place + 8
        vr, long = known
        stop = start + length
        if long:
            if start + 4 > end:
                return None
            length = _long(data, start)[0]
            start += 4
            stop = start + length
            if length == _UNDEFINED:
                if vr != "SQ":
                    return None
                stop = _sequence_end(data, start, end, 1)
        if not start <= stop <= end:
            return None
        found[tag] = vr, place, start, stop
        place = stop
    return found


def _sequence_end(data: bytes, place: int, end: int, depth: int) -> int:
    """Where a sequence of undefined length ends, after its delimiter; -1 where it does not."""
    while depth <= _DEEPEST and place + 8 <= end:
        group, number, length = _item(data, place)
        place += 8
        if group << 16 | number == _SEQUENCE_END:
            return place if length == 0 else -1
        if group << 16 | number != _ITEM:
            return -1
        place = _item_end(data, place, end, depth) if length == _UNDEFINED else place + length
        if place < 0:
            return -1
    return -1


def _item_end(data: bytes, place: int, end: int, depth: int) -> int:
    while place + 8 <= end:
        group, number, name, length = _head(data, place)
        if group << 16 | number == _ITEM_END:
            return place + 8 if name == b"\x00\x00" and length == 0 else -1
        known = _VRS.get(name)
        if known is None:
            return -1
        start = place + 8
        if known[1]:
            if start + 4 > end:
                return -1
            length = _long(data, start)[0]
            start += 4
        if length == _UNDEFINED:
            place = _sequence_end(data, start, end, depth + 1) if known[0] == "SQ" else -1
        else:
            place = start + length
        if place < 0:
            return -1
    return -1
