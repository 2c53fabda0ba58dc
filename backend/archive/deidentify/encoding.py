"""Elements, items and files written as bytes, in the encoding their object came in."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from pydicom import uid

from backend.version import VERSION

# A UUID of this program's own, as a UID.
IMPLEMENTATION_UID = "2.25.260127813054398016452736548127389025184"
_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_NUL_PADDED = frozenset({"UI", "OB", "UN"})
UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True)
class Encoding:
    """How the elements of an object are written."""

    implicit: bool
    little: bool

    def element(self, tag: int, vr: str, value: bytes) -> bytes:
        """One element; an odd value is padded."""
        if len(value) % 2:
            value += b"\x00" if vr in _NUL_PADDED else b" "
        return self._head(tag, vr, len(value)) + value

    def fragments(self, tag: int, vr: str, value: bytes) -> bytes:
        """An encapsulated value, of undefined length."""
        end = struct.pack(f"{self._order}HHL", 0xFFFE, 0xE0DD, 0)
        return self._head(tag, vr, UNDEFINED) + value + end

    def sequence(self, tag: int, items: Iterable[bytes]) -> bytes:
        """A sequence of items whose elements are written already."""
        heads = f"{self._order}HHL"
        value = b"".join(struct.pack(heads, 0xFFFE, 0xE000, len(item)) + item for item in items)
        return self._head(tag, "SQ", len(value)) + value

    @property
    def _order(self) -> str:
        return "<" if self.little else ">"

    def _head(self, tag: int, vr: str, length: int) -> bytes:
        order = self._order
        if self.implicit:
            return struct.pack(f"{order}HHL", tag >> 16, tag & 0xFFFF, length)
        if vr not in _LONG and length > 0xFFFE:
            vr = "UN"  # Too long for the short form.
        if vr in _LONG:
            head = struct.pack(f"{order}HH2sHL", tag >> 16, tag & 0xFFFF, vr.encode(), 0, length)
        else:
            head = struct.pack(f"{order}HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), length)
        return head


def file_of(*, sop_class: str, sop_uid: str, syntax: str, body: bytes) -> bytes:
    """A whole file: a blank preamble, file meta information of our own, and the object."""
    plain = Encoding(implicit=False, little=True)
    meta = b"".join(
        plain.element(tag, vr, value.encode() if isinstance(value, str) else value)
        for tag, vr, value in (
            (0x00020001, "OB", b"\x00\x01"),
            (0x00020002, "UI", sop_class),
            (0x00020003, "UI", sop_uid),
            (0x00020010, "UI", syntax),
            (0x00020012, "UI", IMPLEMENTATION_UID),
            (0x00020013, "SH", f"CONCORD_{VERSION}"[:16]),
        )
    )
    length = plain.element(0x00020000, "UL", struct.pack("<L", len(meta)))
    if syntax == uid.DeflatedExplicitVRLittleEndian:
        squeezer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = squeezer.compress(body) + squeezer.flush()
        body += b"\x00" * (len(body) % 2)
    return b"".join((bytes(128), b"DICM", length, meta, body))
