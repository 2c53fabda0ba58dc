"""A newer proposal of the AI while a reading is open: who is offered it, what, and what is taken.

Nothing of it is in the reading until its reader takes it, by changes like any other, each naming
the proposal it came from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from backend.errors import BadInput
from backend.imaging.masks import Labels
from backend.imaging.regions import Box
from backend.jobs.models import Run
from backend.reading.draft import Draft
from backend.reading.maskstore import crops
from backend.reading.models import Mask, NodeState, NodeVersion, Reading
from backend.reading.newer_proposal import Difference, differences_of
from backend.reading.presentation import measures_json, model_json
from backend.reading.protocols import COMPARISON
from backend.reading.services.bodies import Source
from backend.reading.vocabulary import Arm, Decision, MaskKind, Origin
from backend.reading.workflow import ReadingState

AT_WORK = (ReadingState.ASSIGNED.value, ReadingState.OPEN.value)


def offered_to(reading: Reading) -> Mask | None:
    """The newer proposal that the reading's reader may take from now; None where there is none.

    Only while they read, and only in an arm that sees the AI.
    """
    if reading.arm != Arm.AI_FIRST or reading.state not in AT_WORK:
        return None
    return reading.proposed


def proposal_json(reading: Reading) -> dict[str, Any] | None:
    """The newer proposal with all it would change, as the viewer shows it; None without one."""
    proposal = offered_to(reading)
    if proposal is None:
        return None
    run = _run_of(proposal)
    states = list(reading.node_states.select_related("node"))
    versions = _versions(proposal)
    differences = _differences(reading, proposal, states, versions)
    shapes = _Shapes(proposal, versions)
    by_label = {state.label: state for state in states}
    told = [_difference_json(found, by_label, versions, shapes) for found in differences]
    return {
        "mask": proposal.hash,
        "run": str(run.pk),
        "model": model_json(run),
        "at": proposal.created,
        "head": reading.head.hash,
        "nodes": len(versions),
        "differences": sorted(told, key=lambda one: (-one["at_vox"][0], one["key"])),
    }


def source_of(
    reading: Reading, source: Source, draft: Draft, states: Iterable[NodeState]
) -> dict[str, Any]:
    """What a change records of the newer proposal it takes something from, once it was applied.

    A proposal that a still newer one has followed may be taken from as well: the change may have
    been made without a line to the server.

    Raises:
        BadInput: the mask is no proposal this reading was offered, or has no such node.
    """
    offered = reading.case.masks.filter(kind=MaskKind.AI, hash=source.mask)
    proposal = offered.order_by("-created").first() if reading.proposed_id else None
    known = set(proposal.manifest.labels.values()) if proposal else set()
    if proposal is None or reading.arm != Arm.AI_FIRST or not known.issuperset(source.nodes):
        raise BadInput(
            "NO_SUCH_PROPOSAL",
            "What this change takes is not of a newer proposal that this reading was offered.",
            "Reload the reading, and take it from the proposal that is shown.",
        )
    run = _run_of(proposal)
    versions = {v.label: v for v in _versions(proposal).values() if str(v.node_id) in source.nodes}
    sizes = {state.label: int((state.measures or {}).get("voxels", 0)) for state in states}
    shapes = _Shapes(proposal, versions)
    return {
        "mask": proposal.hash,
        "run": str(run.pk),
        "model": run.model.named,
        "nodes": list(source.nodes),
        "taken_as_proposed": all(_holds(draft, sizes, shapes, n) for n in versions),
    }


def _run_of(proposal: Mask) -> Run:
    return Run.objects.select_related("model").get(pk=str(proposal.run_id))


class _Shapes:
    """The voxels of a proposal's nodes, each in its own box."""

    def __init__(self, proposal: Mask, versions: Mapping[int, NodeVersion]) -> None:
        self.sops = proposal.case.grid_json["sop_uids"]
        shape = proposal.case.grid.shape
        self.boxes = {
            label: _box(v.measures["bounding_box"]) for label, v in versions.items() if v.measures
        }
        whole = crops(proposal.manifest, shape, self.boxes)
        self.of = {label: crop == label for label, crop in whole.items()}

    def slices(self, label: int) -> list[dict[str, Any]]:
        """A node as the slices of a change of voxels, every run with k = 1."""
        depth, rows, columns = self.boxes[label]
        box = [rows.start, columns.start, rows.stop, columns.stop]
        found = []
        for index, plane in enumerate(self.of[label], depth.start):
            edges = np.flatnonzero(np.diff(plane.ravel().astype(np.int8), prepend=0, append=0))
            runs = [[int(start), int(end - start), 1] for start, end in edges.reshape(-1, 2)]
            if runs:
                found.append({"sop": self.sops[index], "box": box, "runs": runs})
        return found


