"""The reading room's things as the API shows them (and the pages, which show the same)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from backend.accounts.models import User
from backend.audit.models import NewsHead
from backend.imaging.nodes import near_threshold_mm
from backend.jobs.models import UNDERWAY_STATES, Run
from backend.jobs.selectors import runs_managed_by
from backend.reading import registry, selectors
from backend.reading.checks import Check, NodeFacts, can_submit, checks_of
from backend.reading.maskstore import manifest_json
from backend.reading.models import Case, NodeState, NotAssessable, Reading, Signature
from backend.reading.next_case import in_order
from backend.reading.vocabulary import AiState, Arm, Origin
from backend.reading.workflow import ReadingState


def node_json(state: NodeState, *, scores: bool = False) -> dict[str, Any]:
    """One node of a reading, as it stands; with the model's score where the protocol shows it."""
    impression = None
    if state.impression:
        impression = {
            "value": state.impression,
            "confidence": state.confidence,
            "reason": state.impression_reason or None,
        }
    return {
        "uuid": str(state.node_id),
        "label": state.label,
        "number": state.label,
        "origin": state.node.origin,
        "side": state.side or None,
        "side_said": state.side_said,
        "level": state.level or None,
        "decision": state.decision,
        "reason": state.reason or None,
        "impression": impression,
        "doubt": state.doubt,
        "empty": state.measures is None,
        "touched": state.touched,
        "measures": measures_json(state.measures),
        "manual": state.manual,
        "parents": state.parents,
        "merged_into": str(state.merged_into) if state.merged_into else None,
        **({"score": state.node.score} if scores else {}),
    }


def region_json(region: NotAssessable) -> dict[str, Any]:
    """A not-assessable region as the viewer draws it; one taken back has no slices."""
    return {"region": str(region.region), "reason": region.reason, "slices": region.slices}


def shows_scores(reading: Reading) -> bool:
    """Whether the reader of this reading may see what the model thought of its own nodes."""
    return reading.arm == Arm.AI_FIRST and bool(
        reading.case.protocol.definition.get("show_scores", False)
    )


def measures_json(measures: dict[str, Any] | None) -> dict[str, Any] | None:
    """The measures of a node as the viewer draws them; indices are (slice, row, column)."""
    if measures is None:
        return None
    at = measures["slice_index"]
    return {
        "sad_mm": measures["sad_mm"],
        "lad_mm": measures["lad_mm"],
        "longest_any_plane_mm": measures["longest_any_plane_mm"],
        "volume_mm3": measures["volume_mm3"],
        "slice_index": at,
        "endpoints_vox": {
            "long": [[at, *point] for point in measures["lad_points"]],
            "short": [[at, *point] for point in measures["sad_points"]],
        },
        "centroid_vox": measures["centroid"],
        "box_vox": measures["bounding_box"],
        "near_mm": near_threshold_mm(measures["sad_mm"]),
        "sad_text": measures["sad_shown"],
        "lad_text": measures["lad_shown"],
        "measurable": measures["measurable"],
        "flags": measures["flags"],
    }


def checks_for(reading: Reading, states: Iterable[NodeState]) -> list[Check]:
    """The completeness checks of a reading."""
    definition = reading.case.protocol.definition
    facts = [
        NodeFacts(
            node=state.node_id,
            label=state.label,
            from_ai=state.node.origin == Origin.AI,
            decision=state.decision,
            reason=state.reason,
            empty=state.measures is None,
            measurable=bool(state.measures and state.measures["measurable"]),
        )
        for state in states
    ]
    return checks_of(
        facts,
        reading.seen,
        reading.case.grid.shape,
        definition["required_planes"],
        definition["plane_share"],
    )


def case_json(case: Case) -> dict[str, Any]:
    """A case as a row of a worklist names it."""
    return {
        "id": str(case.pk),
        "label": case.label,
        "protocol": case.protocol.code,
        "study_date": case.study_date.isoformat() if case.study_date else None,
        "excluded": case.exclusions,
    }


def ai_json(reading: Reading, run: Run | None) -> dict[str, Any]:
    """How far the AI is, as this reading's arm may know it."""
    case = reading.case
    if reading.arm != Arm.AI_FIRST:
        return {"state": "none", "progress": 0.0, "stage": "", "message": "", "model": None}
    working = run is not None and case.ai_state in (AiState.QUEUED, AiState.RUNNING)
    done = case.ai_state == AiState.READY
    return {
        "state": case.ai_state,
        "progress": run.progress if working and run else float(done),
        "stage": run.stage if working and run else "",
        "message": case.ai_message,
        "model": model_json(run) if run else None,
    }


def cancel_url(reading: Reading, run: Run | None, user: User) -> str | None:
    """Where a run that is under way is cancelled, for who may; None else."""
    if run is None or reading.arm != Arm.AI_FIRST or run.state not in UNDERWAY_STATES:
        return None
    managed = runs_managed_by(user).filter(pk=run.pk).exists()
    return f"/api/runs/{run.pk}/cancel" if managed else None


