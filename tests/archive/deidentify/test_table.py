"""Beside dicom-anonymizer itself: what its rules of PS3.15 change, ours changes too."""

from __future__ import annotations

import io

import pydicom
from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector
from dicomanonymizer.simpledicomanonymizer import anonymize_dataset, initialize_actions
from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_for_tag, tag_for_keyword

from backend.archive.deidentify.links import Links
from backend.archive.deidentify.objects import deidentify
from backend.archive.deidentify.profile import BULK, EDITION, MOMENTS, RETAINED, Action, table
from tests.archive.deidentify.corpus import EXPLICIT, NAME, PLANTED, coded, needed, planted, whole

_NEVER = {t for t in table() if t < 0x00080000} | {
    0x00080018, 0x0020000D, 0x0020000E, 0x00420011,
}  # fmt: skip
# What the options let stay, where it holds nothing but what its type may mean.
_ALLOWED = {tag_for_keyword(keyword) for keyword in RETAINED}


def cleaned(elements: dict[int, bytes], links: Links) -> pydicom.Dataset:
    data = whole(EXPLICIT, needed(EXPLICIT) | elements)
    return pydicom.dcmread(io.BytesIO(deidentify(pydicom.dcmread(io.BytesIO(data)), links)))


def test_the_table_is_the_one_of_the_edition_we_name() -> None:
    columns = dicom_anonymization_database_selector(f"dicomfields_{EDITION}")
    assert len(columns["ALL_TAGS"]) > 600
    listed = {t[0] << 16 | t[1] for t in columns["ALL_TAGS"] if len(t) == 2}
    assert set(table()) == listed


def test_nothing_the_table_removes_stays_as_it_was(links: Links) -> None:
    texts = [t for t in table() if dictionary_has_tag(t) and dictionary_VR(t) in PLANTED]
    assert len(texts) > 400
    after = cleaned({tag: planted(EXPLICIT, tag) for tag in texts if tag not in _NEVER}, links)
    for tag in set(texts) - _NEVER:
        if tag not in after or not str(after[tag].value):
            continue
        assert NAME.lower() not in str(after[tag].value).lower(), keyword_for_tag(tag)
        if table()[tag] is Action.DROP and tag not in _ALLOWED:
            raise AssertionError(f"{keyword_for_tag(tag)} is to be removed and stays")


def test_what_the_tool_changes_of_a_plausible_object_is_changed_or_moved(links: Links) -> None:
    """Values that look innocent: the tool's own run on the same object, attribute by attribute."""
    innocent = {
        "AE": "NECK", "AS": "050Y", "CS": "NECK", "DA": "20240301", "DS": "1", "DT": "20240301",
        "IS": "1", "LO": "neck", "LT": "neck", "PN": "neck", "SH": "neck", "ST": "neck",
        "TM": "101500", "UC": "neck", "UI": "1.2.3", "UR": "neck", "UT": "neck",
    }  # fmt: skip
    elements = {}
    for tag in table():
        vr = dictionary_VR(tag) if dictionary_has_tag(tag) else ""
        if vr in innocent and tag not in _NEVER:
            elements[tag] = EXPLICIT.element(tag, vr, innocent[vr].encode())
    before = pydicom.dcmread(io.BytesIO(whole(EXPLICIT, needed(EXPLICIT) | elements)))
    theirs = pydicom.dcmread(io.BytesIO(whole(EXPLICIT, needed(EXPLICIT) | elements)))
    anonymize_dataset(theirs, base_rules_gen=lambda: initialize_actions(f"dicomfields_{EDITION}"))
    ours = cleaned(elements, links)
    changed = [t for t in elements if t not in theirs or theirs[t].value != before[t].value]
    assert len(changed) > 400
    same = {keyword_for_tag(t) for t in changed if t in ours and ours[t].value == before[t].value}
    times = {keyword_for_tag(t) for t in elements if dictionary_VR(t) == "TM"}
    assert same - times <= set(RETAINED), "only what an option lets stay is as it was"
    for tag in elements:
        if tag in ours and dictionary_VR(tag) in MOMENTS - {"TM"} and ours[tag].value:
            assert str(ours[tag].value)[:8] != "20240301", keyword_for_tag(tag)


def test_the_tool_alone_would_leave_names_in_sequences_and_unlisted_text(links: Links) -> None:
    """Why its tables are used and its walk is not."""
    inner = EXPLICIT.element(0x00100010, "PN", NAME.encode())
    elements = {
        0x00081115: EXPLICIT.sequence(0x00081115, inner),
        0x00180024: EXPLICIT.element(0x00180024, "SH", NAME.encode()),
        0x00082218: EXPLICIT.sequence(0x00082218, coded(EXPLICIT, "1", "99X", NAME)),
    }
    data = whole(EXPLICIT, needed(EXPLICIT) | elements)
    theirs = pydicom.dcmread(io.BytesIO(data))
    anonymize_dataset(theirs, base_rules_gen=lambda: initialize_actions(f"dicomfields_{EDITION}"))
    assert NAME in str(theirs)
    assert NAME not in str(cleaned(elements, links))


def test_no_bulk_that_stays_is_one_the_table_removes() -> None:
    assert not {tag for tag in BULK if table().get(tag) is Action.DROP}
