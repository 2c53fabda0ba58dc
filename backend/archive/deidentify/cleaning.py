"""The elements of an object cleaned: as the file had them in, as they are written out.

No element is turned into an object of pydicom's, no pixel is decoded, and what was cleaned once
for a person (a header's sixty values are alike in all slices of a series) is looked up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydicom.datadict import dictionary_VM, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.values import convert_SQ

from backend.archive.deidentify import values
from backend.archive.deidentify.codes import REMOVED, checked
from backend.archive.deidentify.encoding import UNDEFINED, Encoding
from backend.archive.deidentify.keys import STANDARD_ROOT
from backend.archive.deidentify.private import CREATORS, SAFE
from backend.archive.deidentify.profile import BULK, NEVER_EMPTY, TABLES, Action, action_of
from backend.archive.deidentify.reading import raw_value, text
from backend.archive.deidentify.streams import silent

_REMEMBERED_BYTES = 2048
_REMEMBERED = 20_000
_TEXT = frozenset(
    {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI",
     "UR", "UT"}
)  # fmt: skip
_BULK = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_SIGNS = ({"US", "SS"}, {"UL", "SL"})
_SIZES = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "UV": 8, "SV": 8, "AT": 4}
_SPEAKING = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_WORDS, _LINES = frozenset({"LO", "SH", "UC"}), frozenset({"LT", "ST", "UT"})
# UIDs of kinds, not of things: the standard's are kept though a dictionary may not have them yet.
_KINDS = frozenset({0x00080016, 0x00081150, 0x0008010C, 0x0008001A, 0x0008001B, 0x00080062})
_PIXELS = 0x7FE00010
_CODE, _SCHEME, _MEANING, _SCHEME_VERSION = 0x00080100, 0x00080102, 0x00080104, 0x00080103


class Cleaner:
    """Cleans the objects of one person, in one encoding.

    Attributes:
        pseudonym: who it is from now on.
        days: by how many days dates are moved.
        mapped: what stands for a UID.
        encoding: how elements are written.
    """

    def __init__(
        self,
        pseudonym: str,
        days: int,
        mapped: Callable[[str], str],
        encoding: Encoding,
        name: frozenset[str],
    ) -> None:
        self.pseudonym, self.days, self.encoding = pseudonym, days, encoding
        self._name = name
        self.mapped = mapped
        self._made: dict[tuple[int, str | None, bytes, bool], bytes | None] = {}

    def elements(self, dataset: Dataset) -> dict[int, bytes]:
        """Tag → the element as it is written, for all that stay; sequences entered."""
        made: dict[int, bytes] = {}
        private = False
        for element in dataset.values():
            tag = int(element.tag)
            if tag >> 16 & 1:
                private = True
            elif (written := self._remembered(tag, element)) is not None:
                made[tag] = written
        if private:
            made |= self._private(dataset)
        for tag in TABLES.keys() & made.keys():
            if not _is_as_long_as_said(dataset, tag):
                del made[tag]
        if _MEANING in made or _CODE in made:
            made |= self._coded(dataset)
            made.pop(_SCHEME_VERSION, None)
        return made

    def _remembered(self, tag: int, element: Any) -> bytes | None:
        if not isinstance(element, RawDataElement):
            return self._written(tag, element)
        value = element.value or b""
        if len(value) > _REMEMBERED_BYTES:
            return self._written(tag, element)
        key = tag, element.VR, value, element.is_implicit_VR
        try:
            return self._made[key]
        except KeyError:
            if len(self._made) > _REMEMBERED:
                self._made.clear()
            self._made[key] = written = self._written(tag, element)
            return written

    def _written(self, tag: int, element: Any) -> bytes | None:
        action = action_of(tag)
        if action is Action.DROP:
            return None
        known = str(dictionary_VR(tag))
        written = element.VR if element.VR not in (None, "UN") else known
        if not _agree(written, known):
            return None
        vr = written if " " not in written else ("UN" if known[0] == "U" else "OW")
        if known == "SQ":
            return self._sequence(tag, element, action)
        if tag in BULK:
            return self._bulk(tag, vr, element)
        value = raw_value(element)
        kept = self._kept(tag, known, action, value)
        if kept is None:
            return None
        if not kept and value.strip(b"\x00 ") and tag in NEVER_EMPTY:
            kept = REMOVED.encode()
        return self.encoding.element(tag, vr, kept)

    def _sequence(self, tag: int, element: Any, action: Action) -> bytes | None:
        if action is Action.DUMMY:
            return None
        if action is Action.EMPTY:
            return self.encoding.sequence(tag, [])
        items = element.value or []
        if isinstance(items, bytes):  # Not entered yet.
            implicit = element.is_implicit_VR or element.VR == "UN"
            items = convert_SQ(items, implicit, element.is_little_endian)
        made = [self.elements(item) for item in items]
        return self.encoding.sequence(tag, [joined(item) for item in made])

    def _bulk(self, tag: int, vr: str, element: Any) -> bytes:
        value = element.value or b""
        undefined = (
            element.length == UNDEFINED
            if isinstance(element, RawDataElement)
            else element.is_undefined_length
        )
        if tag == _PIXELS and undefined:
            return self.encoding.fragments(tag, "OB", silent(value))
        return self.encoding.element(tag, vr, value)

    def _kept(self, tag: int, vr: str, action: Action, value: bytes) -> bytes | None:
        """What stays of a value; None where the whole element goes."""
        if action is Action.EMPTY:
            return b""
        if action is Action.PSEUDONYM:
            return self.pseudonym.encode()
        if action is Action.DEVICE:
            return values.devices(value)
        if action is Action.KERNEL:
            return values.kernels(value)
        if action is Action.DUMMY and vr != "UI":
            if vr not in _SPEAKING:
                return None
            return REMOVED.encode() if value.strip(b"\x00 ") else b""
        return self._by_type(tag, vr, value)

    def _by_type(self, tag: int, vr: str, value: bytes) -> bytes | None:
        if vr == "UI":
            return values.uids(value, self._kind if tag in _KINDS else self.mapped)
        if vr == "DA":
            return values.dates(value, self.days)
        if vr == "DT":
            return values.moments(value, self.days)
        if vr in _WORDS:
            return values.words(value, self._name)
        if vr in _LINES:
            return values.lines(value, self._name)
        if (rule := _RULES.get(vr)) is not None:
            return rule(value)
        if vr in ("PN", "AE"):
            return b""
        if vr == "UR" or _BULK & set(vr.split(" or ")):
            return None
        return _counted(tag, vr, value)

    def _kind(self, original: str) -> str:
        return original if original.startswith(STANDARD_ROOT) else self.mapped(original)

    def _private(self, dataset: Dataset) -> dict[int, bytes]:
        """The few private elements that are known to be numbers, with their creators."""
        made: dict[int, bytes] = {}
        blocks: dict[int, str] = {}
        for element in dataset.values():
            tag = int(element.tag)
            if tag >> 16 & 1 and 0x10 <= tag & 0xFFFF <= 0xFF:
                creator = text(dataset, tag)
                if (tag >> 16, creator) in CREATORS:
                    blocks[tag >> 16 << 8 | tag & 0xFF] = creator
        for element in dataset.values():
            tag = int(element.tag)
            found = blocks.get(tag >> 8)
            vr = SAFE.get((tag >> 16, found, tag & 0xFF)) if found is not None else None
            if vr is None or element.VR not in (None, "UN", vr):
                continue
            kept = self._by_type(tag, vr, raw_value(element))
            if kept:
                made[tag] = self.encoding.element(tag, vr, kept)
                place = tag >> 16 << 16 | tag >> 8 & 0xFF
                made[place] = self.encoding.element(place, "LO", str(found).encode())
        return made

    def _coded(self, item: Dataset) -> dict[int, bytes]:
        code = checked(*(text(item, tag) for tag in (_CODE, _SCHEME, _MEANING)))
        return {
            tag: self.encoding.element(tag, vr, value.encode())
            for tag, vr, value in (
                (_CODE, "SH", code.value),
                (_SCHEME, "SH", code.scheme),
                (_MEANING, "LO", code.meaning),
            )
        }


_RULES: dict[str, Callable[[bytes], bytes]] = {
    "AS": values.ages,
    "CS": values.codes,
    "DS": values.decimals,
    "IS": values.integers,
    "TM": values.times,
}


def _agree(written: str, known: str) -> bool:
    """Whether a value written as one type may be read by the rule of the type it should have."""
    if written == known or written in known.split(" or "):
        return True
    if (written in _TEXT and known in _TEXT) or {written, known} in _SIGNS:
        return True
    return written in _BULK and bool(_BULK & set(known.split(" or ")))


def _is_as_long_as_said(dataset: Dataset, tag: int) -> bool:
    """Whether a table of numbers is nothing else: as long as its descriptor says."""
    descriptor = dataset.get_item(TABLES[tag]) if TABLES[tag] in dataset else None
    data = raw_value(descriptor) if descriptor is not None else b""
    if len(data) != 6:
        return False
    order: Literal["little", "big"] = "little"
    if not getattr(descriptor, "is_little_endian", True):
        order = "big"
    entries = int.from_bytes(data[:2], order) or 1 << 16
    length = len(raw_value(dataset.get_item(tag)))
    return length in (entries + entries % 2, entries * 2)


def _counted(tag: int, vr: str, value: bytes) -> bytes:
    """Binary numbers, as many as the attribute has."""
    many = dictionary_VM(tag) if not tag >> 16 & 1 else "1-n"
    size = _SIZES.get(vr.split(" ")[0])
    return value[: int(many) * size] if many.isdigit() and size else value


def joined(elements: dict[int, bytes]) -> bytes:
    """Elements in the order of their tags."""
    return b"".join(elements[tag] for tag in sorted(elements))
