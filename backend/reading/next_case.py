"""The order of a reader's unread cases, where their protocol has the model choose the next one.

A reading is ordered only if its reader is shown the AI's proposal from the start, has it, and has
not begun. What goes in is the case's own pre-segmentation and what is published: nothing of the
other readers of the case, who may be at work on it, and nothing of unpublished cases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from backend.jobs.models import Run
from backend.reading.models import Case, Consensus, NodeState, Reading
from backend.reading.next_order import Order, Ranked, in_places, rank, rejected_shares
from backend.reading.protocols import order_of
from backend.reading.vocabulary import Arm, Decision
from backend.reading.workflow import ConsensusState, ReadingState

LEARNT_FROM = 100
"""The newest published cases from which disagreement is learnt."""


@dataclass(frozen=True)
class Ordered:
    """Readings as a reader meets them; why one has its place, where the protocol chose it."""

    readings: list[Reading]
    why: dict[UUID, str]


def in_order(readings: Sequence[Reading], runs: Mapping[UUID, Run]) -> Ordered:
    """The readings of one person's list, those in the order that their protocols choose.

    Args:
        readings: newest first, with their cases and protocols.
        runs: the pre-segmentations of their cases, by id.
    """
    groups: dict[tuple[str, Order, UUID], list[Reading]] = {}
    for reading in readings:
        order = order_of(reading.case.protocol.definition)
        run = runs.get(reading.case.ai_run_id) if reading.case.ai_run_id else None
        if order is not Order.NEWEST and run is not None and _may_be_ordered(reading):
            key = (reading.case.protocol.code, order, run.model_id)
            groups.setdefault(key, []).append(reading)
    keys = [str(reading.pk) for reading in readings]
    why: dict[UUID, str] = {}
    for (code, order, model), some in groups.items():
        scores = {str(one.pk): scores_of(runs[_run_of(one)]) for one in some}
        shares = _learnt(code, model) if order is Order.DISAGREEMENT else None
        ranked: dict[str, Ranked] = rank(order, scores, shares)
        keys = in_places(keys, ranked)
        why |= {UUID(key): place.why for key, place in ranked.items()}
    known = {str(reading.pk): reading for reading in readings}
    return Ordered([known[key] for key in keys], why)


def scores_of(run: Run) -> list[float]:
    """The model's scores of the nodes a run offered."""
    nodes = (run.result or {}).get("nodes", [])
    return [float(node["score"]) for node in nodes if node.get("score") is not None]


def _may_be_ordered(reading: Reading) -> bool:
    return (
        reading.state == ReadingState.ASSIGNED.value
        and reading.arm == Arm.AI_FIRST.value
        and reading.ai_mask_id is not None
    )


def _run_of(reading: Reading) -> UUID:
    run = reading.case.ai_run_id
    if run is None:
        raise ValueError("A reading that is ordered has the run of its case.")
    return run


def _learnt(protocol: str, model: UUID) -> list[float] | None:
    """How often readers rejected a model's nodes in published cases, by score; None of too few."""
    published = Consensus.objects.filter(
        state=ConsensusState.PUBLISHED.value, case__protocol__code=protocol
    ).order_by("-published_at")
    cases = Case.objects.filter(pk__in=list(published.values_list("case", flat=True)[:LEARNT_FROM]))
    runs = Run.objects.filter(pk__in=cases.values("ai_run_id"), model=model)
    scores = {
        str(node["uuid"]): float(node["score"])
        for run in runs
        for node in (run.result or {}).get("nodes", [])
        if node.get("score") is not None
    }
    decided = NodeState.objects.filter(
        reading__case__in=cases,
        reading__state=ReadingState.COMPARED.value,
        reading__arm=Arm.AI_FIRST.value,
        node__in=scores,
    ).exclude(decision=Decision.UNDECIDED.value)
    rejected = Decision.REJECTED.value
    return rejected_shares(
        [
            (scores[str(node)], decision == rejected)
            for node, decision in decided.values_list("node", "decision")
        ]
    )
