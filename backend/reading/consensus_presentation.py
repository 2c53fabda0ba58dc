"""A consensus as the API shows it: to each asker what they may see, people by their role alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from backend.audit.models import NewsHead
from backend.reading import registry
from backend.reading.comparison_presentation import cluster_json as compared_json
from backend.reading.comparison_presentation import trigger_json
from backend.reading.consensus_selectors import (
    Asker,
    Seat,
    discrepancies_of,
    versions_of,
)
from backend.reading.discrepancies import Outcome
from backend.reading.label_presentation import (
    evidence_json,
    labels_json,
    nodes_json,
    signing_json,
)
from backend.reading.models import (
    Case,
    Cluster,
    Comparison,
    Consensus,
    Discrepancy,
    NodeState,
    Step,
)
from backend.reading.protocols import settling_of
from backend.reading.workflow import (
    OF_A_READER_SETTLING,
    OF_AN_ADJUDICATOR,
    ConsensusState,
    DiscrepancyAction,
    DiscrepancyState,
    Resolution,
    possible_on,
)

# That it cannot be told is agreed to or resolved with that word, never by a verb of its own.
_VERBS = {
    Seat.READER: OF_A_READER_SETTLING - {DiscrepancyAction.LEAVE},
    Seat.ADJUDICATOR: OF_AN_ADJUDICATOR - {DiscrepancyAction.LEAVE},
    Seat.OBSERVER: frozenset[DiscrepancyAction](),
}
_OF_A_CLUSTER = (
    "number",
    "kind",
    "outcome",
    "box",
    "dice",
    "asd_mm",
    "hd95_mm",
    "sad_difference_mm",
)


def consensus_json(consensus: Consensus, asker: Asker) -> dict[str, Any]:
    """A consensus, whole, as this asker may see it."""
    case, comparison = consensus.case, consensus.comparison
    clusters = list(comparison.clusters.all())
    found = list(discrepancies_of(consensus))
    grid = case.grid_json
    seq = NewsHead.objects.filter(audience=consensus.audience).values_list("seq", flat=True)
    return {
        "id": str(consensus.pk),
        "case": {
            "id": str(case.pk),
            "label": case.label,
            "study_date": case.study_date.isoformat() if case.study_date else None,
        },
        "version": consensus.version,
        "state": consensus.state,
        "comparison": str(comparison.pk),
        "role": asker.seat.value,
        "study_uid": case.study_uid,
        "series_uid": case.series_uid,
        "dicomweb": f"/dicom-web/consensus/{consensus.pk}",
        "grid": {
            "shape": grid["shape"],
            "spacing_mm": grid["spacing_mm"],
            "sop_uids": grid["sop_uids"],
            "geometry": case.geometry_hash,
        },
        "show_ai": shows_ai(case),
        "resolutions": resolutions_of(case),
        "counts": counts_json(found, clusters),
        "clusters": clusters_json(consensus, clusters, asker),
        "discrepancies": [
            discrepancy_json(each, asker, x_is_first=comparison.x_is_first) for each in found
        ],
        **_later(consensus, asker),
        "versions": [version_json(version) for version in versions_of(consensus)],
        "report": _report(consensus, asker),
        "news_seq": seq.first() or 0,
    }


def _report(consensus: Consensus, asker: Asker) -> str | None:
    """Where the case's newest report is read, for who may open it."""
    reading = consensus.comparison.first
    found: dict[UUID, str] = {}
    for links in registry.report_links:
        found |= links(asker.user, [reading])
    return found.get(reading.pk)


def cluster_json(cluster: Cluster, *, x_is_first: bool) -> dict[str, Any]:
    """A cluster as in the comparison, without the identities that either reader gave."""
    whole = compared_json(cluster, x_is_first=x_is_first)
    return {
        **{name: whole[name] for name in _OF_A_CLUSTER},
        "x": _side_json(whole["x"]),
        "y": _side_json(whole["y"]),
    }


def clusters_json(
    consensus: Consensus, clusters: Sequence[Cluster], asker: Asker
) -> list[dict[str, Any]]:
    """The clusters; beside each what either reader decided on the AI's nodes there, and why.

    That says where the AI saw a node, so it is null where the protocol keeps the AI's shapes to
    itself; and to who sees counts alone.
    """
    comparison = consensus.comparison
    shown = asker.whole and shows_ai(consensus.case)
    said = decisions_json(comparison, clusters) if shown else {}
    return [
        {
            **cluster_json(cluster, x_is_first=comparison.x_is_first),
            "decisions": said.get(cluster.number),
        }
        for cluster in clusters
    ]


def decisions_json(
    comparison: Comparison, clusters: Sequence[Cluster]
) -> dict[int, dict[str, list[dict[str, Any]]]]:
    """By cluster: what X and Y decided on its nodes; a rejection stands where nothing is left."""
    of_node: dict[str, list[int]] = {}
    for cluster in clusters:
        for node in {each["node"] for each in (*cluster.first_nodes, *cluster.second_nodes)}:
            of_node.setdefault(node, []).append(cluster.number)
    sides = comparison.first_id, comparison.second_id
    if not comparison.x_is_first:
        sides = sides[::-1]
    names = dict(zip(sides, ("x", "y"), strict=True))
    found: dict[int, dict[str, list[dict[str, Any]]]] = {
        cluster.number: {"x": [], "y": []} for cluster in clusters
    }
    states = NodeState.objects.filter(reading__in=sides, node__in=list(of_node)).order_by("label")
    for reading, node, decision, reason in states.values_list(
        "reading", "node", "decision", "reason"
    ):
        for number in of_node[str(node)]:
            found[number][names[reading]].append({"decision": decision, "reason": reason or None})
    return found


