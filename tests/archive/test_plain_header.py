"""A plain file read in one pass is what pydicom makes of it; all else is left to pydicom."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ImplicitVRLittleEndian

from backend.archive import parsing
from backend.archive.entering import _integer, geometry_of
from backend.archive.facts import modality_of, patient_id_of
from backend.archive.findings import Ignored, NotTaken
from backend.archive.plain_header import Header, read_header
from tests.archive.made import ct_series, ct_slice, encoded
from tests.examples import examples


def outcome(data: bytes) -> Any:
    """What becomes of a file: all that is stored of it, or what is wrong with it."""
    try:
        one = parsing.parse("a.dcm", data)
    except NotTaken as problem:
        return problem.code, problem.sentence("a.dcm"), problem.sop_uid, problem.series_uid
    except Ignored:
        return "ignored"
    return (
        (one.study_uid, one.series_uid, one.sop_uid, one.sop_class_uid, one.transfer_syntax),
        one.data,
        one.pixels,
        repr(sorted(one.metadata.items())),
        patient_id_of(one.header),
        modality_of(one.header),
        _integer(one.header, "InstanceNumber"),
        geometry_of(one.header),
    )


def both(data: bytes) -> tuple[Any, Any]:
    """The outcome as it is, and by pydicom alone."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patched:
        warnings.simplefilter("ignore")
        mine = outcome(data)
        patched.setattr(parsing, "read_header", lambda data: None)
        return mine, outcome(data)


def is_plain(data: bytes) -> bool:
    return isinstance(parsing.parse("a.dcm", data).header, Header)


def with_much_in_it() -> Dataset:
    """A slice with private elements, sequences in sequences, other characters, long values."""
    ds = ct_series(1)[0]
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName = "M\u00fcller^J\u00fcrgen=X"
    ds.InstitutionName = "Spital Z\u00fcrich"
    inner, outer = Dataset(), Dataset()
    inner.CodeValue, inner.CodeMeaning = "1", "K\u00f6rper"
    outer.ReferencedSOPInstanceUID = "1.2.3"
    outer.PurposeOfReferenceCodeSequence = Sequence([inner])
    ds.ReferencedImageSequence = Sequence([outer, Dataset()])
    ds.SourceImageSequence = Sequence([outer])
    ds["SourceImageSequence"].is_undefined_length = True
    outer.is_undefined_length_sequence_item = True
    block = ds.private_block(0x0009, "Maker one", create=True)
    block.add_new(0x01, "LO", "caf\u00e9")
    block.add_new(0x02, "OB", b"\x01\x02" * 300)
    block.add_new(0x03, "UN", b"\x01\x02")
    block.add_new(0x04, "DS", "1.50")
    block.add_new(0x05, "SQ", Sequence([inner]))
    ds.add_new(0x00189306, "FD", 0.7)
    ds.add_new(0x00204000, "LT", "one\r\ntwo  ")
    ds.add_new(0x00080301, "US", [])
    ds.add_new(0x00181622, "CS", ["A", ""])
    ds.add_new(0x00280120, "US", 3)
    ds.add_new(0x00081120, "AT", [0x00100010])
    ds.add_new(0x00080119, "UC", "x" * 5000)
    return ds


def test_a_plain_file_is_read_without_pydicom_and_to_the_same_end() -> None:
    for data in (encoded(ct_series(1)[0]), encoded(with_much_in_it())):
        assert is_plain(data)
        mine, other = both(data)
        assert mine == other


@pytest.mark.parametrize(
    "changes",
    [
        {"SeriesInstanceUID": None},
        {"PatientID": "a\\b "},
        {"PatientID": ""},
        {"PatientID": None},
        {"Modality": None},
        {"InstanceNumber": None},
        {"ImageType": []},
        {"ImageType": "ORIGINAL"},
        {"BitsStored": None},
        {"RescaleSlope": 0},
        {"RescaleSlope": None, "RescaleIntercept": None},
        {"PhotometricInterpretation": None},
        {"PhotometricInterpretation": "PALETTE COLOR"},
        {"SamplesPerPixel": 3},
        {"NumberOfFrames": 1},
        {"NumberOfFrames": 2},
        {"Rows": 0},
        {"Rows": 13},
        {"BitsAllocated": 12},
        {"PixelData": b""},
        {"PixelData": None},
        {"ImagePositionPatient": [1, 2]},
        {"PixelSpacing": None},
        {"GantryDetectorTilt": 2.5},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
    ],
)
def test_every_fault_has_the_same_end_either_way(changes: dict[str, Any]) -> None:
    data = encoded(ct_slice(study="1.2.3", series="1.2.3.4", **changes))
    mine, other = both(data)
    assert mine == other


def test_what_is_not_plain_is_left_to_pydicom() -> None:
    good = encoded(ct_series(1)[0])
    end = 144 + int.from_bytes(good[140:144], "little")
    implicit = ct_series(1)[0]
    implicit.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    assert read_header(good) is not None
    assert read_header(good[:-1]) is None
    assert read_header(good + b"\x00") is None
    assert read_header(good[132:]) is None
    assert read_header(good[:end]) is None
    assert read_header(encoded(implicit)) is None
    assert read_header(b"") is None


@examples(200)
@given(st.data())
def test_damaged_files_end_the_same_either_way(data: st.DataObject) -> None:
    whole = bytearray(_WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(128, len(whole) - 1))
        whole[place : place + 1] = data.draw(st.binary(max_size=3))
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(128, len(whole))) :]
    mine, other = both(bytes(whole))
    assert mine == other


_WHOLE = encoded(with_much_in_it())


def test_every_odd_file_ends_the_same_either_way(test_data: Path) -> None:
    differing, plain = [], 0
    for path in sorted((test_data / "odd_dicom").rglob("*.dcm")):
        data = path.read_bytes()
        mine, other = both(data)
        if mine != other:
            differing.append(path.name)
        plain += read_header(data) is not None
    assert differing == []
    assert plain > 10
