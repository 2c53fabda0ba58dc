"""What may stay of a value, whatever is written in it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.archive.deidentify import values
from backend.archive.deidentify.codes import REMOVED, checked
from backend.archive.deidentify.vocabulary import (
    cleaned,
    coded,
    device,
    words,
    words_of_name,
)

anything = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            ["CT", "neck", "venous", "Müller", "O'Brien", "T2", "2.5mm", "B30f", "19571103", "12"]
        ),
        max_size=8,
    ).map(" ".join),
)


@pytest.mark.parametrize(
    "written",
    [
        "BONEPLUS", "LUNGPLUS", "BONE", "LUNG", "ULTRA", "EDGE", "SHARP", "DETAIL", "STANDARD",
        "SOFT", "CHST", "B30f", "B70s", "Br40d", "Br40d\\3", "I31f", "I31f\\2", "Hr64", "Bl57d",
        "YA", "YB", "UB", "FC08", "FC08-H", "FC51", "B", "C", "H30s", "J37s",
    ],
)  # fmt: skip
def test_kernels_stay_as_vendors_write_them(written: str) -> None:
    assert values.kernels(written.encode()) == written.encode()


@pytest.mark.parametrize("written", ["SMITH", "Smith^John", "Dr. Brown", "MRN123456"])
def test_names_are_no_kernels(written: str) -> None:
    kept = values.kernels(written.encode()).decode().lower()
    assert not any(word in kept for word in ("smith", "john", "brown", "123456"))


@given(anything)
def test_every_word_that_stays_is_of_the_list(text: str) -> None:
    for kept in (cleaned(text), device(text)):
        assert kept.isascii()
        for run in re.findall(r"[A-Za-z]{3,}", kept):
            assert run.lower() in words(), (text, kept)


@given(anything)
def test_no_long_number_and_no_date_stays(text: str) -> None:
    assert not re.search(
        r"\d{3,}", re.sub(r"\d+\.\d+|[a-z]+\d{1,4}|\d+[a-z%]+", "", cleaned(text).lower())
    )
    assert not re.search(r"\d{5,}", device(text))


@given(anything)
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    assert cleaned(cleaned(text)) == cleaned(text)


@given(st.binary(max_size=80))
def test_no_rule_falls_over_bytes(data: bytes) -> None:
    for rule in (
        values.ages, values.codes, values.decimals, values.devices, values.integers,
        values.kernels, values.lines, values.times, values.words,
    ):  # fmt: skip
        assert rule(data).isascii()
    assert values.dates(data, -3).isascii()
    assert values.moments(data, -3).isascii()
    assert values.uids(data, str).isascii()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("CT neck venous 2.5mm", "CT neck venous 2.5mm"),
        ("CT Hals nativ, Fr. Schmidt 12.03.1961", "CT Hals nativ"),
        ("T2w TSE ax fs", "T2w TSE ax fs"),
        ("Smith^John", ""),
        ("J D", ""),
        ("neck 0049 171 5551234", "neck"),
        ("PET WB_0", "PET WB 0"),
        ("seen 3/11/57", "seen"),
        ("B30f", "B30f"),
        ("K12345", ""),
    ],
)
def test_descriptions(text: str, kept: str) -> None:
    assert cleaned(text) == kept


def test_the_patients_own_name_goes_though_it_is_a_word() -> None:
    assert cleaned("Hand of Max Hand", words_of_name("HAND^Max=x^Y")) == "of"
    assert words_of_name("O'Neil^Jo J") == {"neil", "jo"}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("SIEMENS", "SIEMENS"),
        ("GE MEDICAL SYSTEMS", "GE MEDICAL SYSTEMS"),
        ("Picker International, Inc. PQ2000", "Picker International PQ2000"),
        ("SOMATOM Definition Flash", "SOMATOM Definition Flash"),
        ("LightSpeed VCT", "LightSpeed VCT"),
        ("Scanner of Dr. Brown", "of"),
    ],
)
def test_devices(text: str, kept: str) -> None:
    assert device(text) == kept


@pytest.mark.parametrize(
    "value",
    [
        "ORIGINAL", "PRIMARY", "AXIAL", "HFS", "MONOCHROME2", "WHOLE BODY", "HELICAL MODE", "NECK",
        "CT", "PT", "SEG", "RTSTRUCT", "DECY", "BQML", "T1_MAP", "M", "F", "O", "YES", "NO",
        "BINARY", "FRACTIONAL", "LABELMAP", "OCCUPANCY", "PROBABILITY", "COMPLETE", "VOLUME",
        "FILTER_BACK_PROJ", "SPIRAL", "CONSTANT_ANGLE", "GAUSSIAN", "CLOSED_PLANAR", "EMISSION",
    ],
)  # fmt: skip
def test_terms_of_the_standard_stay(value: str) -> None:
    assert coded(value)


@pytest.mark.parametrize("value", ["SMITH", "DOE_JOHN", "JD", "MRN123456", "19571103"])
def test_coded_strings_that_are_no_terms_go(value: str) -> None:
    assert not coded(value)


def test_dates_move_and_keep_their_form() -> None:
    assert values.dates(b"20240301", -1) == b"20240229"
    assert values.dates(b"2024.03.01", -1) == b"20240229"
    assert values.dates(b"20240301\\20240302", -1) == b"20240229\\20240301"
    assert values.dates(b"20241301", -1) == b""
    assert values.dates(b"Smith", -1) == b""
    assert values.moments(b"20240301101500.25+0100", -1) == b"20240229101500.25+0100"
    assert values.moments(b"2024", -1) == b""
    assert values.times(b"101500.5 ") == b"101500.5"
    assert values.times(b"Smith") == b""


def test_numbers_that_are_none_go() -> None:
    assert values.decimals(b"1.5\\Smith\\-2e3") == b"1.5\\\\-2e3"
    assert values.integers(b"Smith") == b""
    assert values.integers(b"12345678901234567890") == b""


def test_codes_keep_value_and_scheme_where_they_are_known() -> None:
    assert checked("113100", "DCM", "Smith").meaning == "Basic Application Confidentiality Profile"
    assert checked("45048000", "SCT", "Neck of Smith").value == "45048000"
    assert "Smith" not in checked("45048000", "SCT", "Neck of Smith").meaning
    assert checked("T-D1600", "SRT", "Neck").scheme == "SRT"
    assert checked("SMITH", "99HOSPITAL", "Smith's node").value == REMOVED
    assert checked("SMITH", "SCT", "node").value == REMOVED
    assert checked("mm", "UCUM", "millimeter").value == "mm"
