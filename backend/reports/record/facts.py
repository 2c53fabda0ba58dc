"""All facts of a case from its events and blobs, as plain JSON: the written half of a report."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from backend.imaging.grid import Grid
from backend.imaging.nodes import measure_all
from backend.reports.record.blobs import Blob, Blobs
from backend.reports.record.case import case_of, images_of, model_of
from backend.reports.record.consensus import comparison_of, consensus_of, evidence_of
from backend.reports.record.events import Event, faults_of
from backend.reports.record.readings import readings_of


def facts_of(events: Sequence[Event], blob: Blob | Blobs) -> dict[str, Any]:
    """The facts of a case.

    Args:
        events: its whole chain, or the chain up to some event, in order.
        blob: SHA-256 → bytes; raises `LookupError` for a blob it does not have.

    Raises:
        NotDescribed: when no event says which images and protocol the case has.
        BlobFault: when a blob is missing or not what its name says.
    """
    blobs = blob if isinstance(blob, Blobs) else Blobs(blob)
    images = images_of(events, blobs)
    grid = Grid.from_json(images["grid"])

    @lru_cache
    def short_axes(mask: str) -> dict[str, float]:
        nodes = blobs.manifest(mask).labels
        measured = measure_all(blobs.labels(mask, grid), grid)
        return {nodes[label]: found.sad_mm for label, found in measured.items()}

    model = model_of(events)
    return {
        "case": case_of(events, blobs),
        "images": images,
        "model": model,
        "readings": readings_of(events, blobs, model, short_axes),
        "comparison": comparison_of(events),
        "consensus": consensus_of(events, blobs),
        "evidence": evidence_of(events),
        "timeline": timeline_of(events),
        "chain": chain_of(events),
    }


def timeline_of(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Every event, for the eye."""
    return [
        {
            "position": event.position,
            "at": event.stamp,
            "who": event.actor_name,
            "action": event.action,
            "subject": event.subject_id,
            "outcome": event.outcome,
            "reason": event.reason,
            "hash": event.hash,
        }
        for event in events
    ]


def chain_of(events: Sequence[Event]) -> dict[str, Any]:
    """The chain's verdict and its head."""
    faults = faults_of(events)
    head = events[-1] if events else None
    return {
        "chain": head.chain if head else "",
        "position": head.position if head else 0,
        "hash": head.hash if head else "",
        "holds": not faults,
        "faults": faults,
    }
