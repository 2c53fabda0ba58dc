"""What becomes of a pre-segmentation: its progress is told, its mask is offered, never imposed."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from backend.audit.services import announce, record
from backend.imaging.masks import Manifest
from backend.imaging.nodes import NodeMeasures, derived_json, measure_node
from backend.imaging.regions import Box
from backend.jobs.models import Run
from backend.jobs.protocol import RunKind
from backend.reading.laid_out import LaidOut, take_laid_out
from backend.reading.maskstore import crops
from backend.reading.models import Case, Mask, Node, NodeVersion, Reading
from backend.reading.services.announcing import case_changed, to_reading, worklist_changed
from backend.reading.services.assigning import offer
from backend.reading.services.describing import run_facts
from backend.reading.services.guards import lock_case, lock_reading
from backend.reading.services.masks import save_mask
from backend.reading.vocabulary import AiState, Arm, AuthorKind, Decision, MaskKind, Origin
from backend.reading.workflow import CURRENT

# What a reader may learn of a run while it works: never a comparison with anyone.
METRICS_FOR_READERS = frozenset({"nodes", "volume_ml", "largest_sad_mm", "seconds", "device"})
_STATES = {
    "queued": AiState.QUEUED,
    "leased": AiState.RUNNING,
    "failed": AiState.FAILED,
    "dead": AiState.FAILED,
    "cancelled": AiState.FAILED,
}


def on_run_changed(run: Run, what: str, payload: dict[str, Any]) -> None:
    """Hear of a run (called inside the transaction that changed it)."""
    if run.kind != RunKind.PRESEGMENT or run.subject_type != Case._meta.label_lower:
        return
    if what in ("progress", "metrics"):
        _tell(run, what, payload)
        return
    case = lock_case(run.subject_id)
    if case.ai_run_id not in (None, run.pk):
        return
    if what == "succeeded":
        attach_presegmentation(run=run)
    elif what in _STATES:
        case.ai_state, case.ai_run_id = _STATES[what], run.pk
        case.ai_message = str(payload.get("message", ""))
        if case.ai_state == AiState.FAILED and case.masks.filter(kind=MaskKind.AI).exists():
            # What an earlier run proposed still stands.
            case.ai_state = AiState.READY
            case.ai_message = f"The newer run gave nothing: {case.ai_message}"
        case.save(update_fields=["ai_state", "ai_message", "ai_run_id"])
        tell_state(case)


def tell_state(case: Case) -> None:
    """Tell how the AI stands with a case: its readings that may know, worklists, coordinators."""
    readings = who_may_know(case.pk)
    told = {"state": case.ai_state, "message": case.ai_message}
    news = [*worklist_changed(readings), case_changed(case)]
    news += [to_reading(reading, "run.state", told) for reading in readings]
    for item in news:
        announce(item.audience, item.type, item.payload)


def who_may_know(case: UUID) -> list[Reading]:
    """The current readings whose arm lets their reader know of the AI."""
    states = [state.value for state in CURRENT]
    return list(Reading.objects.filter(case=case, arm=Arm.AI_FIRST, state__in=states))


def _tell(run: Run, what: str, payload: dict[str, Any]) -> None:
    for reading in who_may_know(run.subject_id):
        if what == "metrics":
            allowed = {k: v for k, v in payload.items() if k in METRICS_FOR_READERS}
            announce(f"reading:{reading.pk}", "run.metrics", allowed)
            continue
        told = {"stage": payload["stage"], "progress": payload["progress"]}
        announce(f"reading:{reading.pk}", "run.progress", told)
        announce(f"user:{reading.reader_id}", "run.progress", {"reading": str(reading.pk), **told})


@transaction.atomic
def attach_presegmentation(*, run: Run) -> Mask:
    """Make a run's packed mask a mask of its case, its nodes measured, and offer it to readers."""
    case = lock_case(run.subject_id)
    laid = take_laid_out(run.mask_blob)
    found = _present(laid)
    blobs = dict(laid.slices)
    manifest = Manifest(case.geometry_hash, blobs, {n: node for n, (node, _) in found.items()})
    mask = save_mask(
        case=case,
        kind=MaskKind.AI,
        author_kind=AuthorKind.MODEL,
        run_id=run.pk,
        manifest=manifest,
        blobs=blobs,
    )
    scores = _add_nodes(mask, run, found)
    case.ai_state, case.ai_message, case.ai_run_id = AiState.READY, "", run.pk
    case.save(update_fields=["ai_state", "ai_message", "ai_run_id"])
    readings = [lock_reading(reading.pk) for reading in who_may_know(case.pk)]
    started = [reading for reading in readings if offer(reading, mask)]
    offered = [reading for reading in readings if reading.proposed_id == mask.pk]
    ready = {"mask": mask.hash, "nodes": len(found)}
    news = [*worklist_changed(readings), case_changed(case)]
    news += [
        to_reading(reading, "mask_ready", {**ready, "offered": reading in offered})
        for reading in readings
    ]
    record(
        "case.presegmented",
        mask,
        actor=None,
        chain=case.chain,
        news=news,
        run=str(run.pk),
        model=str(run.model),
        model_sha256=run.model.sha256,
        mask=mask.hash,
        nodes=len(found),
        readings_started_from_it=[str(reading.pk) for reading in started],
        readings_offered_it=[str(reading.pk) for reading in offered],
        told=run_facts(run, scores),
    )
    return mask


