"""Gathering a case report: manifest, facts, masks and images in; document and page out.

Everything follows from the manifest: it names the masks and images by hash, the chain's head, the
facts, the code's version and the time that is printed. Making a report writes a manifest and
builds from it; rebuilding builds from the manifest alone and compares.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np

from backend.accounts.models import User
from backend.archive.models import Series
from backend.archive.services import load_volume
from backend.audit import history
from backend.errors import WrongState
from backend.imaging.grid import require_same_grid
from backend.imaging.masks import Manifest
from backend.reading import maskstore
from backend.reading.models import Mask, Reading
from backend.reports import documents, facts, render
from backend.reports.evaluation import Labels, evaluate_reading
from backend.reports.history import stamp
from backend.reports.illustrations import pictures_of
from backend.version import VERSION


@dataclass(frozen=True)
class Built:
    """One built report: what went in, and the bytes that came out."""

    facts: dict[str, Any]
    document: bytes
    html: bytes


def new_manifest(
    reading: Reading, *, report: UUID, created: datetime, made_by: User | None
) -> dict[str, Any]:
    """What a report of this reading, made now, is made of."""
    head = history.head_of(reading.case.chain)
    if head is None:
        raise WrongState(
            "NO_EVENTS", "This case has no audit chain.", "Have the administrator verify the log."
        )
    gathered = facts.gather(reading, position=head["position"])
    return {
        "id": str(report),
        "reading": str(reading.pk),
        "case": str(reading.case_id),
        "created": stamp(created),
        "made_by": made_by.shown_name if made_by else "the system",
        "version": VERSION,
        "chain": head,
        "verdict": _verdict(reading, head),
        "inputs": _inputs(reading, gathered),
    }


def _verdict(reading: Reading, head: dict[str, Any]) -> dict[str, Any]:
    """The chain's verification up to a head: whether it holds, and each fault in a sentence."""
    verdict = history.verify(chain=reading.case.chain)
    faults = [
        fault.sentence
        for fault in verdict.faults
        if fault.kind != "signed_record" and fault.position <= head["position"]
    ]  # What is stored against what was signed stands in the facts of the signature.
    return {"holds": not faults, "faults": faults}


def _inputs(reading: Reading, gathered: dict[str, Any]) -> dict[str, str | None]:
    masks, images = gathered["masks"], gathered["images"]
    return {
        "ai_mask": masks["ai"],
        "base_mask": masks["base"],
        "head_mask": masks["head"],
        "effective_mask": masks["effective"],
        "geometry": images["geometry_hash"],
        "instances": images["instances_hash"],
        "facts": facts_hash(gathered),
    }


def facts_hash(gathered: dict[str, Any]) -> str:
    """SHA-256 of the facts' canonical bytes."""
    return hashlib.sha256(render.canonical_json(gathered)).hexdigest()


def build(reading: Reading, manifest: dict[str, Any]) -> Built:
    """The report the manifest describes, from the database, the masks and the images now."""
    gathered = facts.gather(reading, position=manifest["chain"]["position"])
    now = manifest | {
        "verdict": _verdict(reading, manifest["chain"]),
        "inputs": _inputs(reading, gathered),
    }
    grid = reading.case.grid
    signed = _labels(reading.effective, reading)
    ai = _labels(reading.ai_mask, reading)
    evaluation = evaluate_reading(ai, signed, grid)
    document = documents.case_document(manifest=now, facts=gathered, evaluation=evaluation)
    series = Series.objects.get(pk=reading.case.series_id)
    image_grid, image = load_volume(series)
    require_same_grid(image_grid, grid)
    pictures = pictures_of(document, image, grid, ai=ai, signed=signed, evaluation=evaluation)
    document["pictures"] = {
        node: hashlib.sha256(png).hexdigest() for node, png in sorted(pictures.items())
    }
    return Built(gathered, render.canonical_json(document), render.html_of(document, pictures))


def _labels(mask: Mask | None, reading: Reading) -> Labels:
    """A stored mask's label map, its slices hashed again; empty where there is no mask."""
    if mask is None:
        return np.zeros(reading.case.grid.shape, np.uint16)
    volume = maskstore.volume(mask)
    again = Manifest.of_volume(volume, mask.manifest.geometry_hash, mask.manifest.labels)
    if again.slices != mask.manifest.slices or mask.manifest.hash != mask.hash:
        raise WrongState(
            "MASK_DAMAGED",
            f"The stored mask {mask.hash[:12]} is not what its hash says.",
            "Restore the content store from its backup, then try again.",
        )
    return volume
