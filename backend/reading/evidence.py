"""Evidence for reference labels: what may be entered, what counts, and what a label needs of it.

Pure: knows neither Django nor who asks. Every sentence that says no says what to do instead.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class EvidenceKind(StrEnum):
    """What a piece of evidence is."""

    PET = "PET"
    HIST = "HIST"
    CHEMO = "CHEMO"
    NECR = "NECR"


class Scope(StrEnum):
    """What a piece of evidence speaks of."""

    NODE = "node"
    SIDE_LEVEL = "side_level"
    PATIENT = "patient"


class LabelKind(StrEnum):
    """Whether a label was given, or left to the adjudicator."""

    SET = "set"
    DEFERRED = "deferred"


class LabelValue(StrEnum):
    """What the reference says of a node. Non-metastatic is "not marked metastatic", no more."""

    METASTATIC = "metastatic"
    NON_METASTATIC = "non_metastatic"
    INDETERMINATE = "indeterminate"
    NOT_ASSESSABLE = "not_assessable"


KIND_NAMES = {
    EvidenceKind.PET: "PET",
    EvidenceKind.HIST: "Histology",
    EvidenceKind.CHEMO: "Follow-up CT under chemotherapy",
    EvidenceKind.NECR: "Central necrosis on this CT",
}
RESULTS: dict[str, tuple[str, ...]] = {
    EvidenceKind.PET: ("positive", "negative", "equivocal"),
    EvidenceKind.HIST: ("positive", "negative", "not_diagnostic"),
    EvidenceKind.CHEMO: ("regression", "progression", "stable"),
    EvidenceKind.NECR: ("present", "absent"),
}
SIDES = {"R": "right", "L": "left"}
LEVELS = (
    "IA", "IB", "II", "IIA", "IIB", "III", "IV", "V", "VA", "VB", "VI", "VII",
    "retropharyngeal", "parotid", "supraclavicular", "occipital",
)  # fmt: skip


@dataclass(frozen=True)
class Rules:
    """What a protocol asks of labels; the defaults are methods §1.10."""

    values: tuple[str, ...] = tuple(LabelValue)
    metastatic_needs: int = 1
    pet_max_days: int = 92
    counting: Mapping[str, Collection[str]] = field(
        default_factory=lambda: {
            EvidenceKind.PET: ("positive",),
            EvidenceKind.HIST: ("positive",),
            EvidenceKind.CHEMO: ("regression", "progression"),
            EvidenceKind.NECR: ("present",),
        }
    )

    @classmethod
    def of(cls, block: Mapping[str, Any] | None) -> Rules:
        """The rules of a protocol's `labels` block; the defaults where it has none."""
        if not block:
            return cls()
        kinds = block["evidence"]
        return cls(
            values=tuple(block["values"]),
            metastatic_needs=block["metastatic_needs"],
            pet_max_days=kinds.get(EvidenceKind.PET, {}).get("max_days", cls.pet_max_days),
            counting={kind: tuple(rule["counts"]) for kind, rule in kinds.items()},
        )


@dataclass(frozen=True)
class Place:
    """A node as evidence may speak of it: its key, and its side and level where they are known."""

    node: str
    side: str = ""
    level: str = ""


@dataclass(frozen=True)
class Item:
    """One piece of evidence. `node` is the key of the node it names, of whatever version."""

    kind: str
    result: str
    date: datetime.date | None
    scope: str
    node: str = ""
    side: str = ""
    level: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    withdrawn: bool = False


@dataclass(frozen=True)
class Verdict:
    """Whether a piece of evidence counts, and if not, why and what to do.

    `judged` says that it counts for a node only because the readers judge that it means that one.
    """

    counts: bool
    sentence: str = ""
    judged: bool = False


COUNTS = Verdict(True)


def days_from_study(date: datetime.date | None, study: datetime.date | None) -> int | None:
    """Days from the study to `date`, negative before it; None where either is unknown."""
    return None if date is None or study is None else (date - study).days


def shortcomings(item: Item, study: datetime.date | None, rules: Rules) -> list[str]:
    """Every reason why the item does not count, whichever node it is for; none where it does."""
    first = standing(item, study, rules)
    if first.counts or item.withdrawn:
        return [first.sentence] if first.sentence else []
    check = _STANDING.get(item.kind)
    also = check(item, study, rules) if check else COUNTS
    return list(dict.fromkeys(said.sentence for said in (first, also) if not said.counts))


def standing(item: Item, study: datetime.date | None, rules: Rules) -> Verdict:
    """Whether the item counts as positive at all, whichever node it is for."""
    name = KIND_NAMES[EvidenceKind(item.kind)]
    if item.withdrawn:
        return Verdict(False, "It was withdrawn. Rest the label on other evidence.")
    if item.result not in rules.counting.get(item.kind, ()):
        asked = " or ".join(rules.counting.get(item.kind, ())) or "nothing"
        return Verdict(
            False,
            f"{name}: {in_words(item.result)} does not count, only {asked} does. "
            "Rest the label on other evidence.",
        )
    check = _STANDING.get(item.kind)
    return check(item, study, rules) if check else COUNTS


def _pet(item: Item, study: datetime.date | None, rules: Rules) -> Verdict:
    days = days_from_study(item.date, study)
    if days is None:
        return Verdict(
            False,
            "How far the PET is from the CT is unknown. Have the study's date and the PET's "
            "entered.",
        )
    if abs(days) > rules.pet_max_days:
        return Verdict(
            False,
            f"The PET is {distance(days)} the CT; within {rules.pet_max_days} days it would "
            "count. Rest the label on other evidence.",
        )
    return COUNTS