def model_json(run: Run) -> dict[str, Any]:
    """The model of a run: name, version and hash stand on every result."""
    return {**run.model.named, "notice": run.model.notice}


def runs_of(cases: Iterable[Case]) -> dict[UUID, Run]:
    """The pre-segmentation runs of cases, by run id."""
    ids = [case.ai_run_id for case in cases if case.ai_run_id]
    return {run.pk: run for run in Run.objects.select_related("model").filter(pk__in=ids)}


def worklist_rows(
    user: User, readings: Sequence[Reading], settling: Mapping[UUID, dict[str, Any]]
) -> list[dict[str, Any]]:
    """The rows of a worklist, the same for the API and the page.

    `settling` says, by reading, how far settling is (`consensus_lists.settle_rows`). Where a
    protocol has the model choose the next case, unread ones stand in that order.
    """
    runs = runs_of(reading.case for reading in readings)
    ordered = in_order(readings, runs)
    reports: dict[UUID, str] = {}
    for links in registry.report_links:
        reports |= links(user, readings)
    rows = []
    for reading in ordered.readings:
        states: list[NodeState] = reading.listed_states  # type: ignore[attr-defined]
        nodes, decided = selectors.counts(states)
        case = reading.case
        started = bool(states) or reading.head_id != reading.base_id or reading.ai_mask_id
        rows.append(
            {
                "reading": str(reading.pk),
                "slot": reading.slot,
                "state": reading.state,
                "case": case_json(case),
                "ai": ai_json(reading, runs.get(case.ai_run_id) if case.ai_run_id else None),
                "nodes": nodes if started else None,
                "decided": decided,
                "url": viewer_url(reading),
                "report": reports.get(reading.pk),
                "settle": settling.get(reading.pk),
                "why": ordered.why.get(reading.pk),
            }
        )
    return rows


def viewer_url(reading: Reading) -> str:
    """Where a reading is read."""
    query = urlencode({"StudyInstanceUIDs": reading.case.study_uid, "reading": str(reading.pk)})
    return f"/viewer/lymph?{query}"


def reading_json(reading: Reading, user: User, client: str = "") -> dict[str, Any]:
    """A reading, whole, as the viewer opens it; `client` asks whether the lease is its own."""
    case = reading.case
    audience = f"reading:{reading.pk}"
    # Read before all else: news of what is read later is told once more rather than never.
    seq = NewsHead.objects.filter(audience=audience).values_list("seq", flat=True).first()
    states = selectors.node_states(reading)
    checks = checks_for(reading, states)
    manifest = manifest_json(reading.head.manifest)
    grid = case.grid
    run = runs_of([case]).get(case.ai_run_id) if case.ai_run_id else None
    mine = reading.reader_id == user.pk
    return {
        "id": str(reading.pk),
        "slot": reading.slot,
        "state": reading.state,
        "head": reading.head.hash,
        "base": reading.base.hash,
        "ai_mask": reading.ai_mask.hash if reading.ai_mask else None,
        "effective": reading.effective.hash if reading.effective else None,
        "case": {
            "id": str(case.pk),
            "label": case.label,
            "protocol": {
                "code": case.protocol.code,
                "name": case.protocol.name,
                "required_planes": case.protocol.required_planes,
                "reject_reasons": case.protocol.definition["reject_reasons"],
            },
            "excluded": case.exclusions,
        },
        "study_uid": case.study_uid,
        "series_uid": case.series_uid,
        "dicomweb": f"/dicom-web/readings/{reading.pk}",
        "grid": {
            "shape": grid.shape,
            "spacing_mm": grid.spacing_mm,
            "sop_uids": grid.sop_uids,
            "geometry": case.geometry_hash,
        },
        "ai": ai_json(reading, run) | {"cancel": cancel_url(reading, run, user)},
        "labels": manifest["labels"],
        "manifest": manifest,
        "nodes": [node_json(state, scores=shows_scores(reading)) for state in states],
        "regions": [region_json(region) for region in reading.not_assessable.exclude(voxels=0)],
        "checks": [check.to_json() for check in checks],
        "can_submit": can_submit(checks) and reading.state == ReadingState.OPEN and mine,
        "lease": {
            "mine": mine and bool(client) and str(reading.lease_client) == client,
            "holder": reading.reader.shown_name if reading.lease else None,
            "id": str(reading.lease) if reading.lease and mine else None,
        },
        "seen": reading.seen,
        "resume": reading.resume,
        "news_seq": seq or 0,
        "signature": signature_json(reading.signatures.first()),
    }


def signature_json(signature: Signature | None) -> dict[str, Any] | None:
    """A signature as it is printed."""
    if signature is None:
        return None
    return {
        "name": signature.printed_name,
        "at": signature.at.isoformat(),
        "meaning": signature.meaning,
        "hash": signature.record_hash,
    }
