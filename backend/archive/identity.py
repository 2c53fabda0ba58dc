"""Who the patient is, and for whom it is left out."""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from backend.archive.metadata import Metadata

# Emptied for everyone who may not upload. The full profile of PS3.15 Annex E works on receipt;
# this is what a viewer would otherwise print.
IDENTIFYING = frozenset(
    {
        "00080050",  # Accession Number
        "00080080",  # Institution Name
        "00080081",  # Institution Address
        "00080082",  # Institution Code Sequence
        "00080090",  # Referring Physician's Name
        "00080092",  # Referring Physician's Address
        "00080094",  # Referring Physician's Telephone Numbers
        "00080096",  # Referring Physician Identification Sequence
        "00081010",  # Station Name
        "00081040",  # Institutional Department Name
        "00081048",  # Physician(s) of Record
        "00081050",  # Performing Physician's Name
        "00081060",  # Name of Physician(s) Reading Study
        "00081070",  # Operators' Name
        "00100010",  # Patient's Name
        "00100020",  # Patient ID
        "00100021",  # Issuer of Patient ID
        "00100030",  # Patient's Birth Date
        "00100032",  # Patient's Birth Time
        "00100050",  # Patient's Insurance Plan Code Sequence
        "00101000",  # Other Patient IDs
        "00101001",  # Other Patient Names
        "00101002",  # Other Patient IDs Sequence
        "00101005",  # Patient's Birth Name
        "00101040",  # Patient's Address
        "00101060",  # Patient's Mother's Birth Name
        "00102154",  # Patient's Telephone Numbers
        "00104000",  # Patient Comments
        "00200010",  # Study ID
        "00321032",  # Requesting Physician
        "00321033",  # Requesting Service
        "00400275",  # Request Attributes Sequence
        "00401001",  # Requested Procedure ID
        "00402016",  # Placer Order Number
        "00402017",  # Filler Order Number
        "0040A123",  # Person Name
        "0040A730",  # Content Sequence (reports name people in free text)
    }
)


def is_hidden(tag: str) -> bool:
    """Whether the element (eight hex digits) is left out: identifying, or private."""
    return tag in IDENTIFYING or int(tag[:4], 16) % 2 == 1


def unnamed(metadata: Metadata) -> Metadata:
    """The metadata with identifying values emptied and private elements dropped, at every level."""
    result: Metadata = {}
    for tag, element in metadata.items():
        if int(tag[:4], 16) % 2 == 1:
            continue
        if tag in IDENTIFYING:
            result[tag] = {"vr": element["vr"]}
        elif element["vr"] == "SQ":
            items: list[Any] = [unnamed(item) for item in element.get("Value", [])]
            result[tag] = {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
        else:
            result[tag] = element
    return result


def blank(dataset: Dataset) -> None:
    """The same on a data set, in place."""
    dataset.remove_private_tags()

    def empty(holder: Dataset, element: Any) -> None:
        if f"{Tag(element.tag):08X}" in IDENTIFYING:
            element.value = None if element.VR != "SQ" else []

    dataset.walk(empty)
