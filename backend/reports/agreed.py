"""What is exported of a published consensus: the agreed nodes, their labels, who signed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from backend.errors import WrongState
from backend.imaging.seg import LEVEL_SITES, Algorithm, Laterality, NodeSegment, tracking_uid
from backend.jobs.models import ModelVersion, Run
from backend.reading import maskstore
from backend.reading.evidence import LabelKind
from backend.reading.models import Consensus, ConsensusNode, Mask
from backend.reading.models.labels import ConsensusSignature, Evidence, ReferenceLabel
from backend.reports import tables
from backend.reports.consensus_sections import NOT_BENIGN
from backend.reports.formats import Content
from backend.reports.history import stamp
from backend.reports.models import ExportFormat
from backend.version import RESEARCH_NOTICE, VERSION

WAITING = {
    "draft": "Its readers have not settled it yet",
    "labelling": "Not every node is labelled yet",
    "ready": "Nobody has signed it yet",
    "signing": "A signature is still missing",
    "superseded": "It was replaced before anybody published it",
}


def require_exportable(consensus: Consensus, file_format: str) -> Mask:
    """The mask of a consensus that may be written as this; raises `WrongState` with why not."""
    mask = consensus.mask
    if consensus.published_at is None or mask is None:
        why = WAITING.get(consensus.state, "It is not published yet")
        cure = "Take the version that did." if consensus.state == "superseded" else "Wait for it."
        raise WrongState(
            "NOT_PUBLISHED",
            f"Version {consensus.version} of this consensus is {consensus.state}. {why}, and only "
            "what all have signed is exported.",
            cure,
        )
    if file_format == ExportFormat.SEG and not consensus.nodes.exists():
        raise WrongState(
            "NO_NODES",
            "No node was agreed on in this consensus, and a segmentation holds at least one.",
            "Take the table or the NIfTI.",
        )
    return mask


def agreed_content(consensus: Consensus) -> Content:
    """The content of a published consensus' export."""
    mask = require_exportable(consensus, "")
    case = consensus.case
    model = _model(consensus)
    facts = {name: tables.text_of(value) for name, value in _facts(consensus, mask, model).items()}
    nodes = list(consensus.nodes.order_by("number"))
    return Content(
        labels=maskstore.volume(mask),
        grid=case.grid,
        nodes={node.number: str(node.node_id) for node in nodes},
        segments=tuple(_segment(node, model) for node in nodes),
        series_id=case.series_id,
        creator=f"Concord^Consensus {consensus.version}",
        mask_hash=mask.hash,
        rows=tuple(_rows(nodes, facts)),
        facts=facts,
    )


def _model(consensus: Consensus) -> ModelVersion | None:
    """The model whose proposal the readers were given."""
    comparison = consensus.comparison
    offered = comparison.first.ai_mask or comparison.second.ai_mask
    if offered is None or offered.run_id is None:
        return None
    run = Run.objects.select_related("model").filter(pk=offered.run_id).first()
    return run.model if run else None


def _facts(consensus: Consensus, mask: Mask, model: ModelVersion | None) -> dict[str, Any]:
    case = consensus.case
    signed = ConsensusSignature.objects.filter(consensus=consensus, void_at=None).order_by("at")
    return {
        "case": case.label,
        "project": case.project.code,
        "protocol": f"{case.protocol.code} version {case.protocol.version}",
        "consensus": consensus.pk,
        "version": consensus.version,
        "published_at": stamp(consensus.published_at),
        "signed_by": [f"{s.printed_name} ({s.role}, {stamp(s.at)})" for s in signed],
        "model": f"{model.name} {model.version}" if model else "",
        "model_sha256": model.sha256 if model else "",
        "mask": mask.hash,
        "record": consensus.record_hash,
        "software": f"Concord {VERSION}",
        "note": NOT_BENIGN,
        "research_use": RESEARCH_NOTICE,
    }


def _rows(nodes: list[ConsensusNode], facts: dict[str, str]) -> Iterable[tables.Row]:
    labels = labels_that_hold(nodes)
    named = {str(key) for label in labels.values() for key in label.evidence}
    kinds = {str(e.pk): e.kind for e in Evidence.objects.filter(pk__in=named)}
    for node in nodes:
        measures = node.measures
        label = labels.get(node.pk)
        keys = [str(key) for key in label.evidence] if label else []
        yield tables.row_of(
            {
                "number": node.number,
                "tracking_uid": tracking_uid(str(node.node_id)),
                "side": node.side,
                "level": node.level,
                "sad_mm": measures["sad_mm"],
                "lad_mm": measures["lad_mm"],
                "longest_any_plane_mm": measures["longest_any_plane_mm"],
                "volume_mm3": measures["volume_mm3"],
                "label": label.value if label else "",
                "label_reason": label.reason if label else "",
                "evidence_kinds": sorted({kinds[key] for key in keys if key in kinds}),
                "rests_on_necrosis_alone": bool(label and label.rests_on_necrosis_alone),
                "provenance": node.origin,
                **facts,
            }
        )


def labels_that_hold(nodes: Iterable[ConsensusNode]) -> dict[UUID, ReferenceLabel]:
    """The label that holds of each node: the newest that was set."""
    found = ReferenceLabel.objects.filter(node__in=nodes, kind=LabelKind.SET.value)
    return {label.node_id: label for label in found.order_by("position")}


def _segment(node: ConsensusNode, model: ModelVersion | None) -> NodeSegment:
    side: Laterality | None = "R" if node.side == "R" else "L" if node.side == "L" else None
    return NodeSegment(
        label=node.number,
        node=str(node.node_id),
        name=f"Lymph node {node.number}",
        origin="SEMIAUTOMATIC" if model else "MANUAL",
        algorithm=Algorithm(model.name, model.version) if model else None,
        level=site_of(node.level),
        laterality=side,
    )


def site_of(level: str) -> str | None:
    """The coded site of a level: II for IIA and IIB; None where no code is near."""
    if level in LEVEL_SITES:
        return level
    whole = level.rstrip("AB")
    return whole if whole in LEVEL_SITES else None