def _histology(item: Item, study: datetime.date | None, rules: Rules) -> Verdict:
    if item.scope == Scope.PATIENT:
        return Verdict(
            False,
            "Histology of no named node or level says of none that it is metastatic. Have it "
            "entered for the node, or for its side and level.",
        )
    if not item.details.get("correspondence"):
        return Verdict(
            False,
            "How the specimen corresponds to a node is not said. Have it entered again with "
            "its correspondence.",
        )
    return COUNTS


def _chemotherapy(item: Item, study: datetime.date | None, rules: Rules) -> Verdict:
    days = days_from_study(item.date, study)
    if item.date is None:
        return Verdict(
            False, "The follow-up has no date. Have it entered again with the date of the CT."
        )
    if days is not None and days <= 0:
        return Verdict(
            False, "The follow-up is not after this CT. Have it entered again with its date."
        )
    return COUNTS


def _necrosis(item: Item, study: datetime.date | None, rules: Rules) -> Verdict:
    if item.scope != Scope.NODE or not has_landmark(item.details):
        return Verdict(
            False,
            "Necrosis counts with the node it is in and a slice or landmark. Have it entered "
            "again with both.",
        )
    return COUNTS


_STANDING = {
    EvidenceKind.PET.value: _pet,
    EvidenceKind.HIST.value: _histology,
    EvidenceKind.CHEMO.value: _chemotherapy,
    EvidenceKind.NECR.value: _necrosis,
}


def standing_for(item: Item, place: Place, study: datetime.date | None, rules: Rules) -> Verdict:
    """Whether the item counts as positive for this very node."""
    general = standing(item, study, rules)
    if not general.counts:
        return general
    if item.scope == Scope.NODE:
        if item.node == place.node:
            return COUNTS
        return Verdict(False, "It is of another node. Rest the label on evidence of this one.")
    if item.scope == Scope.PATIENT:
        return Verdict(True, judged=True)
    if (place.side and place.side != item.side) or not levels_agree(place.level, item.level):
        return Verdict(
            False,
            f"It is of {where(item)}, and this node is {place_in_words(place)}. Rest the label on "
            "evidence of this node.",
        )
    return Verdict(True, judged=not (place.side and place.level))


def levels_agree(one: str, other: str) -> bool:
    """Whether two levels may be the same: II holds IIA and IIB; an unknown one may be any."""
    if not one or not other or one == other:
        return True
    return other == one.rstrip("AB") or one == other.rstrip("AB")


def has_landmark(details: Mapping[str, Any]) -> bool:
    """Whether a necrosis can be found again: by a slice or a landmark."""
    return bool(details.get("landmark")) or details.get("slice_index") is not None


def text_of(item: Item, study: datetime.date | None, *, node: int | None = None) -> str:
    """The item in one sentence; `node` is the number of the node it names."""
    name = KIND_NAMES[EvidenceKind(item.kind)]
    if item.kind != EvidenceKind.NECR and item.date is not None:
        days = days_from_study(item.date, study)
        away = "" if days is None else f", {distance(days)} the CT"
        name += f" of {item.date}{away}"
    found = in_words(item.result)
    if item.kind == EvidenceKind.HIST and item.details.get("procedure"):
        found += f" by {in_words(item.details['procedure'])}"
    return f"{name}: {found}, {where(item, node)}{_extra(item)}."


def _extra(item: Item) -> str:
    details = item.details
    if item.kind == EvidenceKind.PET:
        tracer = details.get("tracer")
        suv = details.get("suv_max")
        return (f", {tracer}" if tracer else "") + (f", SUVmax {suv:g}" if suv is not None else "")
    if item.kind == EvidenceKind.HIST:
        said = details.get("correspondence", "").rstrip(". ")
        return f" ({said})" if said else ""
    if item.kind == EvidenceKind.CHEMO:
        sizes = [details.get("from_mm"), details.get("to_mm")]
        grown = f", {sizes[0]:g} to {sizes[1]:g} mm" if None not in sizes else ""
        return grown + (f", under {details['therapy']}" if details.get("therapy") else "")
    at, landmark = details.get("slice_index"), details.get("landmark", "").rstrip(". ")
    return ("" if at is None else f", slice index {at}") + (f", {landmark}" if landmark else "")


def where(item: Item, node: int | None = None) -> str:
    """What the item speaks of, in words."""
    if item.scope == Scope.NODE:
        return "one node" if node is None else f"node {node}"
    if item.scope == Scope.SIDE_LEVEL:
        return place_in_words(Place("", item.side, item.level))
    return "of the patient as a whole"


def place_in_words(place: Place) -> str:
    """A side and level as people say it."""
    level = place.level if place.level[:1].islower() else f"level {place.level}"
    words = [SIDES.get(place.side, ""), level if place.level else ""]
    return " ".join(word for word in words if word) or "of no known side and level"


def distance(days: int) -> str:
    """A distance in days, before or after: "12 days after"; "on the day of"."""
    if days == 0:
        return "on the day of"
    return f"{abs(days)} day{'s' if abs(days) != 1 else ''} {'after' if days > 0 else 'before'}"


def in_words(word: str) -> str:
    """A word of the vocabulary as people write it."""
    return {"fine_needle": "fine-needle aspirate"}.get(word, word.replace("_", " "))


def either(words: Sequence[str]) -> str:
    """A choice in words."""
    named = [in_words(word) if word.islower() else word for word in words]
    return " or ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
