"""The case, its images, its protocol and the model's run, from the events that tell of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from backend.imaging.grid import Grid
from backend.reports.record.blobs import Blobs
from backend.reports.record.events import Event

OPENED, DESCRIBED, PRESEGMENTED = "case.opened", "case.described", "case.presegmented"
SUBMITTED = "reading.submitted"


class NotDescribed(ValueError):
    """The events do not say which images and protocol the case has. Make its report once, then
    export its record again."""

    def __init__(self) -> None:
        super().__init__(" ".join((self.__doc__ or "").split()))


def described(events: Sequence[Event]) -> dict[str, Any]:
    """What was recorded of the case when it was opened, and what was added since."""
    found: dict[str, Any] = {}
    for event in events:
        if event.action in (OPENED, DESCRIBED):
            found = {**event.facts, **event.facts.get("told", {}), **found}
    return found


def case_of(events: Sequence[Event], blobs: Blobs) -> dict[str, Any]:
    """The case and its protocol, whole."""
    said = described(events)
    opened = next((event for event in events if event.action == OPENED), None)
    if opened is None or "protocol_blob" not in said:
        raise NotDescribed
    return {
        "id": opened.subject_id,
        "label": said["label"],
        "subject": said["subject"],
        "project": said["project"],
        "study_date": said["study_date"],
        "opened": opened.stamp,
        "exclusions": said["exclusions"],
        "series_facts": said["series_facts"],
        "protocol": blobs.json_of(said["protocol_blob"], "The protocol"),
    }


def images_of(events: Sequence[Event], blobs: Blobs) -> dict[str, Any]:
    """The images: grid, and every slice by its SOP Instance UID and hashes.

    `frames` (the pixels of every slice, in HU, by hash) are named by `case.described` alone.
    """
    said = described(events)
    if "images" not in said:
        raise NotDescribed
    images = blobs.json_of(said["images"], "The list of images")
    grid = Grid.from_json(images["grid"])
    lines = "\n".join(f"{uid} {blob}" for uid, blob in images["instances"])
    frames = blobs.json_of(said["frames"], "The list of pixels") if "frames" in said else []
    return {
        "study_uid": images["study_uid"],
        "series_uid": images["series_uid"],
        "modality": said["series_facts"].get("modality", ""),
        "grid": images["grid"],
        "geometry_hash": grid.geometry_hash,
        "instances": images["instances"],
        "instances_hash": hashlib.sha256(lines.encode("ascii")).hexdigest(),
        "frames": frames,
    }


def model_of(events: Sequence[Event]) -> dict[str, Any] | None:
    """The model whose proposal the first signed reading began from, and the run that made it.

    Before a reading is signed, and where it had none, the model whose proposal came last.
    """
    found = [event for event in events if event.action == PRESEGMENTED]
    if not found:
        return None
    signed = [e.facts.get("ai_mask") for e in events if e.action == SUBMITTED and e.succeeded]
    began = next(filter(None, signed), None)
    made = next((event for event in found if event.facts["mask"] == began), found[-1])
    facts = made.facts
    name, _, version = str(facts["model"]).rpartition(" ")
    told: dict[str, Any] = facts.get("told", {})
    return {
        "name": told.get("name", name),
        "version": told.get("version", version),
        "sha256": facts["model_sha256"],
        "notice": told.get("notice", ""),
        "run": facts["run"],
        "attempt": told.get("attempt"),
        "worker": told.get("worker", ""),
        "queued": told.get("queued"),
        "finished": told.get("finished") or made.stamp,
        "timings": told.get("timings", {}),
        "parameters": told.get("parameters", {}),
        "scores": told.get("scores", {}),
        "mask": facts["mask"],
        "at": made.stamp,
    }
