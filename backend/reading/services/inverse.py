"""Whether what an undo carries is the inverse of what it takes back, and of nothing else.

An undo of an undo is held to the same rule: what it takes back is the undo's own effect.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from backend.errors import BadInput
from backend.imaging.grid import Grid
from backend.imaging.masks import Labels
from backend.reading.maskstore import plane_of
from backend.reading.models import Change
from backend.reading.services.bodies import (
    Body,
    Decide,
    Doubt,
    Impress,
    Locate,
    Merge,
    Region,
    Resize,
    Split,
    Voxels,
)
from backend.reading.services.not_assessable import digest_of
from backend.reading.services.sizes import manual_of
from backend.reading.vocabulary import Decision

KEPT = frozenset({Decision.ACCEPTED.value, Decision.RESHAPED.value, Decision.ADDED.value})


class NotTheInverse(BadInput):
    """An undo carries something other than the inverse of what it takes back."""

    def __init__(self) -> None:
        super().__init__(
            "NOT_THE_INVERSE",
            "What this undo carries is not the inverse of the change it takes back.",
            "Reload the reading, and take the change back by hand or make a new one.",
        )


def require_inverse(body: Body, undone: Change, grid: Grid) -> None:
    """Let pass only a body that says what stood before the change; voxels are judged later."""
    if _kind_of(body) != _kind(undone):
        raise NotTheInverse
    if isinstance(body, Voxels):
        return
    if isinstance(body, Split | Merge):
        raise NotTheInverse
    if isinstance(body, Region):
        content = digest_of(body.reason, body.slices)
        if (body.region, content) != (
            undone.facts.get("region"),
            undone.facts["before"]["content"],
        ):
            raise NotTheInverse
        return
    if body.node != undone.facts.get("node"):
        raise NotTheInverse
    before = undone.facts.get("before")
    if isinstance(body, Decide):
        held = _is_decision(body, undone.states[body.node]["before"])
    elif isinstance(body, Impress):
        known = (body.value or None, body.confidence, body.reason)
        reasons = ("", reason_before(undone, body.node))
        held = isinstance(before, Mapping) and known in {
            (before["value"], before["confidence"], reason) for reason in reasons
        }
    elif isinstance(body, Locate):
        held = isinstance(before, Mapping) and (body.side, body.level) == (
            before["side"],
            before["level"],
        )
    elif isinstance(body, Resize):
        held = isinstance(before, Mapping) and manual_of(body, grid) == before["manual"]
    else:
        held = body.value == before
    if not held:
        raise NotTheInverse


def require_voxels_restored(
    undone: Change, grid: Grid, steps: Mapping[int, tuple[Labels, Labels]]
) -> None:
    """Let pass only a step that brings back the voxels the undone change altered, and no others.

    A voxel that a later change altered again may also stay as that one left it.

    Args:
        undone: the change that is taken back.
        grid: the reading's grid.
        steps: slice index → labels before and after the step, for `slices_altered` and every
            slice the step names.
    """
    was, made = undone.base.manifest, undone.head.manifest
    for index, (now, then) in steps.items():
        old, new = plane_of(was, grid.shape, index), plane_of(made, grid.shape, index)
        untouched = then == now
        restored = (old != new) & (then == old)
        overlaid = (old != new) & (now != new) & untouched
        outside = (old == new) & untouched
        if not np.all(restored | overlaid | outside):
            raise NotTheInverse


def slices_altered(undone: Change) -> set[int]:
    """The slices whose voxels a change altered."""
    was, made = undone.base.manifest.slices, undone.head.manifest.slices
    return {index for index in {*was, *made} if was.get(index) != made.get(index)}


def reason_before(undone: Change, node: str) -> str:
    """The reason of a node's impression before a change of it; undos may leave it out."""
    return str(undone.states[node].get("reason_before", ""))


def same_decision(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether two decisions are one; the words for a kept node are, as its voxels tell which."""
    if one["decision"] in KEPT:
        return other["decision"] in KEPT
    return (one["decision"], one["reason"]) == (other["decision"], other["reason"])


def _kind(change: Change) -> str:
    """What kind of change it was in effect: that of the inverse, for an undo.

    Splits and merges are taken back, and made again, by voxels.
    """
    kind = str(change.body["inverse"]["kind"] if change.kind == "undo" else change.kind)
    return "voxels" if kind in ("split", "merge") else kind


def _kind_of(body: Body) -> str:
    kinds = {
        Voxels: "voxels",
        Decide: "decision",
        Impress: "impression",
        Doubt: "doubt",
        Locate: "level",
        Region: "region",
        Resize: "size",
    }
    return kinds.get(type(body), "")


def _is_decision(body: Decide, before: Mapping[str, str]) -> bool:
    """Whether a decision is the one that stood before.

    "Reshaped" passes here: the browser shows it until the server has answered a stroke, nobody
    says it outright, and `Desk.undo` lets it pass only if it leads to what stood before.
    """
    if body.decision == Decision.RESHAPED.value:
        return True
    return same_decision({"decision": body.decision, "reason": body.reason}, before)
