"""Versions of a consensus: the first of a comparison, the next when one is reopened, their end."""

from __future__ import annotations

from typing import Any

from backend.audit.services import News, record
from backend.errors import WrongState
from backend.reading.models import Case, Cluster, Comparison, Consensus
from backend.reading.services.announcing import case_changed
from backend.reading.workflow import (
    UNFINISHED,
    ConsensusAction,
    ConsensusState,
    ConsensusStepRefused,
    consensus_after,
)


def step_consensus(consensus: Consensus, action: ConsensusAction) -> None:
    """Move a consensus along its table (not saved); raises `WrongState`, naming what can be."""
    try:
        consensus.state = consensus_after(ConsensusState(consensus.state), action).value
    except ConsensusStepRefused as refused:
        raise WrongState(
            "WRONG_STATE",
            str(refused),
            "Choose one of what is possible now.",
            possible=refused.possible,
        ) from None


def open_first(case: Case, comparison: Comparison) -> tuple[Consensus, Consensus | None]:
    """The version a new comparison opens, and the unfinished one whose readings it replaces."""
    unfinished = case.consensuses.filter(state__in=UNFINISHED).select_for_update().first()
    if unfinished is not None:
        step_consensus(unfinished, ConsensusAction.SUPERSEDE)
        unfinished.save(update_fields=["state"])
    last = case.consensuses.order_by("version").last()
    consensus = Consensus.objects.create(
        case=case,
        comparison=comparison,
        version=last.version + 1 if last else 1,
        supersedes=last,
    )
    return consensus, unfinished


def record_opened(case: Case, consensus: Consensus, replaced: Consensus | None) -> None:
    """One event for the version that begins, one for the unfinished one it replaces."""
    if replaced is not None:
        record(
            "consensus.superseded",
            replaced,
            actor=None,
            chain=case.chain,
            news=[consensus_changed(replaced), case_changed(case)],
            consensus=str(replaced.pk),
            version=replaced.version,
            by=str(consensus.pk),
            published=False,
        )
    record(
        "consensus.opened",
        consensus,
        actor=None,
        chain=case.chain,
        consensus=str(consensus.pk),
        version=consensus.version,
        comparison=str(consensus.comparison_id),
        supersedes=str(consensus.supersedes_id) if consensus.supersedes_id else None,
        carried=[],
        reopened=[],
        clusters=[cluster_facts(c) for c in consensus.comparison.clusters.order_by("number")],
        discrepancies=discrepancy_facts(consensus),
    )


def consensus_changed(consensus: Consensus) -> News:
    """To whoever has this consensus open, where it stands."""
    return News(consensus.audience, "consensus.changed", {"state": consensus.state})


def discrepancy_facts(consensus: Consensus) -> list[dict[str, Any]]:
    """What a version has to settle as it is opened: which cluster, why, and what stands already."""
    found = consensus.discrepancies.select_related("cluster").order_by("cluster__number")
    return [
        {
            "id": str(each.pk),
            "cluster": each.cluster.number,
            "triggers": each.triggers,
            "state": each.state,
            "resolution": each.resolution,
            "by_rule": each.by_rule,
        }
        for each in found
    ]


def cluster_facts(cluster: Cluster) -> dict[str, Any]:
    """What a report needs of a cluster: whose nodes, how large, how far apart."""
    measures = cluster.measures
    sizes = {
        side: part and {name: part[name] for name in ("sad_mm", "lad_mm", "volume_mm3", "voxels")}
        for side, part in ((side, measures[side]) for side in ("first", "second"))
    }
    apart = {name: measures[name] for name in ("dice", "asd_mm", "hd95_mm", "sad_difference_mm")}
    return {
        "number": cluster.number,
        "outcome": cluster.outcome,
        "box": cluster.box,
        "first": {"nodes": cluster.first_nodes, "measures": sizes["first"]},
        "second": {"nodes": cluster.second_nodes, "measures": sizes["second"]},
        "shared_voxels": cluster.shared_voxels,
        "union_voxels": cluster.union_voxels,
        **apart,
    }
