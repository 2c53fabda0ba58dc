"""Plain elements become the same JSON as pydicom gives them."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from backend.archive import metadata
from backend.archive.raw_elements import plain_json

TAGS = {
    "CS": 0x00080008,
    "DA": 0x00080020,
    "DS": 0x00280030,
    "FD": 0x00189306,
    "IS": 0x00200013,
    "LO": 0x00081030,
    "LT": 0x001021B0,
    "PN": 0x00100010,
    "SH": 0x00080050,
    "SS": 0x00280106,
    "TM": 0x00080030,
    "UI": 0x00080018,
    "US": 0x00280010,
}


def raw(vr: str, value: bytes) -> RawDataElement:
    return RawDataElement(Tag(TAGS[vr]), vr, len(value), value, 0, False, True)


def by_pydicom(element: RawDataElement) -> Any:
    """The same element, read by pydicom alone."""
    ds = Dataset()
    ds._dict[element.tag] = element
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patched:
        warnings.simplefilter("ignore")
        patched.setattr(metadata, "plain_json", lambda raw: None)
        return metadata.metadata_of(ds)[f"{int(element.tag):08X}"]


def alike(one: Any, other: Any) -> bool:
    """Equal, and numbers of the same type: 1 and 1.0 are written differently."""
    kinds = [[type(v) for v in found.get("Value", [])] for found in (one, other)]
    return bool(one == other and kinds[0] == kinds[1])


@given(
    st.sampled_from(sorted(TAGS)),
    st.one_of(
        st.binary(max_size=24),
        st.text("AZ az019.+-eE^=\\ \x00", max_size=24).map(str.encode),
        st.lists(st.integers(-9999, 9999), max_size=4).map(
            lambda n: "\\".join(map(str, n)).encode()
        ),
    ),
)
def test_any_bytes_become_what_pydicom_makes_of_them_or_are_left_to_it(
    vr: str, value: bytes
) -> None:
    element = raw(vr, value)
    found = plain_json(element)
    if found is not None:
        assert alike(found, by_pydicom(element))


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("LO", b"Neck with contrast ", {"vr": "LO", "Value": ["Neck with contrast"]}),
        ("CS", b"ORIGINAL\\PRIMARY", {"vr": "CS", "Value": ["ORIGINAL", "PRIMARY"]}),
        ("US", b"\x00\x02", {"vr": "US", "Value": [512]}),
        ("DS", b"0.5\\0.5 ", {"vr": "DS", "Value": [0.5, 0.5]}),
        ("PN", b"Doe^Jane", {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}),
        ("UI", b"1.2.840\x00", {"vr": "UI", "Value": ["1.2.840"]}),
        ("SH", b"", {"vr": "SH"}),
    ],
)
def test_what_is_plain_is_not_left_to_pydicom(vr: str, value: bytes, expected: object) -> None:
    assert plain_json(raw(vr, value)) == expected


@pytest.mark.parametrize("value", [b"caf\xe9", b"\x1b$B\x1b(B", b"a\x00b"])
def test_other_characters_are_left_to_pydicom(value: bytes) -> None:
    assert plain_json(raw("LO", value)) is None


def test_every_odd_file_has_the_same_metadata_either_way(test_data: Path) -> None:
    differing, read = [], 0
    for path in sorted((test_data / "odd_dicom").rglob("*.dcm")):
        with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patched:
            warnings.simplefilter("ignore")
            data = path.read_bytes()
            try:
                one, other = (pydicom.dcmread(io.BytesIO(data)) for _ in range(2))
            except Exception:  # noqa: BLE001, S112  what is no DICOM has no metadata
                continue
            fast = metadata.metadata_of(one)
            patched.setattr(metadata, "plain_json", lambda raw: None)
            slow = metadata.metadata_of(other)
        read += 1
        if set(fast) != set(slow) or not all(alike(fast[tag], slow[tag]) for tag in slow):
            differing.append(path.name)
    assert read > 60
    assert differing == []
