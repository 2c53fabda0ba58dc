"""Splitting and merging nodes: who keeps the name, and what is remembered of where nodes came from.

The part with most voxels keeps the node's UUID; of two that are merged, the larger keeps its own.
What undoes either is a plain change of voxels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np

from backend.errors import BadInput
from backend.imaging.masks import Patch, Run, SlicePatch
from backend.reading.models import NodeState
from backend.reading.services.bodies import Merge, Split, Voxels
from backend.reading.vocabulary import Decision, Origin

if TYPE_CHECKING:
    from backend.reading.services.effects import Desk, Effect


def split(desk: Desk, body: Split) -> Effect:
    """Make a node of some voxels of another; raises `BadInput` where they are no smaller part."""
    parent = living(desk, body.node)
    if body.part in desk.draft.manifest.numbers:
        raise _refused(
            "PART_NOT_NEW", "The part is already a node.", "Give it a fresh random UUID."
        )
    inside, outside = _counted(desk, body.patch, parent.label)
    if outside:
        raise _refused(
            "PART_OUTSIDE",
            f"{outside} voxels of the part are not of node {parent.label}.",
            "Reload the reading and draw the cut again.",
        )
    whole = voxels_of(parent)
    if not inside or 2 * inside > whole:
        raise _refused(
            "PART_NOT_SMALLER",
            f"The part has {inside} of the {whole} voxels of node {parent.label}; "
            "the part with most voxels keeps its name.",
            "Cut through the node, and name the smaller part as the new one.",
        )
    effect = desk.voxels(Voxels(body.patch))
    part = desk.states[body.part]
    part.node.origin = Origin.SPLIT
    part.parents = [body.node]
    effect.facts["lineage"] = _told("split", parent, part)
    return effect


def merge(desk: Desk, body: Merge) -> Effect:
    """Give all voxels of one node to another; raises `BadInput` where that is the smaller one."""
    node, merged = living(desk, body.node), living(desk, body.merged)
    if (voxels_of(merged), node.label) > (voxels_of(node), merged.label):
        raise _refused(
            "MERGED_IS_LARGER",
            f"Node {merged.label} is larger than node {node.label} and keeps its name.",
            "Merge the smaller one into it.",
        )
    effect = desk.voxels(Voxels(_taken_over(desk, node, merged)))
    node.parents = [*node.parents, body.merged]
    merged.merged_into, merged.decision = UUID(body.node), Decision.MERGED
    merged.reason = merged.reason_group = ""
    effect.states[body.merged]["after"] = {"decision": merged.decision, "reason": ""}
    effect.facts["lineage"] = _told("merge", node, merged)
    return effect


def living(desk: Desk, node: str) -> NodeState:
    """A node with voxels that the reader keeps; raises `BadInput`."""
    state = desk.state(node)
    if state.decision == Decision.REJECTED:
        raise _refused(
            "NODE_REJECTED", f"Node {state.label} is rejected.", "Take its rejection back first."
        )
    if state.measures is None:
        raise _refused(
            "NODE_EMPTY", f"Node {state.label} has no voxel.", "Choose a node that has voxels."
        )
    return state


def lineage_of(state: NodeState) -> dict[str, Any]:
    """What is remembered of where a node came from, and where it went."""
    return {
        "parents": list(state.parents),
        "merged_into": str(state.merged_into) if state.merged_into else None,
    }


def remember(state: NodeState, lineage: dict[str, Any]) -> None:
    """Set what `lineage_of` told."""
    state.parents = list(lineage["parents"])
    state.merged_into = UUID(lineage["merged_into"]) if lineage["merged_into"] else None


def voxels_of(state: NodeState) -> int:
    """How many voxels a node has."""
    return int((state.measures or {}).get("voxels", 0))


def _counted(desk: Desk, patch: Patch, label: int) -> tuple[int, int]:
    """How many of the voxels a patch names are of a node, and how many are not."""
    inside = outside = 0
    for part in patch.slices:
        r0, c0, r1, c1 = part.box
        under = desk.draft.plane(part.index)[r0:r1, c0:c1].ravel()
        for offset, length, _ in part.runs:
            of_it = int(np.count_nonzero(under[offset : offset + length] == label))
            inside, outside = inside + of_it, outside + length - of_it
    return inside, outside


def _taken_over(desk: Desk, node: NodeState, merged: NodeState) -> Patch:
    """The patch that gives every voxel of `merged` to `node`."""
    z0, y0, x0, z1, y1, x1 = (merged.measures or {})["bounding_box"]
    slices = []
    for index in range(z0, z1):
        here = (desk.draft.plane(index)[y0:y1, x0:x1] == merged.label).ravel()
        edges = np.flatnonzero(np.diff(here.astype(np.int8), prepend=0, append=0))
        runs: list[Run] = [(int(a), int(b - a), 1) for a, b in edges.reshape(-1, 2)]
        if runs:
            slices.append(SlicePatch(index, (y0, x0, y1, x1), tuple(runs)))
    return Patch((str(node.node_id),), tuple(slices))


def _told(kind: str, node: NodeState, other: NodeState) -> dict[str, Any]:
    """For the log: which node kept its name, and which began or ended."""
    return {
        "kind": kind,
        "node": str(node.node_id),
        "label": node.label,
        "other": str(other.node_id),
        "other_label": other.label,
    }


def _refused(code: str, message: str, cure: str) -> BadInput:
    return BadInput(code, message, cure)
