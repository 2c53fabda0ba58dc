"""Who the patient is, and for whom it is left out.

Who may not upload is shown no more of an image that came as it is than de-identification leaves
of one: what PS3.15 Annex E loses, less the options of `deidentify.profile`, is emptied for them.
Descriptions, dates and the machine stay (options 113105, 113107, 113109), as they came.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.valuerep import VR

from backend.archive.deidentify.profile import Action, action_of, table
from backend.archive.metadata import Metadata

_LOST = frozenset({Action.DROP, Action.EMPTY, Action.DUMMY, Action.PSEUDONYM})
# Reports name people in free text: what is cleaned of them on receipt is not shown uncleaned.
_CONTENT_SEQUENCE = 0x0040A730
# What stays of a file's header; who made it, who sent it to whom, and private information goes.
_OF_A_FILE = frozenset({0x00020001, 0x00020002, 0x00020003, 0x00020010})
# As a file writes it; None where the dictionary has to be asked.
_MAY_HOLD_ITEMS = (None, "SQ", "UN")


@lru_cache(maxsize=8192)
def is_hidden(tag: str) -> bool:
    """Whether the element (eight hex digits) is left out: identifying, private or unknown."""
    number = int(tag, 16)
    if _is_dropped(number) or number == _CONTENT_SEQUENCE:
        return True
    return dictionary_VR(number) == "PN" or (number in table() and action_of(number) in _LOST)


def _is_dropped(tag: int) -> bool:
    """Private elements, curves, overlays, and what no edition of the dictionary knows."""
    group = tag >> 16
    return bool(group & 1) or group >> 8 in (0x50, 0x60) or not dictionary_has_tag(tag)


def unnamed(metadata: Metadata) -> Metadata:
    """The metadata with identifying values emptied and private elements dropped, at every level."""
    result: Metadata = {}
    for tag, element in metadata.items():
        if is_hidden(tag):
            if not _is_dropped(int(tag, 16)):
                result[tag] = {"vr": element["vr"]}
        elif element["vr"] == "SQ":
            items: list[Any] = [unnamed(item) for item in element.get("Value", [])]
            result[tag] = {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
        else:
            result[tag] = element
    return result


def blank(dataset: Dataset) -> None:
    """The same on a data set, in place, with the preamble and header of its file."""
    _blank_level(dataset)
    if isinstance(dataset, FileDataset):
        dataset.preamble = bytes(128)
        # By its tag: an element whose value representation is damaged cannot even be looked at.
        for tag in list(dataset.file_meta.keys()):
            if int(tag) not in _OF_A_FILE:
                del dataset.file_meta[tag]


def _blank_level(dataset: Dataset) -> None:
    """Not by `Dataset.walk`: there an error far inside doubles its words with every level up."""
    for tag in list(dataset.keys()):
        stored = dataset.get_item(tag)
        if not is_hidden(f"{int(tag):08X}"):
            if stored.VR in _MAY_HOLD_ITEMS and (element := dataset[tag]).VR == "SQ":
                for item in element.value:
                    _blank_level(item)
        elif _is_dropped(int(tag)):
            del dataset[tag]
        else:
            vr = _value_representation(int(tag), stored.VR)
            dataset[tag] = DataElement(tag, vr, [] if vr == "SQ" else None)


def _value_representation(tag: int, stored: str | None) -> str:
    """What the file says, where that is one; else what the dictionary says."""
    return stored if stored and stored in VR.__members__ and stored != "UN" else dictionary_VR(tag)
