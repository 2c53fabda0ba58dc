"""What one change does to a reading: voxels, measures and decisions, in memory.

`Desk` holds the reading's nodes while a list of changes is worked through; nothing here is saved.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from backend.errors import BadInput
from backend.imaging.masks import InvalidPatch, Labels, Manifest
from backend.reading.draft import Draft, dice
from backend.reading.models import Case, Change, Node, NodeState, NotAssessable, Reading
from backend.reading.services.bodies import (
    Body,
    Decide,
    Doubt,
    Impress,
    Locate,
    Merge,
    Region,
    Resize,
    Source,
    Split,
    Undo,
    Voxels,
)
from backend.reading.services.inverse import (
    NotTheInverse,
    reason_before,
    require_inverse,
    require_voxels_restored,
    same_decision,
    slices_altered,
)
from backend.reading.services.lineage import lineage_of, merge, remember, split
from backend.reading.services.newer import source_of
from backend.reading.services.not_assessable import mark
from backend.reading.services.proposed import provenance_of
from backend.reading.services.sizes import resize
from backend.reading.sides import derived_side
from backend.reading.vocabulary import Decision, Origin, reason_group


class NodeNotNew(BadInput):
    """A change names a node that is neither of its reading nor new."""

    def __init__(self) -> None:
        super().__init__(
            "NODE_NOT_NEW",
            "A node of this change is neither of this reading nor new.",
            "Give a new node a fresh random UUID.",
        )


@dataclass
class Effect:
    """What a change did.

    Attributes:
        slices: the slices it changed, index → labels.
        nodes: UUIDs of the nodes it altered, in label order.
        created: UUIDs of the nodes it made.
        facts: before and after, for the audit log.
        states: node UUID → decision before (None for a new node) and after, and lineage where it
            changed.
        regions: names of the not-assessable regions it altered.
    """

    slices: dict[int, Labels] = field(default_factory=dict)
    nodes: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    states: dict[str, Any] = field(default_factory=dict)
    regions: set[str] = field(default_factory=set)


class Desk:
    """A reading while it is worked on: its mask as a draft, its nodes as they stand."""

    def __init__(
        self, reading: Reading, states: Iterable[NodeState], regions: Iterable[NotAssessable]
    ) -> None:
        self.reading = reading
        self.case: Case = reading.case
        self.draft = Draft(reading.head.manifest, self.case.grid)
        self.base: Manifest = reading.base.manifest
        self.states: dict[str, NodeState] = {str(state.node_id): state for state in states}
        self.regions: dict[str, NotAssessable] = {str(row.region): row for row in regions}
        self.altered_regions: set[str] = set()

    def act(self, body: Body | Undo, undone: Change | None = None) -> Effect:
        """Apply a change or take one back; says what it did, lineage included."""
        before = {node: lineage_of(state) for node, state in self.states.items()}
        if isinstance(body, Undo):
            assert undone is not None  # noqa: S101
            effect = self.undo(body, undone)
        else:
            effect = self.apply(body)
        for node, step in effect.states.items():
            after = lineage_of(self.states[node])
            if before.get(node, after) != after:
                step["lineage"] = {"before": before[node], "after": after}
        return effect

    def undo(self, body: Undo, undone: Change) -> Effect:
        """Apply the inverse of an earlier change, and bring back what was decided before it.

        Raises `NotTheInverse` when what it carries does anything else.
        """
        inverse = body.inverse
        require_inverse(inverse, undone, self.case.grid)
        if isinstance(inverse, Voxels):
            return self._undo_voxels(inverse, undone)
        if isinstance(inverse, Split | Merge | Region):
            assert isinstance(inverse, Region)  # `require_inverse` lets no other pass.  # noqa: S101
            effect = mark(self, inverse)
            effect.facts["undoes"] = str(undone.client_id)
            return effect
        if isinstance(inverse, Impress):
            inverse = replace(inverse, reason=reason_before(undone, inverse.node))
        effect = self.apply(inverse)
        if isinstance(inverse, Locate):
            self._restore_side(inverse.node, effect, undone)
        self._restore(effect, undone)
        node = inverse.node
        if isinstance(inverse, Decide) and not same_decision(
            effect.states[node]["after"], undone.states[node]["before"]
        ):
            raise NotTheInverse
        return effect

    def _undo_voxels(self, inverse: Voxels, undone: Change) -> Effect:
        if not set(inverse.patch.nodes) <= set(self.draft.manifest.numbers):
            raise NotTheInverse
        slices = slices_altered(undone) | {part.index for part in inverse.patch.slices}
        before = {index: self.draft.plane(index) for index in slices}
        effect = self.voxels(inverse)
        steps = {index: (plane, self.draft.plane(index)) for index, plane in before.items()}
        require_voxels_restored(undone, self.case.grid, steps)
        self._restore(effect, undone)
        return effect

    def _restore_side(self, node: str, effect: Effect, undone: Change) -> None:
        """A side that followed from the images follows from them again."""
        state = self.states[node]
        state.side_said = bool(undone.facts["before"]["said"])
        effect.facts["after"]["said"] = state.side_said

    def apply(self, body: Body) -> Effect:
        """Apply one change and say what it did; raises `BadInput`."""
        if isinstance(body, Voxels):
            return self.voxels(body)
        if isinstance(body, Split):
            return split(self, body)
        if isinstance(body, Merge):
            return merge(self, body)
        if isinstance(body, Region):
            return mark(self, body)
        state = self.state(body.node)
        before, reason = _decision(state), state.impression_reason
        if isinstance(body, Decide):
            facts = self._decide(state, body)
            if body.source is not None:
                facts["proposal"] = self._source(body.source)
        elif isinstance(body, Impress):
            facts = _impress(state, body)
        elif isinstance(body, Locate):
            facts = _locate(state, body)
        elif isinstance(body, Resize):
            facts = resize(state, body, self.case.grid)
        else:
            facts = _doubt(state, body)
        self.draft.next_version()
        states: dict[str, Any] = {body.node: {"before": before, "after": _decision(state)}}
        if isinstance(body, Impress):
            states[body.node]["reason_before"] = reason
        return Effect(nodes=[body.node], facts={"node": body.node, **facts}, states=states)

    def state(self, node: str) -> NodeState:
        """A node of the reading; raises `BadInput`."""
        state = self.states.get(node)
        if state is None:
            raise BadInput(
                "NO_SUCH_NODE",
                f"There is no node {node} in this reading.",
                "Reload the reading and choose one of its nodes.",
            )
        return state

    def note(self, facts: dict[str, Any]) -> Effect:
        """A change that alters no node: a version of its own with the same voxels."""
        self.draft.next_version()
        return Effect(facts=facts)

    def _decide(self, state: NodeState, body: Decide) -> dict[str, Any]:
        if state.merged_into is not None:
            raise BadInput(
                "NODE_MERGED",
                f"Node {state.label} was merged into another one.",
                "Take the merge back first, or decide on the other one.",
            )
        before = _decision(state)
        kept = body.decision in (Decision.ACCEPTED, Decision.RESHAPED, Decision.ADDED)
        if kept or (state.node.origin != Origin.AI and body.decision == Decision.UNDECIDED):
            state.decision = _kept(state)
        else:
            state.decision = body.decision
        state.reason = body.reason if state.decision == Decision.REJECTED else ""
        state.reason_group = reason_group(state.reason)
        return {"before": before, "after": _decision(state)}

    def voxels(self, body: Voxels) -> Effect:
        """Apply new labels of voxels, measure what they touch, and say what that decides."""
        known = self.draft.manifest.numbers
        fresh = [node for node in body.patch.nodes if node not in known]
        if Node.objects.filter(pk__in=fresh).exists():
            raise NodeNotNew
        try:
            slices, touches = self.draft.apply(body.patch)
        except InvalidPatch as error:
            raise BadInput("BAD_CHANGE", str(error), "Correct the change and send it.") from error
        for node in fresh:
            self._create(node)
        before: dict[str, Any] = {
            node: _decision(self.states[node]) for node in touches if node not in fresh
        }
        told: list[dict[str, Any]] = []
        for node, touch in touches.items():
            state = self.states[node]
            voxels = int((state.measures or {}).get("voxels", 0))
            self._measure(state, touch.box)
            self._reshaped(state, gained=touch.added > 0)
            after = int((state.measures or {}).get("voxels", 0))
            told.append(
                {
                    "node": node,
                    "voxels_before": voxels,
                    "voxels_after": after,
                    "added": touch.added,
                    "removed": touch.removed,
                    "dice": dice(voxels, touch),
                    "sad_mm": (state.measures or {}).get("sad_mm"),
                }
            )
        nodes = sorted({*touches, *fresh}, key=lambda node: self.states[node].label)
        states = {
            node: {"before": before.get(node), "after": _decision(self.states[node])}
            for node in nodes
        }
        facts: dict[str, Any] = {"slices": sorted(slices), "nodes": told}
        if body.prompt is not None:
            taken = body.patch.to_json()
            facts["prompt"] = provenance_of(self.reading, body.prompt, taken)
        if body.source is not None:
            facts["proposal"] = self._source(body.source)
        return Effect(slices=slices, nodes=nodes, created=fresh, facts=facts, states=states)

    def _source(self, source: Source) -> dict[str, Any]:
        return source_of(self.reading, source, self.draft, self.states.values())

    def _create(self, node: str) -> None:
        row = Node(id=UUID(node), case=self.case, origin=Origin.ADDED, reading=self.reading)
        self.states[node] = NodeState(
            reading=self.reading,
            node=row,
            label=self.draft.manifest.numbers[node],
            decision=Decision.ADDED,
            touched=True,
        )

    def _measure(self, state: NodeState, touched: Any) -> None:
        boxes = [touched]
        if state.measures:
            boxes.append(state.measures["bounding_box"])
        measures = self.draft.measure(str(state.node_id), boxes)
        state.measures = None if measures is None else measures.to_json()
        if not state.side_said:
            state.side = derived_side(self.case, state.measures)

    def _reshaped(self, state: NodeState, *, gained: bool) -> None:
        """What a change of voxels means for the decision on the node.

        A rejected node that only lost voxels (someone painted over it) stays rejected.
        """
        if gained and state.merged_into is not None:
            state.merged_into, state.decision = None, _kept(state)
        if state.node.origin != Origin.AI:
            return
        boxes = [box for box in (state.node.box, (state.measures or {}).get("bounding_box")) if box]
        state.touched = self.draft.differs(str(state.node_id), self.base, boxes)
        if state.decision == Decision.REJECTED and not gained:
            return
        state.decision, state.reason, state.reason_group = _kept(state), "", ""

    def _restore(self, effect: Effect, undone: Change) -> None:
        """Bring back the decisions that stood before the change that is undone.

        Only where they are still the ones that change led to: a later decision is kept.
        """
        for node, was in undone.states.items():
            lineage, now = was.get("lineage"), effect.states.get(node)
            if now and lineage and lineage_of(self.states[node]) == lineage["after"]:
                remember(self.states[node], lineage["before"])
            if now is None or was["before"] is None or now["before"] != was["after"]:
                continue
            state = self.states[node]
            state.decision, state.reason = was["before"]["decision"], was["before"]["reason"]
            state.reason_group = reason_group(state.reason)
            now["after"] = _decision(state)
            if (state.decision == Decision.MERGED) != (state.merged_into is not None):
                raise NotTheInverse
            after = effect.facts.get("after")
            if isinstance(after, dict) and "decision" in after:
                effect.facts["after"] = _decision(state)
        effect.facts["undoes"] = str(undone.client_id)


def _decision(state: NodeState) -> dict[str, str]:
    return {"decision": state.decision, "reason": state.reason}


def _kept(state: NodeState) -> str:
    """What a node that is kept is called: how it came to be and whether it was reshaped."""
    if state.node.origin != Origin.AI:
        return Decision.ADDED
    return Decision.RESHAPED if state.touched else Decision.ACCEPTED


def _impress(state: NodeState, body: Impress) -> dict[str, Any]:
    before = {"value": state.impression or None, "confidence": state.confidence}
    state.impression, state.confidence = body.value, body.confidence
    state.impression_reason = body.reason
    return {
        "before": before,
        "after": {"value": body.value or None, "confidence": body.confidence},
    }


def _locate(state: NodeState, body: Locate) -> dict[str, Any]:
    before = {"side": state.side, "level": state.level, "said": state.side_said}
    state.side_said = state.side_said or body.side != state.side
    state.side, state.level = body.side, body.level
    return {
        "before": before,
        "after": {"side": state.side, "level": state.level, "said": state.side_said},
    }


def _doubt(state: NodeState, body: Doubt) -> dict[str, Any]:
    before, state.doubt = state.doubt, body.value
    return {"before": before, "after": body.value}
