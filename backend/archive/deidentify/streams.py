"""Compressed frames: what their streams say beside pixels is blanked, in place.

JPEG and JPEG 2000 have room for comments and for the data of applications (Exif). They are filled
with spaces of the same length: no pixel is decoded, no length changes, no offset moves.
"""

from __future__ import annotations

import struct

_JPEG, _JPEG_2000 = b"\xff\xd8", b"\xff\x4f"
_COMMENT, _COMMENT_2000 = 0xFFFE, 0xFF64
_SCAN, _TILE = 0xFFDA, 0xFF90
_END = 0xFFD9
# Which colours the samples are: JFIF's and Adobe's segments, by what they begin with.
_COLOURS = {0xFFE0: (b"JFIF\0", 14), 0xFFEE: (b"Adobe", 12)}


def silent(value: bytes) -> bytes:
    """The items of an encapsulated value, comments and application data blanked."""
    changed: bytearray | None = None
    place = 0
    while place + 8 <= len(value):
        group, element, length = struct.unpack_from("<HHL", value, place)
        place += 8
        if (group, element) != (0xFFFE, 0xE000) or length > len(value) - place:
            break
        for start, end in _spoken(value, place, place + length):
            changed = changed if changed is not None else bytearray(value)
            changed[start:end] = b" " * (end - start)
        place += length
    return bytes(changed) if changed is not None else value


def _spoken(value: bytes, start: int, end: int) -> list[tuple[int, int]]:
    """Where one stream's header holds text: (start, end) of each place."""
    begins = value[start : start + 2]
    if begins not in (_JPEG, _JPEG_2000):
        return []
    found = []
    place = start + 2
    while place + 4 <= end:
        marker, length = struct.unpack_from(">HH", value, place)
        if marker in (_SCAN, _TILE, _END) or marker < 0xFF01 or length < 2:
            break
        first, last = place + 4, min(place + 2 + length, end)
        if begins == _JPEG and (marker == _COMMENT or 0xFFE0 <= marker <= 0xFFEF):
            word, size = _COLOURS.get(marker, (b"", 0))
            keeps = bool(word) and value.startswith(word, first)
            found.append((min(first + size, last) if keeps else first, last))
        elif begins == _JPEG_2000 and marker == _COMMENT_2000:
            found.append((min(first + 2, last), last))  # Two bytes say which alphabet.
        place += 2 + length
    return [(a, b) for a, b in found if b > a]
