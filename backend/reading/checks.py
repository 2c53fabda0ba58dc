"""What a reading still lacks before it can be submitted. Pure; shown live, enforced at submit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from backend.imaging.grid import Shape

# A slice range as the viewer reports it: first and last slice, both included.
Range = Sequence[int]


@dataclass(frozen=True)
class NodeFacts:
    """What the checks ask of one node of a reading."""

    node: UUID
    label: int
    from_ai: bool
    decision: str
    reason: str
    empty: bool
    measurable: bool


@dataclass(frozen=True)
class Check:
    """One thing that has to be so, whether it is, and the node it is about.

    A `warning` never keeps anyone from submitting; its `ok` is always true.
    """

    code: str
    text: str
    ok: bool
    node: str | None = None
    warning: bool = False

    def to_json(self) -> dict[str, Any]:
        """The check as the API gives it."""
        return asdict(self)


def checks_of(
    nodes: Sequence[NodeFacts],
    seen: Mapping[str, Sequence[Range]],
    shape: Shape,
    required_planes: Sequence[str],
    plane_share: Mapping[str, float],
) -> list[Check]:
    """All checks of a reading, what is missing first.

    Args:
        nodes: every node of the reading.
        seen: plane → slice ranges seen, both ends included.
        shape: of the case's grid, (slices, rows, columns).
        required_planes: which planes the protocol wants looked through.
        plane_share: plane → share of its slices; 0 means at least one slice.
    """
    found = [check for node in nodes for check in _node_checks(node)]
    offered = sum(1 for node in nodes if node.from_ai)
    if offered and all(check.ok for check in found):
        found.append(Check("NODES_DECIDED", f"All {offered} AI nodes are decided.", ok=True))
    for plane in required_planes:
        found.append(_plane_check(plane, seen.get(plane, ()), shape, plane_share.get(plane, 0.0)))
    return sorted(found, key=lambda check: (check.ok, check.warning))


def can_submit(checks: Iterable[Check]) -> bool:
    """Whether nothing is missing."""
    return all(check.ok for check in checks)


def _node_checks(node: NodeFacts) -> list[Check]:
    if node.decision == "merged":
        return []
    name, uuid = f"Node {node.label}", str(node.node)
    if node.from_ai and node.decision == "undecided":
        if node.empty:
            text = f"{name} has no voxel left: reject it with a reason, or undo."
            return [Check("NODE_EMPTY", text, ok=False, node=uuid)]
        text = f"{name} is undecided: accept, reject or reshape it."
        return [Check("NODE_UNDECIDED", text, ok=False, node=uuid)]
    if node.from_ai and node.decision == "rejected" and not node.reason:
        text = f"{name} is rejected without a reason: choose one."
        return [Check("REASON_MISSING", text, ok=False, node=uuid)]
    if node.from_ai and node.empty and node.decision != "rejected":
        text = f"{name} has no voxel left: reject it with a reason, or undo."
        return [Check("NODE_EMPTY", text, ok=False, node=uuid)]
    if not node.empty and not node.measurable and node.decision != "rejected":
        text = f"{name} is a single voxel and cannot be measured."
        return [Check("NOT_MEASURABLE", text, ok=True, node=uuid, warning=True)]
    return []


def _plane_check(plane: str, ranges: Sequence[Range], shape: Shape, share: float) -> Check:
    total = slices_of(plane, shape)
    count = len({i for first, last in ranges for i in range(first, last + 1) if 0 <= i < total})
    code, name = f"PLANE_{plane.upper()}", plane.capitalize()
    if share > 0:
        ok = count >= share * total
        text = f"{name}: {count} of {total} slices seen; {share:.0%} are needed."
    else:
        ok = count >= 1
        text = f"{name}: {'seen' if ok else 'not seen yet; look at it at least once'}."
    return Check(code, text, ok)


def slices_of(plane: str, shape: Shape) -> int:
    """How many slices a grid of `shape` has in a plane of an axial series."""
    return {"axial": shape[0], "coronal": shape[1], "sagittal": shape[2]}[plane]


def merged(ranges: Iterable[Range]) -> list[list[int]]:
    """Slice ranges, both ends included, ascending, without overlap or touch."""
    found: list[list[int]] = []
    for first, last in sorted((int(a), int(b)) for a, b in ranges):
        if found and first <= found[-1][1] + 1:
            found[-1][1] = max(found[-1][1], last)
        else:
            found.append([first, last])
    return found
