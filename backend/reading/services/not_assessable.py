"""Parts of the images that a reader could not read: marked, changed, and taken back."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from backend.imaging.masks import canonical_json
from backend.reading.models import NotAssessable
from backend.reading.services.bodies import Region

if TYPE_CHECKING:
    from backend.reading.services.effects import Desk, Effect


def mark(desk: Desk, body: Region) -> Effect:
    """Set what a region is; one without slices is taken back."""
    row = desk.regions.get(body.region)
    if row is None:
        row = NotAssessable(reading=desk.reading, region=body.region)
        desk.regions[body.region] = row
    before = _facts(row)
    row.reason, row.slices = body.reason, [dict(part) for part in body.slices]
    row.voxels = sum(length for part in body.patch.slices for _, length, _ in part.runs)
    desk.altered_regions.add(body.region)
    facts = {"region": body.region, "nodes": [], "before": before, "after": _facts(row)}
    effect = desk.note(facts)
    effect.regions.add(body.region)
    return effect


def digest_of(reason: str, slices: Sequence[Mapping[str, Any]]) -> str:
    """What a region is, in one word: an undo is held to it. "" for one that is taken back."""
    if not slices:
        return ""
    content = {"reason": reason, "slices": [dict(part) for part in slices]}
    return hashlib.sha256(canonical_json(content)).hexdigest()


def _facts(row: NotAssessable) -> dict[str, Any]:
    return {
        "reason": row.reason,
        "slices": len(row.slices),
        "voxels": row.voxels,
        "content": digest_of(row.reason, row.slices),
    }
