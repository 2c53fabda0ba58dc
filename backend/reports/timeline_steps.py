"""What a node's life is told in: lanes, steps, the shapes they show, its clusters. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from backend.reports.record.events import Event
from backend.reports.record.readings import words_of
from backend.reports.timeline_cast import Part as Reader

Part: TypeAlias = tuple[str, tuple[str, ...]]

LANES = {
    "ai": "AI",
    "first": "Reading 1",
    "second": "Reading 2",
    "compared": "Comparison",
    "settling": "Settling",
    "agreed": "Agreed on",
    "evidence": "Evidence",
    "label": "Label",
    "signed": "Signed",
}
SIDES = ("first", "second")
BEFORE_AND_AFTER = ("before", "after")
LEFT_OUT = "left out"


@dataclass(frozen=True)
class Shape:
    """Voxels of a mask's nodes: of one part, of all parts, or (`shared`) of what parts share."""

    parts: tuple[Part, ...]
    shared: bool = False

    @property
    def masks(self) -> tuple[str, ...]:
        """The masks it is read from."""
        return tuple(mask for mask, _ in self.parts)


@dataclass(frozen=True)
class Step:
    """One step of a node's life.

    Attributes:
        lane: which part of its life (`LANES`); `group` sets repetitions apart (rounds, versions).
        before, after: its shapes, where the step is about shape.
        sides: what the two shapes are called, where they are not before and after.
        sad_mm: its short axis after the step, where the log says it.
        drawn: whether it is about a change of shape, which its numbers tell.
        ends: whether it is the end of a reading: what was signed then is measured.
    """

    lane: str
    group: str
    position: int
    at: datetime
    until: datetime
    who: str
    role: str
    what: str
    detail: str = ""
    reason: str = ""
    was: str = ""
    now: str = ""
    before: Shape | None = None
    after: Shape | None = None
    sides: tuple[str, str] = BEFORE_AND_AFTER
    sad_mm: float | None = None
    undo: bool = False
    undone_by: int = 0
    strokes: int = 0
    drawn: bool = False
    ends: bool = False


@dataclass
class Life:
    """All steps of a node and its kin.

    Attributes:
        uuid: whose life it is.
        kin: UUIDs of the nodes it was compared with, itself among them.
        agreed: agreed nodes that came of it: (version, number, UUID).
        boxes: bounding boxes of its clusters.
        ended: where it was left out, in words.
    """

    uuid: str
    kin: tuple[str, ...]
    steps: list[Step] = field(default_factory=list)
    agreed: list[tuple[int, int, str]] = field(default_factory=list)
    boxes: list[Sequence[int]] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Compared:
    """One cluster of one comparison."""

    comparison: str
    made: Event | None
    opened: Event
    told: Mapping[str, Any]

    @property
    def number(self) -> int:
        """Its number in the comparison."""
        return int(self.told["number"])

    @property
    def nodes(self) -> list[str]:
        """The nodes of both readers in it."""
        return [node["node"] for side in SIDES for node in self.told[side]["nodes"]]

    def shape(self, side: str) -> Shape | None:
        """What one reader had drawn there."""
        nodes = tuple(node["node"] for node in self.told[side]["nodes"])
        masks = self.made.facts["effective"] if self.made else []
        index = ("first", "second").index(side)
        return Shape(((masks[index], nodes),)) if nodes and len(masks) == 2 else None

    def side_of(self, letter: str) -> str:
        """Which reader X, or Y, is."""
        x = str(self.made.facts.get("x", "first")) if self.made else "first"
        return x if letter == "X" else ("second" if x == "first" else "first")


def clusters_of(events: Sequence[Event]) -> list[Compared]:
    """Every cluster of every comparison that a consensus was opened on."""
    made = {e.subject_id: e for e in events if e.action == "comparison.made"}
    found: dict[tuple[str, int], Compared] = {}
    for event in events:
        if event.action != "consensus.opened":
            continue
        comparison = str(event.facts.get("comparison"))
        for told in event.facts.get("clusters") or []:
            one = Compared(comparison, made.get(comparison), event, told)
            found.setdefault((comparison, one.number), one)
    return list(found.values())


def lane_of(part: Reader) -> str:
    """The lane of a reading."""
    return {"R1": "first", "R2": "second"}.get(part.slot, "settling")


def origin_words(origin: str) -> str:
    """Where an agreed shape comes from, in words."""
    words = {
        "identical": "drawn the same by both",
        "mean": "the mean of both shapes, by rule",
        "redrawn": "drawn anew",
        "union": "all that either drew",
        "intersection": "what both drew",
        "AI": "as the AI drew it",
    }
    return words.get(origin, f"as {origin} drew it" if len(origin) == 1 else words_of(origin))
