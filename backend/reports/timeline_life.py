"""The life of one node: proposed, read twice, compared, settled, agreed on, labelled, signed. Pure.

A node is followed with those it was compared with: where a consensus node took the first reader's
identity, what the second had drawn there belongs to its life too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from backend.reports.record.events import Event
from backend.reports.timeline_cast import Cast
from backend.reports.timeline_life_agreed import Agreement, NodesIn, nothing_in
from backend.reports.timeline_steps import LANES, LEFT_OUT, Life, clusters_of, lane_of
from backend.reports.timeline_story import Line, accepts
from backend.reports.timeline_teller import ManifestOf, Teller

_OWN = ("strokes", "decisions", "opinions")


def life_of(
    uuid: str,
    events: Sequence[Event],
    folded: Sequence[Line],
    cast: Cast,
    manifest_of: ManifestOf,
    nodes_in: NodesIn = nothing_in,
) -> Life:
    """The life of a node.

    Args:
        uuid: the node's.
        events: the case's chain.
        folded: its lines with runs folded.
        cast: who is who.
        manifest_of: mask hash → manifest, or None where this case has no such mask.
        nodes_in: mask hash and box → UUIDs of the mask's nodes that reach into the box.
    """
    compared = [one for one in clusters_of(events) if uuid in one.nodes]
    kin = tuple(dict.fromkeys([uuid, *(node for one in compared for node in one.nodes)]))
    life = Life(uuid, kin, boxes=[one.told["box"] for one in compared])
    lines = list(_one_by_one(folded))
    by_position = {line.first: line for line in lines}
    readings = Readings(life, cast, manifest_of)
    for line in lines:
        if line.action == "case.presegmented":
            readings.proposed(line, str(_at(events, line).facts.get("mask", "")))
        readings.read(line)
    for event in events:
        if event.action == "reading.submitted":
            readings.signed(event, by_position[event.position])
    readings.unsigned()
    proposals = [e for e in events if e.action == "case.presegmented"]
    offered = str(proposals[-1].facts.get("mask", "")) if proposals else ""
    Agreement(life, cast, manifest_of, nodes_in, offered).follow(events, by_position, compared)
    begun: dict[tuple[str, str], int] = {}
    for step in sorted(life.steps, key=lambda step: step.position):
        begun.setdefault((step.lane, step.group), step.position)
    lanes = list(LANES)
    life.steps.sort(
        key=lambda step: (lanes.index(step.lane), begun[step.lane, step.group], step.position)
    )
    return life


def _one_by_one(folded: Sequence[Line]) -> Iterator[Line]:
    """The lines, acceptances apart: each is of a node of its own."""
    return chain.from_iterable(
        line.strokes if line.strokes and line.kind == "decisions" else (line,) for line in folded
    )


def _at(events: Sequence[Event], line: Line) -> Event:
    return next(event for event in events if event.position == line.first)


@dataclass
class Readings(Teller):
    """What the model proposed, and what either reader made of it.

    Attributes:
        decided: reading → its last decision on the node, in words.
        accepted: reading → acceptances that are told with its signature.
        drawn: readings in which its shape was drawn at.
    """

    decided: dict[str, str] = field(default_factory=dict)
    accepted: dict[str, list[Line]] = field(default_factory=dict)
    drawn: set[str] = field(default_factory=set)

    def proposed(self, line: Line, mask: str) -> None:
        """The model's proposal, node by node."""
        shape = self.shape(mask)
        for node in shape.parts[0][1] if shape else ():
            self.tell(
                "ai",
                "",
                line,
                what=f"Proposed {self.cast.node(node)}",
                was="",
                now="",
                after=self.shape(mask, [node]),
                sad_mm=self.cast.offered_mm.get(node),
            )

    def read(self, line: Line) -> None:
        """One line of a reading, where it is about the node or its kin."""
        mine = [node for node in self.life.kin if node in line.nodes]
        if not mine or line.kind not in _OWN or line.phase not in ("first", "second"):
            return
        if line.kind == "decisions" and line.good:
            self.decided[line.reading] = line.said.after
        if accepts(line):
            self.accepted.setdefault(line.reading, []).append(line)
            return
        self._own(line, mine)

    def _own(self, line: Line, mine: Sequence[str]) -> None:
        strokes = line.kind == "strokes"
        if strokes:
            self.drawn.add(line.reading)
        self.tell(
            line.phase,
            line.reading,
            line,
            before=self.shape(line.base, mine) if strokes else None,
            after=self.shape(line.head, mine),
            drawn=strokes,
            undo=line.undo,
            undone_by=line.undone_by,
            strokes=len(line.strokes),
            sad_mm=line.sad_mm if line.nodes[0] in mine else None,
        )

    def signed(self, event: Event, line: Line) -> None:
        """The end of a reading: what it held of the kin, and what of that it left out."""
        part = self.cast.readings.get(event.subject_id)
        before = self.shape(str(event.facts.get("head", "")))
        after = self.shape(str(event.facts.get("effective", "")))
        if part is None or before is None or not event.succeeded:
            return
        decision = self.decided.get(event.subject_id, "")
        named = ", ".join(self.cast.node(node) for node in (after or before).parts[0][1])
        what = f"Signed with {named}" if after else f"Signed without {named}"
        detail = ""
        if after is None:
            self.life.ended.append(
                f"{line.who} signed without it: {decision or 'no voxel was left'}"
            )
        elif decision == "accepted" and event.subject_id not in self.drawn:
            told = self.accepted.pop(event.subject_id, [])
            what = f"{named} accepted and signed"
            places = ", ".join(str(one.first) for one in told)
            detail = f"accepted at event {places}" if told else ""
        self.tell(
            lane_of(part),
            event.subject_id,
            line,
            what=what,
            detail=detail,
            was=decision if after is None else "",
            now=LEFT_OUT if after is None else "",
            before=before,
            after=after,
            drawn=True,
            ends=True,
        )

    def unsigned(self) -> None:
        """Acceptances that no signature tells of: of an open reading, or taken back since."""
        for lines in self.accepted.values():
            for line in lines:
                self._own(line, [node for node in self.life.kin if node in line.nodes])