def _present(laid: LaidOut) -> dict[int, tuple[str, Box]]:
    """Label number → (node UUID, its box), for the nodes that have a voxel.

    A UUID that some node already bears (of another run, say) is replaced by a fresh one.
    """
    wanted = {number: node for number, node in laid.labels.items() if number in laid.boxes}
    known = Node.objects.filter(pk__in=wanted.values()).values_list("pk", flat=True)
    taken = {str(pk) for pk in known}
    return {
        number: (str(uuid4()) if node in taken else node, laid.boxes[number])
        for number, node in wanted.items()
    }


def _add_nodes(mask: Mask, run: Run, found: dict[int, tuple[str, Box]]) -> dict[str, float]:
    """Make the mask's nodes and their first versions; returns the scores the model gave."""
    reported = {entry["label"]: entry for entry in (run.result or {}).get("nodes", [])}
    nodes, versions = [], []
    for number, (uuid, box) in sorted(found.items()):
        entry = reported.get(number, {})
        score = entry.get("score", entry.get("probability"))
        node = Node(
            id=UUID(uuid),
            case=mask.case,
            first_mask=mask,
            origin=Origin.AI,
            run_id=run.pk,
            box=[part.start for part in box] + [part.stop for part in box],
            score=score if isinstance(score, int | float) else None,
        )
        nodes.append(node)
        measures = _measures(entry.get("measures"), mask, number, box)
        versions.append(
            NodeVersion(
                node=node,
                mask=mask,
                label=number,
                measures=measures,
                decision=Decision.UNDECIDED,
            )
        )
    Node.objects.bulk_create(nodes)
    NodeVersion.objects.bulk_create(versions)
    return {str(node.pk): node.score for node in nodes if node.score is not None}


def _measures(reported: Any, mask: Mask, number: int, box: Box) -> dict[str, Any]:
    """The worker's measures where they are whole and of this box, else our own, defined alike."""
    whole = isinstance(reported, dict) and set(NodeMeasures.__dataclass_fields__) <= set(reported)
    if whole and reported["bounding_box"] == [p.start for p in box] + [p.stop for p in box]:
        return {**reported, **derived_json(reported["sad_mm"], reported["lad_mm"])}
    grid = mask.case.grid
    here = crops(mask.manifest, grid.shape, {number: box})[number]
    offset = (box[0].start, box[1].start, box[2].start)
    return measure_node(here == number, grid, offset=offset).to_json()
