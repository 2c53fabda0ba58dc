"""The abstractor's form: which fields a kind has, what was typed, and the sentences beside them."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.reading.evidence import (
    KIND_NAMES,
    LEVELS,
    RESULTS,
    SIDES,
    EvidenceKind,
    Rules,
    Scope,
    in_words,
)
from backend.reading.evidence_entry import LONGEST_SOURCE, LONGEST_TEXT, PROCEDURES
from backend.reading.models import ConsensusNode
from backend.reading.services.evidence import Entry

KINDS = tuple((kind.value, KIND_NAMES[kind]) for kind in EvidenceKind)
SHORT_NAMES = {
    EvidenceKind.PET.value: "PET",
    EvidenceKind.HIST.value: "Histology",
    EvidenceKind.CHEMO.value: "Follow-up",
    EvidenceKind.NECR.value: "Necrosis",
}
_EXPLAINED = {
    EvidenceKind.PET: "A PET/CT, for example of staging. It counts up to {days} days before or "
    "after this CT.",
    EvidenceKind.HIST: "A fine-needle aspirate or an excision, and which node or level it is of.",
    EvidenceKind.CHEMO: "What a later CT shows under chemotherapy: regression or progression.",
    EvidenceKind.NECR: "Tumorous central necrosis that the report of this CT describes, and where.",
}
_SOURCES = {
    EvidenceKind.PET: "PET/CT report",
    EvidenceKind.HIST: "Pathology report",
    EvidenceKind.CHEMO: "Radiology report of the follow-up",
    EvidenceKind.NECR: "Radiology report of this CT",
}
_SCOPES = (
    (Scope.NODE.value, "One agreed node"),
    (Scope.SIDE_LEVEL.value, "A side and level"),
    (Scope.PATIENT.value, "The patient as a whole"),
)
_DATES = {
    EvidenceKind.PET: "Date of the PET",
    EvidenceKind.HIST: "Date of the report",
    EvidenceKind.CHEMO: "Date of the follow-up CT",
}


MOVED = (
    "As the hospital's records have it: it is moved by as many days as the dates of the images "
    "before it is kept."
)


@dataclass
class Field:
    """One field of the form as it is shown. `of` is the scope it belongs to, "" for any."""

    name: str
    label: str
    kind: str = "text"
    options: list[tuple[str, str]] = field(default_factory=list)
    help: str = ""
    required: bool = False
    longest: int = 200
    of: str = ""
    half: bool = False
    value: str = ""
    error: str = ""


def kind_of(given: str | None) -> str:
    """A kind that there is; the first where none was chosen."""
    return given if given in RESULTS else EvidenceKind.PET.value


def explained(kind: str, rules: Rules) -> str:
    """What a kind of evidence is, in a sentence."""
    return _EXPLAINED[EvidenceKind(kind)].format(days=rules.pet_max_days)


def fields_of(
    kind: str,
    nodes: Iterable[ConsensusNode],
    values: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    *,
    moved: bool = False,
) -> list[Field]:
    """The fields of a kind, with what was typed and what is wrong with it.

    `moved`: the case's dates were moved when its images were de-identified.
    """
    which, listed = EvidenceKind(kind), [(str(node.number), node_text(node)) for node in nodes]
    found = [*_what(which), *_where(which, listed), *_details(which), *_whence(which)]
    for one in found:
        one.value = (values or {}).get(one.name, one.value)
        one.error = (errors or {}).get(one.name, "")
        if moved and one.kind == "date":
            one.help = MOVED
    return found


def node_text(node: ConsensusNode) -> str:
    """An agreed node as the abstractor may know it: number, side and level, short axis."""
    place = " ".join(word for word in (SIDES.get(node.side, ""), node.level) if word)
    size = f"short axis {node.measures['sad_shown']} mm"
    return f"{node.number}: {place}, {size}" if place else f"{node.number}: {size}"


def _what(kind: EvidenceKind) -> list[Field]:
    results = [(result, in_words(result)) for result in RESULTS[kind]]
    found = [Field("result", "Result", "select", _chosen(results), required=True, half=True)]
    if kind in _DATES:
        found.append(Field("date", _DATES[kind], "date", required=True, half=True))
    return found


def _where(kind: EvidenceKind, nodes: list[tuple[str, str]]) -> list[Field]:
    numbers = Field("node", "Node", "select", _chosen(nodes), of=Scope.NODE.value)
    if kind == EvidenceKind.NECR:
        only = [(Scope.NODE.value, "One agreed node")]
        return [Field("scope", "It is of", "select", only, required=True), numbers]
    scopes = [scope for scope in _SCOPES if nodes or scope[0] != Scope.NODE]
    here = Scope.SIDE_LEVEL.value
    sides = _chosen([(side, name) for side, name in SIDES.items()])
    levels = _chosen([(level, level) for level in LEVELS])
    return [
        Field("scope", "It is of", "select", scopes, required=True),
        numbers,
        Field("side", "Side", "select", sides, of=here, half=True),
        Field("level", "Level", "select", levels, of=here, half=True),
    ]


def _details(kind: EvidenceKind) -> list[Field]:
    if kind == EvidenceKind.PET:
        return [
            Field("tracer", "Tracer, if known", half=True),
            Field("suv_max", "SUVmax, if known", "number", half=True),
        ]
    if kind == EvidenceKind.HIST:
        ways = _chosen([(way, in_words(way)) for way in PROCEDURES])
        return [
            Field("procedure", "Procedure", "select", ways, required=True),
            Field(
                "correspondence",
                "How the specimen corresponds to the node or level",
                "area",
                help="For example: largest node of the level, marked by ultrasound.",
                longest=LONGEST_TEXT,
            ),
        ]
    if kind == EvidenceKind.CHEMO:
        return [
            Field("from_mm", "Size before in mm, if given", "number", half=True),
            Field("to_mm", "Size after in mm, if given", "number", half=True),
            Field("therapy", "Therapy, if known", longest=LONGEST_TEXT),
        ]
    return [
        Field(
            "landmark",
            "Slice or landmark",
            "area",
            help="As the report names it, so that a reader finds it again.",
            required=True,
            longest=LONGEST_TEXT,
        )
    ]


def _whence(kind: EvidenceKind) -> list[Field]:
    return [
        Field(
            "source",
            "Source",
            help="What kind of document. No names, no numbers of a patient.",
            required=True,
            longest=LONGEST_SOURCE,
            value=_SOURCES[kind],
        ),
        Field("known_at", "Result known since, if given", "date"),
    ]


def _chosen(options: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [("", "Choose…"), *options]


def read_form(kind: str, posted: Mapping[str, str]) -> tuple[Entry, dict[str, str]]:
    """The entry as it was typed, and a sentence beside every field that is no date or number."""
    values, errors = {name: text.strip() for name, text in posted.items()}, {}
    details: dict[str, Any] = {}
    for one in _details(EvidenceKind(kind)):
        text = values.get(one.name, "")
        if not text:
            continue
        details[one.name] = _number(text) if one.kind == "number" else text
        if details[one.name] is None:
            errors[one.name] = "Enter a number, for example 12.5."
    dates: dict[str, datetime.date | None] = {}
    for name in ("date", "known_at"):
        dates[name] = _date(values.get(name, ""))
        if dates[name] is None and values.get(name):
            errors[name] = "Write the date as year, month and day: 2026-03-04."
    for name, text in values.items():
        if "\0" in text:
            errors[name] = "This cannot be kept. Write it again."
    entry = Entry(
        kind=kind,
        result=values.get("result", ""),
        source=values.get("source", ""),
        scope=values.get("scope", ""),
        node=_whole(values.get("node", "")),
        version=_whole(values.get("version", "")),
        side=values.get("side", ""),
        level=values.get("level", ""),
        details=details,
        **dates,
    )
    return entry, errors


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


def _date(text: str) -> datetime.date | None:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        return None


def _number(text: str) -> float | None:
    try:
        found = float(text.replace(",", "."))
    except ValueError:
        return None
    return found if abs(found) < 1e9 else None
