"""What the database says of a signed reading, as plain JSON: the written half of a report.

Everything here is read up to one position of the case's audit chain, so that a report can be
gathered again later and come out the same. Times are UTC with milliseconds.
"""

from __future__ import annotations

import hashlib
from typing import Any

from backend.archive.models import Instance, Series
from backend.audit.models import Event
from backend.imaging.grid import Grid
from backend.jobs.models import Run
from backend.reading.models import Case, Mask, Node, NodeState, NodeVersion, Reading, Signature
from backend.reports.checks import signed_faults
from backend.reports.history import changes_of, node_histories, stamp


def gather(reading: Reading, *, position: int) -> dict[str, Any]:
    """All facts of one signed reading, up to `position` of its case's chain."""
    case = reading.case
    signature = Signature.objects.filter(reading=reading).order_by("at").first()
    return {
        "case": _case(case),
        "images": _images(case),
        "model": _model(reading),
        "reading": _reading(reading, signature),
        "masks": _masks(reading),
        "ai_nodes": _ai_nodes(reading),
        "nodes": _nodes(reading, _name(reading, signature)),
        "changes": changes_of(reading),
        "signature": _signature(signature),
        "timeline": _timeline(case, reading, position),
    }


def _case(case: Case) -> dict[str, Any]:
    protocol = case.protocol
    return {
        "id": str(case.pk),
        "label": case.label,
        "subject": case.subject.pseudonym,
        "project": case.project.code,
        "study_date": case.study_date.isoformat() if case.study_date else None,
        "opened": stamp(case.created),
        "protocol": {
            "code": protocol.code,
            "version": protocol.version,
            "name": protocol.name,
            "design": protocol.design,
        },
        "exclusions": list(case.exclusions),
    }


def _images(case: Case) -> dict[str, Any]:
    grid = case.grid
    series = Series.objects.filter(pk=case.series_id).first()
    blobs = dict(
        Instance.objects.filter(series_id=case.series_id, sop_uid__in=grid.sop_uids).values_list(
            "sop_uid", "blob"
        )
    )
    lines = "\n".join(f"{uid} {blobs.get(uid, '')}" for uid in grid.sop_uids)
    return {
        "study_uid": case.study_uid,
        "series_uid": case.series_uid,
        "modality": series.modality if series else None,
        "slices": grid.shape[0],
        "rows": grid.shape[1],
        "columns": grid.shape[2],
        "spacing_mm": list(grid.spacing_mm),
        "plane": grid.plane,
        "extent_mm": _extent(grid),
        "geometry_hash": case.geometry_hash,
        "instances_hash": hashlib.sha256(lines.encode("ascii")).hexdigest(),
    }


def _extent(grid: Grid) -> dict[str, list[float]]:
    """From where to where the images reach along patient x and z, in mm."""
    far = [size - 1 for size in grid.shape]
    corners = [
        grid.to_patient(z, y, x) for z in (0, far[0]) for y in (0, far[1]) for x in (0, far[2])
    ]
    xs, zs = [corner[0] for corner in corners], [corner[2] for corner in corners]
    return {"x": [min(xs), max(xs)], "z": [min(zs), max(zs)]}


def _model(reading: Reading) -> dict[str, Any] | None:
    run = _run(reading.ai_mask)
    if run is None:
        return None
    model = run.model
    return {
        "name": model.name,
        "version": model.version,
        "sha256": model.sha256,
        "notice": model.notice,
        "run": str(run.pk),
        "attempt": run.attempt,
        "worker": run.leased_by,
        "queued": stamp(run.created),
        "finished": stamp(run.finished),
        "timings": {str(k): v for k, v in sorted(run.timings.items())},
        "parameters": run.parameters,
        "mask_blob": run.mask_blob,
    }


def _run(mask: Mask | None) -> Run | None:
    if mask is None or mask.run_id is None:
        return None
    return Run.objects.select_related("model").filter(pk=mask.run_id).first()


def _name(reading: Reading, signature: Signature | None) -> str:
    """The reader's name as it was signed: people change theirs, a report must not."""
    return signature.printed_name if signature else reading.reader.shown_name


def _reading(reading: Reading, signature: Signature | None) -> dict[str, Any]:
    return {
        "id": str(reading.pk),
        "slot": reading.slot,
        "slot_name": reading.get_slot_display(),
        "round": reading.round,
        "reader": _name(reading, signature),
        "arm": reading.get_arm_display(),
        "assigned": stamp(reading.assigned_at),
        "opened": stamp(reading.opened_at),
        "submitted": stamp(reading.submitted_at),
        "active_seconds": round(reading.active_seconds, 1),
        "changes": reading.changes_count,
    }


def _masks(reading: Reading) -> dict[str, str | None]:
    return {
        "ai": reading.ai_mask.hash if reading.ai_mask else None,
        "base": reading.base.hash,
        "head": reading.head.hash,
        "effective": reading.effective.hash if reading.effective else None,
    }


def _ai_nodes(reading: Reading) -> list[dict[str, Any]]:
    if reading.ai_mask is None:
        return []
    offered = reading.ai_mask.manifest.labels
    scores = dict(Node.objects.filter(pk__in=offered.values()).values_list("pk", "score"))
    by_name = {str(key): score for key, score in scores.items()}
    return [
        {"uuid": uuid, "label": label, "score": by_name.get(uuid)}
        for label, uuid in offered.items()
    ]


def _nodes(reading: Reading, reader: str) -> list[dict[str, Any]]:
    states = NodeState.objects.filter(reading=reading).select_related("node").order_by("label")
    versions = (
        NodeVersion.objects.filter(node__states__reading=reading)
        .filter(reading=reading)
        .select_related("change")
    )
    offered = (
        NodeVersion.objects.filter(mask=reading.ai_mask, reading=None)
        if reading.ai_mask
        else NodeVersion.objects.none()
    )
    histories = node_histories(reader, versions, offered)
    return [
        {
            "uuid": str(state.node_id),
            "label": state.label,
            "origin": state.node.origin,
            "decision": state.decision,
            "reason": state.reason,
            "reason_name": state.get_reason_display() if state.reason else "",
            "reason_group": state.reason_group,
            "impression": state.impression,
            "impression_name": state.get_impression_display() if state.impression else "",
            "confidence": state.confidence,
            "doubt": state.doubt,
            "side": state.side,
            "level": state.level,
            "touched": state.touched,
            "stored_sad_mm": state.measures["sad_mm"] if state.measures else None,
            "history": histories.get(str(state.node_id), []),
        }
        for state in states
    ]


def _signature(signature: Signature | None) -> dict[str, Any] | None:
    if signature is None:
        return None
    return {
        "name": signature.printed_name,
        "at": stamp(signature.at),
        "meaning": signature.meaning,
        "record_hash": signature.record_hash,
        "faults": signed_faults(signature),
    }


def _timeline(case: Case, reading: Reading, position: int) -> list[dict[str, Any]]:
    """The case's events, without those of other readings: their positions are missing here."""
    events = Event.objects.filter(chain=case.chain, position__lte=position).order_by("position")
    return [
        {
            "position": event.position,
            "at": stamp(event.at),
            "who": event.actor_name,
            "action": event.action,
            "outcome": event.outcome,
            "reason": event.reason,
            "hash": bytes(event.hash).hex(),
        }
        for event in events
        if _concerns(event, reading)
    ]


def _concerns(event: Event, reading: Reading) -> bool:
    name = str(reading.pk)
    if event.subject_type == "reading":
        return event.subject_id == name
    return str(event.facts.get("reading", name)) == name
