"""What acts on labels, evidence and signatures share: the lock, who is told, what is recorded."""

from __future__ import annotations

from typing import Any

from backend.accounts.models import User
from backend.audit.services import News, record
from backend.reading.label_selectors import Labelled, labelled_nodes
from backend.reading.models import Case, Consensus, ReferenceLabel
from backend.reading.services.guards import lock_case


def lock_consensus(consensus: Consensus) -> tuple[Case, Consensus]:
    """The case, then the consensus, locked until the transaction ends."""
    case = lock_case(consensus.case_id)
    locked = Consensus.objects.select_for_update().only("pk").get(pk=consensus.pk)
    joined = Consensus.objects.select_related(
        "case__protocol", "comparison__first__reader", "comparison__second__reader"
    )
    return case, joined.get(pk=locked.pk)


def incomplete(consensus: Consensus) -> list[Labelled]:
    """The agreed nodes that still need something."""
    return [each for each in labelled_nodes(consensus) if each.needs]


def record_completed(case: Case, consensus: Consensus, actor: User | None) -> None:
    """That every node of a version is labelled."""
    record(
        "consensus.completed",
        consensus,
        actor=actor,
        chain=case.chain,
        consensus=str(consensus.pk),
        version=consensus.version,
        nodes=consensus.nodes.count(),
    )


def label_facts(consensus: Consensus, label: ReferenceLabel) -> dict[str, Any]:
    """Everything a label says, for the log."""
    node = label.node
    return {
        "consensus": str(consensus.pk),
        "version": consensus.version,
        "label": str(label.pk),
        "number": node.number,
        "node": str(node.node_id),
        "position": label.position,
        "kind": label.kind,
        "value": label.value,
        "rationale": label.rationale,
        "evidence": label.evidence,
        "rests_on_necrosis_alone": label.rests_on_necrosis_alone,
        "role": label.role,
        "state": consensus.state,
    }


def label_changed(consensus: Consensus, label: ReferenceLabel) -> News:
    """To whoever has the consensus open, which node was labelled; nothing of the label."""
    told = {"number": label.node.number, "position": label.position}
    return News(consensus.audience, "label.changed", told)
