"""What a signature under a consensus stands for: everything that was agreed on, as plain data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from backend.imaging.masks import canonical_json
from backend.reading.consensus_selectors import adjudicators_of
from backend.reading.evidence import days_from_study, standing, text_of
from backend.reading.label_selectors import item_of, labelled_nodes, rules_of
from backend.reading.models import (
    Case,
    Consensus,
    ConsensusNode,
    Discrepancy,
    Evidence,
    ReferenceLabel,
)
from backend.reading.vocabulary import SettlingRole
from backend.reading.workflow import DiscrepancyAction


def required_signers(consensus: Consensus) -> dict[UUID, SettlingRole]:
    """Who signs a version: both readers, and every adjudicator whose decision stands in it."""
    comparison = consensus.comparison
    readers = (comparison.first.reader_id, comparison.second.reader_id)
    found: dict[Any, SettlingRole] = dict.fromkeys(readers, SettlingRole.READER)
    for _, user in sorted(adjudicators_of([consensus]), key=str):
        found.setdefault(user, SettlingRole.ADJUDICATOR)
    return found


def hash_of(signed: Mapping[str, Any]) -> str:
    """SHA-256 (hex) over the canonical JSON of a record: its name in the store, too."""
    return hashlib.sha256(canonical_json(signed)).hexdigest()


def record_of_consensus(consensus: Consensus) -> dict[str, Any]:
    """The record of a version: the same for everyone who signs it, whoever asks."""
    case, comparison = consensus.case, consensus.comparison
    evidence = {
        str(one.pk): one for one in Evidence.objects.filter(case=case).select_related("node")
    }
    return {
        "schema": 1,
        "case": str(case.pk),
        "label": case.label,
        "protocol": str(case.protocol),
        "geometry": case.geometry_hash,
        "consensus": str(consensus.pk),
        "version": consensus.version,
        "comparison": str(comparison.pk),
        "readings": [
            {
                "reading": str(reading.pk),
                "slot": reading.slot,
                "reader": str(reading.reader_id),
                "effective": reading.effective.hash if reading.effective else None,
            }
            for reading in (comparison.first, comparison.second)
        ],
        "mask": consensus.mask.hash if consensus.mask else None,
        "ignored": consensus.ignored.hash if consensus.ignored else None,
        "discrepancies": [_discrepancy(found) for found in _discrepancies(consensus)],
        "nodes": [_node(each.node, each.label, evidence) for each in labelled_nodes(consensus)],
    }


def _discrepancies(consensus: Consensus) -> list[Discrepancy]:
    return list(
        consensus.discrepancies.select_related(
            "cluster", "decision__mask", "decision__proposal"
        ).order_by("cluster__number")
    )


def _discrepancy(found: Discrepancy) -> dict[str, Any]:
    step = found.decision
    deciders = []
    if step is not None:
        proposal = step.proposal
        answers = step.action in (DiscrepancyAction.AGREE, DiscrepancyAction.LEAVE)
        deciders = [str(proposal.actor_id)] if answers and proposal else []
        deciders.append(str(step.actor_id))
    return {
        "cluster": found.cluster.number,
        "state": found.state,
        "resolution": found.resolution,
        "by_rule": found.by_rule,
        "decided_by": deciders,
        "step": str(step.pk) if step else None,
        "rationale": found.rationale,
        "mask": step.mask.hash if step and step.mask else None,
    }


def _node(
    node: ConsensusNode,
    label: ReferenceLabel | None,
    evidence: Mapping[str, Evidence],
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "number": node.number,
        "node": str(node.node_id),
        "cluster": node.cluster.number,
        "origin": node.origin,
        "side": node.side,
        "level": node.level,
        "label": None,
    }
    if label is not None:
        found["label"] = {
            "label": str(label.pk),
            "kind": label.kind,
            "value": label.value,
            "reason": label.reason,
            "rationale": label.rationale,
            "rests_on_necrosis_alone": label.rests_on_necrosis_alone,
            "by": str(label.by_id),
            "role": label.role,
            "evidence": [
                evidence_content(evidence[item]) if item in evidence else {"id": item}
                for item in label.evidence
            ],
        }
    return found


def evidence_content(evidence: Evidence) -> dict[str, Any]:
    """A piece of evidence as it was entered, and nothing that follows from it."""
    node = evidence.node
    return {
        "id": str(evidence.pk),
        "kind": evidence.kind,
        "result": evidence.result,
        "date": evidence.date.isoformat() if evidence.date else None,
        "known_at": evidence.known_at.isoformat() if evidence.known_at else None,
        "source": evidence.source,
        "scope": evidence.scope,
        "node": str(node.node_id) if node else None,
        "number": node.number if node else None,
        "side": evidence.side,
        "level": evidence.level,
        "details": evidence.details,
        "entered_by": str(evidence.entered_by_id),
    }


def evidence_facts(evidence: Evidence, case: Case) -> dict[str, Any]:
    """A piece of evidence as it was entered, with what follows from it, for the log."""
    node, study = evidence.node, case.study_date
    item = replace(item_of(evidence), withdrawn=False)
    return {
        **evidence_content(evidence),
        "days_from_study": days_from_study(evidence.date, study),
        "counts_as_positive": standing(item, study, rules_of(case)).counts,
        "text": text_of(item, study, node=node.number if node else None),
    }
