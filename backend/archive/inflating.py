"""Deflated objects are counted before they are inflated: a bomb takes no memory."""

from __future__ import annotations

import io
import zlib

from pydicom.uid import DeflatedExplicitVRLittleEndian

from backend.archive.findings import NotTaken
from backend.archive.sources import MAX_FILE_BYTES

_DEFLATED = str(DeflatedExplicitVRLittleEndian).encode()
_INFLATED_AT_ONCE = 16 << 20


def inflatable(data: bytes) -> io.BytesIO:
    """The bytes as pydicom reads them; only what may be deflated is watched, which takes time."""
    return _Bounded(data) if _DEFLATED in data else io.BytesIO(data)


class _Bounded(io.BytesIO):
    """A file whose deflated part is counted before pydicom inflates it.

    All that is left of a file pydicom reads at once only to inflate it; where that begins it alone
    knows, for it goes by what the file meta information is, not by the length that this claims.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file; raises `NotTaken` for a deflated rest that is too long."""
        data = super().read(size)
        if size is None or size < 0:
            _refuse_bomb(data)
        return data


def _refuse_bomb(deflated: bytes) -> None:
    """Refuse what would inflate past the limit; counted a little at a time, and not kept."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    left, rest = MAX_FILE_BYTES, deflated
    while rest and not inflater.eof:  # What stands behind the end, a pad byte say, stays in `rest`.
        try:
            left -= len(inflater.decompress(rest, _INFLATED_AT_ONCE))
        except zlib.error:
            return  # Damaged: pydicom says so.
        rest = inflater.unconsumed_tail
        if left < 0:
            raise NotTaken(
                "TOO_LARGE",
                f"{{name}} would inflate to more than the {MAX_FILE_BYTES >> 20} MiB allowed.",
                "Export it as Explicit VR Little Endian, or in parts.",
            )
