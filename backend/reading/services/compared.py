"""Writing a comparison down: settled shapes, clusters, discrepancies, and the events of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from backend.audit.services import record
from backend.imaging.fusion import MEAN_SIGNED_DISTANCE
from backend.imaging.masks import Manifest
from backend.reading.discrepancies import Compared, Finding, Outcome, Part, Read, Settled
from backend.reading.models import (
    Case,
    Cluster,
    Comparison,
    Consensus,
    Discrepancy,
    Mask,
    Reading,
)
from backend.reading.services.announcing import case_changed, to_reading, worklist_changed
from backend.reading.services.masks import save_mask
from backend.reading.vocabulary import AuthorKind, MaskKind
from backend.reading.workflow import RULE_STEPS, DiscrepancyState, Resolution, discrepancy_after


@dataclass(frozen=True)
class Computed:
    """A comparison, and the settled shapes already in the store (slice index → blob)."""

    rules: dict[str, Any]
    first: Read
    second: Read
    found: Compared
    blobs: dict[int, str]


def save_settled(case: Case, readings: Sequence[Reading], computed: Computed) -> Mask | None:
    """The settled shapes as a mask of the case; each keeps the first reader's node."""
    found = computed.found
    if not found.shapes:
        return None
    nodes = {
        number: computed.first.opinions[found.findings[number - 1].cluster.a[0]].node
        for number in found.shapes
    }
    parents = tuple(reading.effective.hash for reading in readings if reading.effective)
    manifest = Manifest(case.geometry_hash, computed.blobs, nodes, parents)
    return save_mask(
        case=case,
        kind=MaskKind.SETTLED,
        author_kind=AuthorKind.SYSTEM,
        manifest=manifest,
        blobs=computed.blobs,
    )


def save_clusters(comparison: Comparison, computed: Computed) -> list[Cluster]:
    """Every cluster, from the skull base down."""
    return Cluster.objects.bulk_create(
        Cluster(
            comparison=comparison,
            number=number,
            first_nodes=_nodes_json(computed.first, finding.cluster.a),
            second_nodes=_nodes_json(computed.second, finding.cluster.b),
            shared_voxels=finding.cluster.shared_voxels,
            union_voxels=finding.cluster.union_voxels,
            box=[part.start for part in finding.box] + [part.stop for part in finding.box],
            measures=_measures_json(finding),
            outcome=finding.outcome.value,
        )
        for number, finding in enumerate(computed.found.findings, 1)
    )


def discrepancies_of(
    consensus: Consensus, clusters: Sequence[Cluster], computed: Computed
) -> list[Discrepancy]:
    """A discrepancy for each cluster in which the two are not the same (not yet saved)."""
    return [
        _discrepancy(consensus, cluster, finding, computed.found.shapes.get(cluster.number))
        for cluster, finding in zip(clusters, computed.found.findings, strict=True)
        if finding.outcome != Outcome.IDENTICAL
    ]


def _discrepancy(
    consensus: Consensus, cluster: Cluster, finding: Finding, shape: Settled | None
) -> Discrepancy:
    discrepancy = Discrepancy(
        consensus=consensus, cluster=cluster, triggers=[t.to_json() for t in finding.triggers]
    )
    if finding.outcome != Outcome.OPEN:
        discrepancy.state = discrepancy_after(DiscrepancyState.OPEN, *RULE_STEPS).value
        discrepancy.by_rule, discrepancy.decided_at = True, timezone.now()
        discrepancy.rationale = _rationale(finding)
    if finding.outcome == Outcome.IGNORED:
        discrepancy.resolution = Resolution.IGNORE
    elif shape is not None:
        discrepancy.resolution = Resolution.MEAN
        discrepancy.geometry = {
            "rule": MEAN_SIGNED_DISTANCE,
            "label": shape.number,
            "voxels": shape.measures.voxels,
            "ties": shape.ties,
            "sad_mm": shape.measures.sad_mm,
            "lad_mm": shape.measures.lad_mm,
            "volume_mm3": shape.measures.volume_mm3,
        }
    return discrepancy


def _rationale(finding: Finding) -> str:
    """Why a rule could decide, in words that name no reader."""
    part = finding.first or finding.second
    if finding.outcome == Outcome.IGNORED and part is not None:
        limit = finding.triggers[0].limit_mm
        return f"One-sided, and its short axis of {part.sad_mm:.2f} mm is below {limit:g} mm."
    return (
        f"Within all tolerances: borders {finding.asd_mm:.2f} mm apart on average, "
        f"short axes {finding.sad_difference_mm:.2f} mm."
    )


def _nodes_json(read: Read, labels: Iterable[int]) -> list[dict[str, Any]]:
    return [
        {
            "node": opinion.node,
            "label": label,
            "impression": opinion.impression,
            "side": opinion.side,
            "level": opinion.level,
            "doubt": opinion.doubt,
        }
        for label, opinion in ((label, read.opinions[label]) for label in labels)
    ]


def _measures_json(finding: Finding) -> dict[str, Any]:
    return {
        "first": _part_json(finding.first),
        "second": _part_json(finding.second),
        "dice": finding.dice,
        "asd_mm": finding.asd_mm,
        "hd95_mm": finding.hd95_mm,
        "sad_difference_mm": finding.sad_difference_mm,
    }


def _part_json(part: Part | None) -> dict[str, Any] | None:
    return part.measures.to_json() if part else None


def pairs_json(computed: Computed) -> list[dict[str, Any]]:
    """The one-to-one pairs, by the nodes of either reader."""
    return [
        {
            "first": computed.first.opinions[found.pair.a].node,
            "second": computed.second.opinions[found.pair.b].node,
            "iou": found.pair.iou,
            "dice": found.pair.dice,
            "asd_mm": found.asd_mm,
            "sad_difference_mm": found.sad_difference_mm,
        }
        for found in computed.found.pairs
    ]


def record_made(
    case: Case,
    comparison: Comparison,
    readings: Sequence[Reading],
    found: Compared,
    discrepancies: Sequence[Discrepancy],
) -> None:
    """One event for the comparison, one for all that a rule decided; and the news of it."""
    outcomes = [finding.outcome for finding in found.findings]
    told = {"comparison": str(comparison.pk)}
    news = [
        *worklist_changed(readings),
        *(to_reading(reading, "comparison.made", told) for reading in readings),
        case_changed(case),
    ]
    record(
        "comparison.made",
        comparison,
        actor=None,
        chain=case.chain,
        news=news,
        first=str(comparison.first_id),
        second=str(comparison.second_id),
        effective=[reading.effective.hash for reading in readings if reading.effective],
        x="first" if comparison.x_is_first else "second",
        protocol=str(case.protocol),
        settled=comparison.settled.hash if comparison.settled else None,
        clusters=len(outcomes),
        outcomes={outcome.value: outcomes.count(outcome) for outcome in Outcome},
        **comparison.facts,
    )
    actions = {
        Resolution.IGNORE: "discrepancy.ignored_by_rule",
        Resolution.MEAN: "discrepancy.settled_by_rule",
    }
    for discrepancy in discrepancies:
        if not discrepancy.by_rule:
            continue
        cluster = discrepancy.cluster
        record(
            actions[Resolution(discrepancy.resolution)],
            discrepancy,
            actor=None,
            chain=case.chain,
            reason=discrepancy.rationale,
            comparison=str(comparison.pk),
            cluster=cluster.number,
            first=[node["node"] for node in cluster.first_nodes],
            second=[node["node"] for node in cluster.second_nodes],
            triggers=discrepancy.triggers,
            geometry=discrepancy.geometry,
        )