def _side_json(side: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if side is None:
        return None
    nodes = [{k: v for k, v in node.items() if k != "uuid"} for node in side["nodes"]]
    return {"nodes": nodes, "measures": side["measures"]}


def counts_json(found: Sequence[Discrepancy], clusters: Sequence[Cluster]) -> dict[str, int]:
    """How many clusters stand where, each counted once."""
    states = Counter(each.state for each in found if not each.by_rule)
    return {
        **{state.value: states[state.value] for state in DiscrepancyState},
        "by_rule": sum(each.by_rule for each in found),
        "identical": sum(cluster.outcome == Outcome.IDENTICAL for cluster in clusters),
    }


def discrepancy_json(found: Discrepancy, asker: Asker, *, x_is_first: bool) -> dict[str, Any]:
    """What has to be settled of a cluster, and what the asker may do about it now."""
    return {
        "id": str(found.pk),
        "cluster": found.cluster.number,
        "state": found.state,
        "version": found.version,
        "triggers": [trigger_json(trigger, x_is_first=x_is_first) for trigger in found.triggers],
        "resolution": found.resolution or None,
        "by_rule": found.by_rule,
        "rationale": found.rationale if asker.whole or found.by_rule else "",
        "geometry": found.geometry,
        "proposal": _proposal_json(found.proposal, asker),
        "steps": steps_json(found, asker),
        "possible": possible_for(asker, found),
    }


def _proposal_json(step: Step | None, asker: Asker) -> dict[str, Any] | None:
    if step is None or not asker.whole:
        return None
    return {
        "step": str(step.pk),
        "by": asker.word_for(step.actor, step.role),
        "resolution": step.resolution,
        "rationale": step.rationale,
        "mask": step.mask.hash if step.mask else None,
        "at": step.at.isoformat(),
    }


def steps_json(found: Discrepancy, asker: Asker, *, after: int = 0) -> list[dict[str, Any]]:
    """The steps of a discrepancy, by role; before them the decision that was carried over.

    Of steps that were seen, the ones `after` so many.
    """
    steps = [step for step in found.steps.all() if step.position > after]
    if not asker.whole:
        return []
    if found.by_rule:
        return [
            {
                "action": DiscrepancyAction.AGREE.value,
                "by": "rule",
                "resolution": found.resolution,
                "rationale": found.rationale,
                "at": found.decided_at.isoformat() if found.decided_at else None,
            }
        ]
    carried = found.decision
    if carried is not None and carried.discrepancy_id != found.pk and not after:
        steps = [carried, *steps]
    return [
        {
            "action": step.action,
            "by": asker.word_for(step.actor, step.role),
            "resolution": step.resolution,
            "rationale": step.rationale,
            "at": step.at.isoformat(),
        }
        for step in steps
    ]


def possible_for(asker: Asker, found: Discrepancy) -> list[str]:
    """What the asker may do to a discrepancy now: what its table knows and is theirs to do."""
    if found.consensus.state != ConsensusState.DRAFT:
        return []
    verbs = {verb.value for verb in _VERBS[asker.seat]}
    if found.proposal is not None and found.proposal.actor_id == asker.user.pk:
        verbs.discard(DiscrepancyAction.AGREE.value)
    return [verb for verb in possible_on(DiscrepancyState(found.state)) if verb in verbs]


def version_json(consensus: Consensus) -> dict[str, Any]:
    """A version of the case's consensus in a line."""
    published = consensus.published_at
    return {
        "id": str(consensus.pk),
        "version": consensus.version,
        "state": consensus.state,
        "published_at": published.isoformat() if published else None,
        "reason": consensus.reason,
    }


def shows_ai(case: Case) -> bool:
    """Whether the AI's shapes may be chosen, and seen at all, while settling."""
    return bool(settling_of(case.protocol.definition)["show_ai"])


def resolutions_of(case: Case) -> list[str]:
    """What may be proposed, in the protocol's order."""
    given = settling_of(case.protocol.definition)["resolutions"]
    return [name for name in given if name != Resolution.AI or shows_ai(case)]


def act_json(found: Discrepancy, asker: Asker) -> dict[str, Any]:
    """What an act led to: the discrepancy and where its consensus stands."""
    consensus = found.consensus
    comparison = consensus.comparison
    others = list(consensus.discrepancies.only("consensus", "state", "by_rule"))
    return {
        "discrepancy": discrepancy_json(found, asker, x_is_first=comparison.x_is_first),
        "consensus": {
            "state": consensus.state,
            "counts": counts_json(others, list(comparison.clusters.only("comparison", "outcome"))),
        },
    }


def moved_on(found: Discrepancy, asker: Asker, *, seen: int) -> dict[str, Any]:
    """What changed since a version of a discrepancy was seen."""
    x_is_first = found.consensus.comparison.x_is_first
    return {
        "discrepancy": discrepancy_json(found, asker, x_is_first=x_is_first),
        "since": steps_json(found, asker, after=seen),
    }


def _later(consensus: Consensus, asker: Asker) -> dict[str, Any]:
    """What there is from the label phase on, and the signatures that end it."""
    agreed = consensus.settled_at is not None
    return {
        "nodes": nodes_json(consensus, asker) if agreed else [],
        "evidence": evidence_json(consensus, asker) if agreed else [],
        "labels": labels_json(consensus),
        "signing": signing_json(consensus, asker),
    }