def _versions(proposal: Mask) -> dict[int, NodeVersion]:
    """The nodes of a proposal as they were measured, by label."""
    offered = proposal.node_versions.filter(reading=None)
    return {version.label: version for version in offered if version.measures}


def _differences(
    reading: Reading,
    proposal: Mask,
    states: Iterable[NodeState],
    versions: Mapping[int, NodeVersion],
) -> list[Difference]:
    earlier = reading.ai_mask if reading.ai_mask_id != proposal.pk else None
    measured = [v.measures for v in versions.values()]
    measured += [state.measures for state in states]
    measured += [v.measures for v in _versions(earlier).values()] if earlier else []
    boxes = np.array([m["bounding_box"] for m in measured if m])
    if not boxes.size:
        return []
    around = _box([*boxes[:, :3].min(axis=0).tolist(), *boxes[:, 3:].max(axis=0).tolist()])
    shape = reading.case.grid.shape

    def within(mask: Mask) -> Labels:
        return crops(mask.manifest, shape, {0: around})[0]

    head, proposed = within(reading.head), within(proposal)
    rules = reading.case.protocol.definition.get("comparison", COMPARISON)
    return differences_of(
        head,
        proposed,
        within(earlier) if earlier else np.zeros_like(head),
        refused={s.label for s in states if s.decision == Decision.REJECTED},
        from_ai={s.label for s in states if s.node.origin == Origin.AI},
        edge_share=rules["edge_share"],
    )


def _difference_json(
    found: Difference,
    states: Mapping[int, NodeState],
    versions: Mapping[int, NodeVersion],
    shapes: _Shapes,
) -> dict[str, Any]:
    parts = [(part, versions[part.label]) for part in found.parts]
    first = parts[0][1] if parts else states[found.present[0]]
    return {
        "key": str(first.node_id),
        "kind": found.kind,
        "at_vox": first.measures["centroid"] if first.measures else [0, 0, 0],
        "dice": round(found.dice, 4),
        "nodes": [
            {
                "uuid": str(version.node_id),
                "onto": str(states[part.onto].node_id) if part.onto is not None else None,
                "measures": measures_json(version.measures),
                "slices": shapes.slices(part.label),
            }
            for part, version in parts
        ],
        "present": [
            {
                "uuid": str(states[label].node_id),
                "number": label,
                "edited": states[label].touched,
                "decision": states[label].decision,
                "measures": measures_json(states[label].measures),
            }
            for label in found.present
        ],
    }


def _holds(draft: Draft, sizes: Mapping[int, int], shapes: _Shapes, label: int) -> bool:
    """Whether one node of the draft is voxel for voxel a node of the proposal."""
    wanted, (depth, rows, columns) = shapes.of[label], shapes.boxes[label]
    planes = [draft.plane(index)[rows, columns] for index in range(depth.start, depth.stop)]
    held = np.unique(np.stack(planes)[wanted])
    return held.size == 1 and sizes.get(int(held[0])) == int(np.count_nonzero(wanted))


def _box(bounds: Iterable[int]) -> Box:
    z0, y0, x0, z1, y1, x1 = bounds
    return slice(z0, z1), slice(y0, y1), slice(x0, x1)
