"""Which other series of a person a reader may lay beside the one they read. Pure.

What a protocol's definition does not name stays hidden. PET and studies made later are evidence
for labels: whoever may see the evidence of a case sees them too.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What another series is to the one that is read."""

    SAME_STUDY = "same_study"
    PRIOR = "prior"
    FOLLOW_UP = "follow_up"
    PET = "pet"


def kind_of(modality: str, *, same_study: bool, days: int | None) -> Kind:
    """What a series is.

    Args:
        modality: CT, MR or PT.
        same_study: whether it is of the study that is read.
        days: from the study that is read to its own, None where a date is missing: it could be
            later, and counts as such.
    """
    if modality == "PT":
        return Kind.PET
    if same_study:
        return Kind.SAME_STUDY
    return Kind.PRIOR if days is not None and days <= 0 else Kind.FOLLOW_UP


def kinds_shown(definition: Mapping[str, Any], *, evidence_open: bool) -> frozenset[Kind]:
    """The kinds of series that a reader is shown."""
    if evidence_open:
        return frozenset(Kind)
    return frozenset(Kind(kind) for kind in definition.get("beside", []))
