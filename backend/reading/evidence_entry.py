"""What may be entered as evidence: which fields each kind needs, and sentences beside the fields.

Pure. What may be entered need not count (a PET too far from the CT is a fact all the same).
"""

from __future__ import annotations

import datetime
from typing import Any

from backend.reading.evidence import (
    LEVELS,
    RESULTS,
    SIDES,
    EvidenceKind,
    Item,
    Scope,
    either,
    has_landmark,
)

PROCEDURES = ("fine_needle", "excision")
LONGEST_TEXT = 1000
LONGEST_SOURCE = 200

# The details of each kind: name → what may stand there.
_TEXT, _NUMBER, _SLICE = "text", "number", "slice_index"
DETAILS: dict[str, dict[str, str]] = {
    EvidenceKind.PET: {"tracer": _TEXT, "suv_max": _NUMBER},
    EvidenceKind.HIST: {"procedure": _TEXT, "correspondence": _TEXT},
    EvidenceKind.CHEMO: {"therapy": _TEXT, "from_mm": _NUMBER, "to_mm": _NUMBER},
    EvidenceKind.NECR: {"landmark": _TEXT, "slice_index": _SLICE},
}
_DATE_NAMES = {
    EvidenceKind.PET: "the date of the PET",
    EvidenceKind.HIST: "the date of the report",
    EvidenceKind.CHEMO: "the date of the follow-up CT",
}


def entry_faults(
    *,
    item: Item,
    source: str,
    known_at: datetime.date | None,
    today: datetime.date,
    study: datetime.date | None,
    slices: int,
    nodes_known: bool,
) -> dict[str, str]:
    """What is wrong with an entry: field → sentence with its cure; empty where it may be kept.

    Args:
        item: what was entered; its `node` is "" where none of the agreed nodes was named.
        source: where it was found.
        known_at: when its result was known; None where nobody said.
        today: the day of the entry.
        study: the date of the study.
        slices: how many slices the study has.
        nodes_known: whether there are agreed nodes to name yet.
    """
    if item.kind not in RESULTS:
        return {"kind": f"Choose {either(tuple(EvidenceKind))}."}
    faults = {}
    if item.result not in RESULTS[item.kind]:
        faults["result"] = f"Choose {either(RESULTS[item.kind])}."
    if not source:
        faults["source"] = "Say where this was found, for example “PET/CT report”."
    elif len(source) > LONGEST_SOURCE:
        faults["source"] = f"Keep it to {LONGEST_SOURCE} characters."
    faults |= _date_faults(item, known_at, today, study)
    faults |= _scope_faults(item, nodes_known=nodes_known)
    return faults | _detail_faults(item, slices)


def _date_faults(
    item: Item,
    known_at: datetime.date | None,
    today: datetime.date,
    study: datetime.date | None,
) -> dict[str, str]:
    faults = {}
    if item.kind == EvidenceKind.NECR:
        if item.date is not None and item.date != study:
            faults["date"] = "Necrosis is of this CT: leave its date out."
    elif item.date is None:
        faults["date"] = f"Enter {_DATE_NAMES[EvidenceKind(item.kind)]}."
    elif item.date > today:
        faults["date"] = "This date lies in the future. Enter the day it was done."
    elif item.kind == EvidenceKind.CHEMO and study is not None and item.date <= study:
        faults["date"] = f"A follow-up comes after the study of {study}. Enter its own date."
    if known_at is not None and known_at > today:
        faults["known_at"] = "This date lies in the future. Enter the day it was known."
    elif known_at is not None and item.date is not None and known_at < item.date:
        faults["known_at"] = "It cannot be known before it was done. Correct one of the two dates."
    return faults


def _scope_faults(item: Item, *, nodes_known: bool) -> dict[str, str]:
    if item.scope not in tuple(Scope):
        return {"scope": f"Choose {either(tuple(Scope))}."}
    if item.kind == EvidenceKind.NECR and item.scope != Scope.NODE:
        return {"scope": "Central necrosis is of one node. Name the node."}
    if item.scope == Scope.NODE and not item.node:
        if nodes_known:
            return {"node": "Choose one of the agreed nodes."}
        return {"node": "No nodes are agreed yet. Enter it for a side and level, or wait."}
    if item.scope != Scope.SIDE_LEVEL:
        return {}
    faults = {}
    if item.side not in SIDES:
        faults["side"] = "Choose right or left."
    if item.level not in LEVELS:
        faults["level"] = "Choose a level."
    return faults


def _detail_faults(item: Item, slices: int) -> dict[str, str]:
    known = DETAILS[item.kind]
    faults = {}
    for name, value in item.details.items():
        if name not in known:
            faults[name] = f"{item.kind} has no such detail. Leave it out."
        elif known[name] == _TEXT and not (isinstance(value, str) and len(value) <= LONGEST_TEXT):
            faults[name] = f"Write a text of at most {LONGEST_TEXT} characters."
        elif known[name] == _NUMBER and not (_is_number(value) and 0 <= value <= 1000):
            faults[name] = "Enter a number between 0 and 1000."
        elif known[name] == _SLICE and not (
            isinstance(value, int) and not isinstance(value, bool) and 0 <= value < slices
        ):
            faults[name] = f"Enter a slice index between 0 and {slices - 1}."
    if faults:
        return faults
    if item.kind == EvidenceKind.HIST:
        if item.details.get("procedure") not in PROCEDURES:
            faults["procedure"] = f"Choose {either(PROCEDURES)}."
        if item.scope != Scope.PATIENT and not item.details.get("correspondence"):
            faults["correspondence"] = "Say how the specimen corresponds to the node or level."
    if item.kind == EvidenceKind.NECR and not has_landmark(item.details):
        faults["landmark"] = "Name a slice, or a landmark by which it is found."
    return faults


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
