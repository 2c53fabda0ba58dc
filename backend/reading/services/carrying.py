"""Labels of the version before that still hold in the next one."""

from __future__ import annotations

import uuid
from typing import Any
from uuid import UUID

from backend.accounts.models import User
from backend.audit.services import record
from backend.reading.evidence import LabelKind
from backend.reading.label_selectors import agreed_nodes
from backend.reading.models import Consensus, ConsensusNode, Discrepancy, ReferenceLabel
from backend.reading.services.label_news import incomplete, label_facts, record_completed
from backend.reading.services.versions import step_consensus
from backend.reading.workflow import ConsensusAction


def begin_labelling(*, consensus: Consensus, actor: User | None) -> None:
    """What follows when a version is settled: labels that still hold are carried over.

    Called inside the settling transaction, with the nodes made and the state saved as `labelling`.
    A version with nothing left to label is ready at once.
    """
    case = consensus.case
    for label, old in _carried(consensus):
        copy = ReferenceLabel.objects.create(
            id=uuid.uuid4(),
            node=label,
            position=1,
            kind=old.kind,
            value=old.value,
            reason=old.reason,
            rationale=old.rationale,
            evidence=old.evidence,
            rests_on_necrosis_alone=old.rests_on_necrosis_alone,
            by=old.by,
            role=old.role,
            carried=old,
        )
        record(
            "label.carried",
            copy,
            actor=actor,
            chain=case.chain,
            reason=copy.reason,
            by_name=old.by.shown_name,
            carried=str(old.pk),
            **label_facts(consensus, copy),
        )
    if incomplete(consensus):
        return
    step_consensus(consensus, ConsensusAction.COMPLETE)
    consensus.save(update_fields=["state"])
    record_completed(case, consensus, actor)


def _carried(consensus: Consensus) -> list[tuple[ConsensusNode, ReferenceLabel]]:
    """Nodes whose cluster stands as it did in the version before, and the labels they had there."""
    before = consensus.supersedes
    if before is None or before.comparison_id != consensus.comparison_id:
        return []
    then, now = _decisions(before), _decisions(consensus)
    old = {(node.cluster_id, node.node_id): node for node in agreed_nodes(before)}
    found = []
    for node in agreed_nodes(consensus):
        match = old.get((node.cluster_id, node.node_id))
        labels = list(match.labels.all()) if match else []
        stands = then.get(node.cluster_id) == now.get(node.cluster_id)
        if labels and stands and labels[-1].kind == LabelKind.SET:
            found.append((node, labels[-1]))
    return found


def _decisions(consensus: Consensus) -> dict[UUID, tuple[Any, ...]]:
    rows = Discrepancy.objects.filter(consensus=consensus)
    return {d.cluster_id: (d.state, d.resolution, d.by_rule, d.decision_id) for d in rows}
