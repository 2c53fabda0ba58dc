"""The life of one node: proposed, read twice, compared, settled, agreed on, labelled. Pure.

A node is followed with those it was compared with: where a consensus node took the first reader's
identity, what the second had drawn there belongs to its life too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from backend.imaging.masks import Manifest
from backend.reports import shown
from backend.reports.record.events import Event
from backend.reports.timeline_cast import Cast
from backend.reports.timeline_steps import (
    LANES,
    LEFT_OUT,
    SIDES,
    Compared,
    Life,
    Shape,
    Step,
    clusters_of,
    lane_of,
    origin_words,
)
from backend.reports.timeline_story import Line

ManifestOf: TypeAlias = Callable[[str], Manifest | None]

_OWN = ("strokes", "decisions", "opinions")
_SETTLING = (
    "discrepancy.proposed",
    "discrepancy.agreed",
    "discrepancy.deferred",
    "discrepancy.resolved",
    "discrepancy.left",
    "discrepancy.settled_by_rule",
    "discrepancy.ignored_by_rule",
)


def life_of(
    uuid: str, events: Sequence[Event], folded: Sequence[Line], cast: Cast, manifest_of: ManifestOf
) -> Life:
    """The life of a node.

    Args:
        uuid: the node's.
        events: the case's chain.
        folded: its lines with runs folded.
        cast: who is who.
        manifest_of: mask hash → manifest, or None where this case has no such mask.
    """
    compared = [one for one in clusters_of(events) if uuid in one.nodes]
    kin = tuple(dict.fromkeys([uuid, *(node for one in compared for node in one.nodes)]))
    life = Life(uuid, kin, boxes=[one.told["box"] for one in compared])
    tell = _Teller(life, cast, manifest_of)
    for event in events:
        if event.action == "case.presegmented":
            tell.proposed(event)
    for line in folded:
        tell.read(line)
    for event in events:
        if event.action == "reading.submitted":
            tell.signed(event)
    for one in compared:
        tell.compared(one)
    tell.settled(events, folded, compared)
    begun: dict[tuple[str, str], int] = {}
    for step in sorted(life.steps, key=lambda step: step.position):
        begun.setdefault((step.lane, step.group), step.position)
    lanes = list(LANES)
    life.steps.sort(
        key=lambda step: (lanes.index(step.lane), begun[step.lane, step.group], step.position)
    )
    return life


@dataclass
class _Teller:
    """Adds steps to a life."""

    life: Life
    cast: Cast
    manifest_of: ManifestOf
    decided: dict[str, str] = field(default_factory=dict)

    def shape(self, mask: str, nodes: Iterable[str] | None = None) -> Shape | None:
        """The kin's voxels in a mask of this case; None where it holds none of them."""
        manifest = self.manifest_of(mask) if mask else None
        wanted = self.life.kin if nodes is None else nodes
        here = tuple(node for node in wanted if manifest and node in manifest.numbers)
        return Shape(((mask, here),)) if here else None

    def proposed(self, event: Event) -> None:
        shape = self.shape(str(event.facts.get("mask", "")))
        if shape is None:
            return
        who, role = self.cast.who(event)
        at = datetime.fromisoformat(event.at)
        for node in shape.parts[0][1]:
            self.life.steps.append(
                Step(
                    "ai",
                    event.subject_id,
                    event.position,
                    at,
                    at,
                    who,
                    role,
                    f"Proposed node {self.cast.node(node)}",
                    after=self.shape(shape.parts[0][0], [node]),
                    sad_mm=self.cast.offered_mm.get(node),
                )
            )

    def read(self, line: Line) -> None:
        """One line of a reading, where it is about the node or its kin."""
        mine = [node for node in self.life.kin if node in line.nodes]
        if not mine or line.kind not in _OWN or line.phase not in ("first", "second"):
            return
        strokes = line.kind == "strokes"
        self.life.steps.append(
            Step(
                line.phase,
                line.reading,
                line.first,
                line.at,
                line.until,
                line.who,
                line.role,
                line.said.what,
                line.said.detail,
                line.reason,
                line.said.before,
                line.said.after,
                self.shape(line.base, mine) if strokes else None,
                self.shape(line.head, mine) if strokes else None,
                undo=line.undo,
                undone_by=line.undone_by,
                strokes=len(line.strokes),
                sad_mm=line.sad_mm if line.nodes[0] in mine else None,
            )
        )
        if line.kind == "decisions" and line.good:
            self.decided[line.reading] = line.said.after

    def signed(self, event: Event) -> None:
        """The end of a reading: what it held of the kin, and what of that it left out."""
        part = self.cast.readings.get(event.subject_id)
        before = self.shape(str(event.facts.get("head", "")))
        after = self.shape(str(event.facts.get("effective", "")))
        if part is None or before is None or not event.succeeded:
            return
        decision = self.decided.get(event.subject_id, "")
        named = ", ".join(self.cast.node(node) for node in (after or before).parts[0][1])
        what = f"Signed with node {named}" if after else f"Signed without node {named}"
        who, role = self.cast.who(event)
        at = datetime.fromisoformat(event.at)
        if after is None:
            self.life.ended.append(f"{who} signed without it: {decision or 'no voxel was left'}")
        self.life.steps.append(
            Step(
                lane_of(part),
                event.subject_id,
                event.position,
                at,
                at,
                who,
                role,
                what,
                was=decision if after is None else "",
                now=LEFT_OUT if after is None else "",
                before=before,
                after=after,
            )
        )

    def compared(self, one: Compared) -> None:
        """Both readers' nodes beside each other."""
        told, event = one.told, one.made or one.opened
        at = datetime.fromisoformat(event.at)
        apart = [
            f"surfaces {shown.distance(told['asd_mm'])} mm apart"
            if told["asd_mm"] is not None
            else "",
            f"HD95 {shown.distance(told['hd95_mm'])} mm" if told["hd95_mm"] is not None else "",
        ]
        outcome = {
            "identical": "the same",
            "settled": "within tolerance",
            "ignored": "small and one-sided",
            "open": "to be settled",
        }
        names = [self._reader(one, side) for side in ("first", "second")]
        alone = [name for side, name in zip(SIDES, names, strict=True) if one.shape(side)]
        if len(alone) == 1:
            apart = [f"only {alone[0]} has it"]
        self.life.steps.append(
            Step(
                "compared",
                one.comparison,
                event.position,
                at,
                at,
                "Concord",
                "by itself",
                f"Cluster {one.number}: {outcome.get(told['outcome'], told['outcome'])}",
                ", ".join(filter(None, apart)),
                before=one.shape("first"),
                after=one.shape("second"),
                sides=(names[0], names[1]),
            )
        )

    def _reader(self, one: Compared, side: str) -> str:
        part = self.cast.readings.get(str(one.made.facts.get(side))) if one.made else None
        return part.reader_name if part else f"{side} reader"

    def settled(
        self, events: Sequence[Event], folded: Sequence[Line], compared: Sequence[Compared]
    ) -> None:
        """What became of its clusters in every version of the consensus."""
        by_position = {line.first: line for line in folded}
        opened = {e.subject_id: e for e in events if e.action == "consensus.opened"}
        for event in events:
            consensus = opened.get(str(event.facts.get("consensus") or event.subject_id))
            comparison = consensus.facts.get("comparison") if consensus else None
            comparison = comparison or event.facts.get("comparison")
            here = {one.number: one for one in compared if one.comparison == comparison}
            line = by_position.get(event.position)
            if not here or line is None:
                continue
            version = str(consensus.facts.get("version", "")) if consensus else ""
            one = here.get(int(event.facts.get("cluster") or 0))
            if event.action in _SETTLING and one is not None:
                self._line("settling", version, line, after=self._decided(event, one))
            elif event.action == "consensus.settled":
                self._agreed(event, version, here, line)
            elif event.action.startswith("label.") and self._labels(event, version):
                self._line("label", version, line)

    def _decided(self, event: Event, one: Compared) -> Shape | None:
        """The shape a step speaks of, where it can be read from stored masks."""
        facts = event.facts
        x = one.made.facts.get("x", "first") if one.made else "first"
        sides = {"X": x, "Y": "second" if x == "first" else "first"}
        resolution = str(facts.get("resolution") or "")
        if facts.get("mask"):
            manifest = self.manifest_of(str(facts["mask"]))
            nodes = tuple(manifest.numbers) if manifest else ()
            return Shape(((str(facts["mask"]), nodes),)) if nodes else None
        if resolution in sides:
            return one.shape(sides[resolution])
        if resolution in ("union", "intersection"):
            both = [shape for shape in (one.shape("first"), one.shape("second")) if shape]
            parts = tuple(part for shape in both for part in shape.parts)
            return Shape(parts, shared=resolution == "intersection") if parts else None
        if event.action == "discrepancy.settled_by_rule" and one.made is not None:
            return self.shape(str(one.made.facts.get("settled") or ""))
        return None

    def _agreed(self, event: Event, version: str, here: Mapping[int, Compared], line: Line) -> None:
        found = [n for n in event.facts.get("nodes") or [] if int(n["cluster"]) in here]
        for node in found:
            one, uuid = here[int(node["cluster"])], str(node["node"])
            self.life.agreed.append((int(version or 0), int(node["number"]), uuid))
            measures = node.get("measures") or {}
            if measures.get("bounding_box"):
                self.life.boxes.append(measures["bounding_box"])
            side = "first" if one.shape("first") else "second"
            others = [name for name in one.nodes if name != uuid]
            kept = f"keeps the identity of node {self.cast.node(uuid)}"
            if others:
                kept += f"; node {', '.join(self.cast.node(name) for name in others)} is in it too"
            self._line(
                "agreed",
                version,
                line,
                what=f"Agreed node {node['number']}, {origin_words(str(node['origin']))}",
                detail=kept,
                before=one.shape(side),
                after=self.shape(str(event.facts["mask"]), [uuid]),
                sad_mm=measures.get("sad_mm"),
                sides=(self._reader(one, side), "agreed"),
            )
        for number in sorted(set(here) - {int(node["cluster"]) for node in found}):
            ignored = number in (event.facts.get("ignored_clusters") or [])
            what = "an ignored region" if ignored else "no node"
            self._line("agreed", version, line, what=f"Cluster {number} became {what}", detail="")
            self.life.ended.append(
                f"version {version} of the consensus made {what} of it".capitalize()
            )

    def _labels(self, event: Event, version: str) -> bool:
        number = int(event.facts.get("number") or 0)
        return any((int(version or 0), number) == one[:2] for one in self.life.agreed)

    def _line(self, lane: str, version: str, line: Line, **own: Any) -> None:
        told = {
            "what": line.said.what,
            "detail": line.said.detail,
            "reason": line.reason,
            "was": line.said.before,
            "now": line.said.after,
            **own,
        }
        self.life.steps.append(
            Step(
                lane,
                version,
                line.first,
                line.at,
                line.until,
                line.who,
                line.role,
                **told,
            )
        )
