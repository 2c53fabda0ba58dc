"""Every reading: who, from what, each change of each node, and what was signed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.reading.hand_times import CHANGED, Step, hands_of
from backend.reports.record.blobs import Blobs
from backend.reports.record.events import Event

SLOT_NAMES = {
    "R1": "First reader",
    "R2": "Second reader",
    "ADJ": "Adjudicator",
    "REPEAT": "Repeat reading",
}
ARM_NAMES = {
    "ai_first": "AI first",
    "ai_after_first_pass": "AI after the first pass",
    "no_ai": "No AI",
}
# What each reading event leaves a reading in.
STATES = {
    "reading.assigned": "assigned",
    "reading.opened": "open",
    "reading.submitted": "submitted",
    "reading.held": "on hold",
    "reading.released": "open",
    "reading.withdrawn": "withdrawn",
    "reading.expired": "expired",
    "reading.returned": "returned",
}
ShortAxes = Callable[[str], dict[str, float]]
"""Mask hash → short axis in mm of every node in it, by UUID."""


def readings_of(
    events: Sequence[Event], blobs: Blobs, offered: dict[str, Any] | None, short_axes: ShortAxes
) -> list[dict[str, Any]]:
    """All readings in the order they were assigned.

    Args:
        events: the case's chain.
        blobs: where signed records and masks are.
        offered: the model's run as `case.model_of` tells it; None without one.
        short_axes: the short axes of a mask's nodes, for what no event says.
    """
    names = [event.subject_id for event in events if event.action == "reading.assigned"]
    return [
        _reading([e for e in events if e.subject_id == name], blobs, offered, short_axes)
        | {"newer": _newer(events, name)}
        for name in dict.fromkeys(names)
    ]


def _newer(events: Sequence[Event], name: str) -> dict[str, int]:
    """How many newer proposals a reader was offered, and by how many changes they took of them."""
    own = [e for e in events if e.subject_id == name and e.action.startswith(CHANGED)]
    undone = {e.facts.get("undoes") for e in own}
    taken = [e for e in own if e.succeeded and "proposal" in e.facts]
    return {
        "offered": sum(name in e.facts.get("readings_offered_it", ()) for e in events),
        "taken": sum(e.facts["change"] not in undone for e in taken),
    }


def _reading(
    events: Sequence[Event], blobs: Blobs, offered: dict[str, Any] | None, short_axes: ShortAxes
) -> dict[str, Any]:
    assigned = events[0].facts
    state, opened, submitted = "assigned", None, None
    for event in events:
        if event.succeeded:
            state = STATES.get(event.action, state)
            opened = opened or (event if event.action == "reading.opened" else None)
            submitted = event if event.action == "reading.submitted" else submitted
    reading: dict[str, Any] = {
        "id": events[0].subject_id,
        "slot": assigned["slot"],
        "slot_name": SLOT_NAMES.get(assigned["slot"], assigned["slot"]),
        "arm": ARM_NAMES.get(assigned["arm"], assigned["arm"]),
        "state": state,
        "signed": submitted is not None,
        "assigned": events[0].stamp,
        "opened": opened.stamp if opened else None,
    }
    if submitted is None:
        return reading
    return reading | _signed(events, submitted, blobs, offered, short_axes)


def _signed(
    events: Sequence[Event],
    submitted: Event,
    blobs: Blobs,
    offered: dict[str, Any] | None,
    short_axes: ShortAxes,
) -> dict[str, Any]:
    facts = submitted.facts
    record = blobs.json_of(facts["record_hash"], "The signed record")
    steps = [event for event in events if event.succeeded]
    changes = [event for event in steps if event.action.startswith(CHANGED)]
    seen_ai = _ai_mask(record, facts, events, offered, blobs)
    ai_nodes = set(blobs.manifest(seen_ai).labels.values()) if seen_ai else set()
    histories = node_histories(
        facts["printed_name"],
        changes,
        short_axes(seen_ai) if seen_ai else {},
        offered["at"] if offered else "",
    )
    kinds = Counter(event.action.removeprefix(CHANGED) for event in changes)
    return {
        "reader": facts["printed_name"],
        "reader_id": submitted.actor,
        "round": record["round"],
        "submitted": submitted.stamp,
        "active_seconds": facts["active_seconds"],
        "seen": facts["seen"],
        "changes": {
            "total": len(changes),
            "kinds": dict(sorted(kinds.items())),
            "first": changes[0].stamp if changes else None,
            "last": changes[-1].stamp if changes else None,
        },
        "hands": hands_of(
            (Step(event.moment, event.action, event.facts) for event in steps),
            {node["node"]: node["decision"] for node in record["nodes"]},
            ai_nodes,
            set(blobs.manifest(record["effective"]).labels.values()),
        ).to_json(),
        "masks": {
            "ai": seen_ai,
            "base": record["base"],
            "head": record["head"],
            "effective": record["effective"],
        },
        "nodes": [
            {key: value for key, value in node.items() if key != "node"}
            | {
                "uuid": node["node"],
                "origin": _origin(node, ai_nodes),
                "history": histories.get(node["node"], []),
            }
            for node in record["nodes"]
        ],
        "signature": {
            "name": facts["printed_name"],
            "at": submitted.stamp,
            "meaning": facts["meaning"],
            "record_hash": facts["record_hash"],
            "position": submitted.position,
            "faults": list(_faults(record, facts, changes, blobs)),
        },
    }


def _origin(node: dict[str, Any], ai_nodes: set[str]) -> str:
    if node["node"] in ai_nodes:
        return "ai"
    return "split" if node.get("parents") and not node.get("merged_into") else "added"


def _ai_mask(
    record: dict[str, Any],
    facts: dict[str, Any],
    events: Sequence[Event],
    offered: dict[str, Any] | None,
    blobs: Blobs,
) -> str | None:
    """The proposal this reader was offered."""
    if "ai_mask" in facts:
        mask: str | None = facts["ai_mask"]
        return mask
    if offered is None or events[0].facts["arm"] == "no_ai" or offered["at"] > events[-1].stamp:
        return None
    return str(offered["mask"])


def _faults(
    record: dict[str, Any], facts: dict[str, Any], changes: Sequence[Event], blobs: Blobs
) -> Iterable[str]:
    """A sentence wherever the signed record is not what the logged changes lead to."""
    head = record["base"]
    for change in changes:
        if change.facts["base"] != head:
            yield f"Change {change.facts['position']} was made on another version than the last."
        head = change.facts["head"]
    if (record["head"], record["effective"]) != (facts["head"], facts["effective"]):
        yield "The signed record names other masks than the log."
    if head != record["head"]:
        yield "The signed record is not of the last version that the log tells of."
    kept = {n["label"]: n["node"] for n in record["nodes"] if n["decision"] != "rejected"}
    left = blobs.manifest(record["effective"]).labels
    if any(kept.get(label) != node for label, node in left.items()):
        yield "The signed mask holds nodes that the signed record does not keep."
    said = _said(changes)
    for node in record["nodes"]:
        told = said.get(node["node"], _Said())
        now = _Said(node["impression"], node["confidence"], node["doubt"])
        if now != told:
            yield f"Node {node['label']} was signed with another opinion than the log tells of."


@dataclass(frozen=True)
class _Said:
    impression: str = ""
    confidence: int | None = None
    doubt: bool = False


def _said(changes: Sequence[Event]) -> dict[str, _Said]:
    """What was last said of each node beside its voxels."""
    found: dict[str, _Said] = {}
    for change in changes:
        facts = change.facts
        node, after = facts.get("node"), facts.get("after")
        if node is None:
            continue
        was = found.get(node, _Said())
        if isinstance(after, bool):
            found[node] = _Said(was.impression, was.confidence, after)
        elif isinstance(after, dict) and "value" in after:
            found[node] = _Said(after["value"] or "", after["confidence"], was.doubt)
    return found


@dataclass
class _Walk:
    """One node on its way through the changes."""

    exists: bool = False
    sad_mm: float | None = None
    confidence: int | None = None
    steps: list[dict[str, Any]] = field(default_factory=list)


def node_histories(
    reader: str, changes: Sequence[Event], offered_sad_mm: dict[str, float], offered_at: str
) -> dict[str, list[dict[str, Any]]]:
    """Node UUID → its steps in order: what the AI offered, then every change that touched it.

    A step is `{at, who, what, sad_before, sad_after, change, base, head}`; `base` and `head` are
    the masks before and after it.
    """
    walks = {node: _Walk(True, sad) for node, sad in offered_sad_mm.items()}
    for walk in walks.values():
        walk.steps.append(
            {
                "at": offered_at,
                "who": "AI",
                "what": "proposed",
                "sad_before": None,
                "sad_after": walk.sad_mm,
                "change": None,
                "base": None,
                "head": None,
            }
        )
    for change in changes:
        facts = change.facts
        undone = "undone: " if "undoes" in facts else ""
        for node, words, sad_after in _touched(facts, walks):
            walk = walks.setdefault(node, _Walk())
            if not words and not undone:
                continue
            walk.steps.append(
                {
                    "at": change.stamp,
                    "who": reader,
                    "what": undone + (words or "no visible change"),
                    "sad_before": walk.sad_mm,
                    "sad_after": sad_after,
                    "change": facts["change"],
                    "base": facts["base"],
                    "head": facts["head"],
                }
            )
            walk.exists, walk.sad_mm = True, sad_after
    return {node: walk.steps for node, walk in walks.items()}


def _touched(
    facts: dict[str, Any], walks: dict[str, _Walk]
) -> Iterable[tuple[str, str, float | None]]:
    """Node, words and short axis after, for every node a change touched."""
    if "nodes" in facts:
        for told in facts["nodes"]:
            walk = walks.get(told["node"], _Walk())
            words = _lineage_words(told["node"], facts.get("lineage")) or _voxel_words(walk, told)
            if "proposal" in facts:
                words += ", from a newer proposal"
            yield told["node"], words, told["sad_mm"]
        return
    node, before, after = facts["node"], facts["before"], facts["after"]
    walk = walks.setdefault(node, _Walk())
    yield node, _opinion_words(walk, before, after), walk.sad_mm


def _lineage_words(node: str, lineage: dict[str, Any] | None) -> str:
    """What a split or a merge was to one of its two nodes."""
    if lineage is None:
        return ""
    kept, other = f"node {lineage['label']}", f"node {lineage['other_label']}"
    if lineage["kind"] == "split":
        return f"split: {other} cut off" if node == lineage["node"] else f"split off {kept}"
    return f"merged with {other}" if node == lineage["node"] else f"merged into {kept}"


def _voxel_words(walk: _Walk, told: dict[str, Any]) -> str:
    if not walk.exists:
        return "added"
    if not told["voxels_after"]:
        return "erased"
    return f"reshaped (+{told['added']} −{told['removed']} voxels)"


def _opinion_words(walk: _Walk, before: Any, after: Any) -> str:
    if before == after:
        return ""
    if isinstance(after, bool):
        return "doubt raised" if after else "doubt withdrawn"
    if "decision" in after:
        reason = f", {words_of(after['reason'])}" if after.get("reason") else ""
        return f"{after['decision']}{reason}"
    if "level" in after:
        place = " ".join(filter(None, (after["side"], after["level"])))
        return f"side and level {place or 'withdrawn'}"
    if "manual" in after:
        return f"measured by hand: {axes_of(after['manual'])}"
    said = []
    if before["value"] != after["value"]:
        said.append(f"impression {words_of(after['value'] or 'withdrawn')}")
    if after["confidence"] is not None and after["confidence"] != before["confidence"]:
        said.append(f"confidence {after['confidence']}")
    return ", ".join(said)


def axes_of(manual: dict[str, Any] | None) -> str:
    """Axes measured by hand: "12.3 × 8.0 mm"; "withdrawn" for none."""
    if manual is None:
        return "withdrawn"
    texts = [axis["text"] if (axis := manual[name]) else "–" for name in ("long", "short")]
    return f"{' × '.join(texts)} mm"


def words_of(value: str) -> str:
    """A stored word for the eye: `salivary_gland` → "salivary gland"."""
    return value.replace("non_", "non-").replace("_", " ")
