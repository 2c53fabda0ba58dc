"""What a reference label needs before it may stand.

Pure. Every sentence that says no says what to do instead.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from backend.reading.evidence import (
    EvidenceKind,
    Item,
    LabelValue,
    Place,
    Rules,
    either,
    standing_for,
)


@dataclass(frozen=True)
class Fault:
    """Why a label cannot stand: a code, a sentence, and the cure."""

    code: str
    sentence: str
    cure: str


def label_faults(
    *,
    value: str,
    reason: str,
    rationale: str,
    items: Sequence[Item],
    place: Place,
    study: datetime.date | None,
    rules: Rules,
) -> list[Fault]:
    """Everything that keeps a label from standing; empty where it may be given."""
    if value not in rules.values:
        return [Fault("BAD_VALUE", f"“{value}” is no label.", f"Choose {either(rules.values)}.")]
    faults = []
    if any(item.withdrawn for item in items):
        faults.append(
            Fault(
                "EVIDENCE_WITHDRAWN",
                "Evidence named for this label was withdrawn.",
                "Leave it out, or rest the label on other evidence.",
            )
        )
    if value == LabelValue.NOT_ASSESSABLE and not reason:
        faults.append(
            Fault(
                "REASON_NEEDED",
                "A node that cannot be assessed needs a reason.",
                "Say what keeps it from being assessed.",
            )
        )
    if value == LabelValue.METASTATIC:
        faults += _metastatic_faults(rationale, items, place, study, rules)
    return faults


def _metastatic_faults(
    rationale: str,
    items: Sequence[Item],
    place: Place,
    study: datetime.date | None,
    rules: Rules,
) -> list[Fault]:
    verdicts = [standing_for(item, place, study, rules) for item in items if not item.withdrawn]
    counting = [verdict for verdict in verdicts if verdict.counts]
    if len(counting) < rules.metastatic_needs:
        needed = rules.metastatic_needs
        why = " ".join(verdict.sentence for verdict in verdicts if not verdict.counts)
        return [
            Fault(
                "EVIDENCE_NEEDED",
                f"Metastatic needs {needed} piece{'s' if needed > 1 else ''} of evidence that "
                f"count{'s' if needed == 1 else ''} for this node; it has {len(counting)}. "
                f"{why}".strip(),
                "Link evidence that counts, or choose another label.",
            )
        ]
    if not rationale and all(verdict.judged for verdict in counting):
        return [
            Fault(
                "RATIONALE_NEEDED",
                "The evidence names no node: that it means this one is your judgement.",
                "Say in the rationale why it means this node.",
            )
        ]
    return []


def rests_on_necrosis_alone(
    value: str, items: Sequence[Item], place: Place, study: datetime.date | None, rules: Rules
) -> bool:
    """Whether all that makes a node metastatic is what its own image shows."""
    counting = [item for item in items if standing_for(item, place, study, rules).counts]
    return (
        value == LabelValue.METASTATIC
        and bool(counting)
        and all(item.kind == EvidenceKind.NECR for item in counting)
    )
