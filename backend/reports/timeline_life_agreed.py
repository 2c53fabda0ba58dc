"""A node's life once both have read: compared, settled, agreed on, labelled, signed. Pure.

What follows from a rule alone is credited to the rule, and what was agreed on to those who decided
it: never to whoever happened to decide the last of the other clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from backend.reports import shown
from backend.reports.record.events import Event
from backend.reports.timeline_steps import (
    SIDES,
    Compared,
    Shape,
    Step,
    origin_words,
)
from backend.reports.timeline_story import Line
from backend.reports.timeline_teller import Teller

NodesIn: TypeAlias = Callable[[str, Sequence[int]], tuple[str, ...]]
Key: TypeAlias = tuple[str, int]

BY_RULE = ("Concord", "by rule")
_SETTLING = (
    "discrepancy.proposed",
    "discrepancy.agreed",
    "discrepancy.deferred",
    "discrepancy.resolved",
    "discrepancy.left",
    "discrepancy.settled_by_rule",
    "discrepancy.ignored_by_rule",
)
_OUTCOMES = {
    "identical": "the same",
    "settled": "within tolerance",
    "ignored": "small and one-sided",
    "open": "to be settled",
}


def nothing_in(mask: str, box: Sequence[int]) -> tuple[str, ...]:
    """Where nobody can look into masks."""
    return ()


@dataclass
class Agreement(Teller):
    """What became of the node once both readings were compared.

    Attributes:
        nodes_in: mask hash and box → UUIDs of the mask's nodes that reach into the box.
        offered: the model's mask.
        proposers, deciders: comparison and cluster → who proposed last, and who decided, with
            what they are.
        places: sides and levels of the agreed nodes that came of it.
    """

    nodes_in: NodesIn
    offered: str
    proposers: dict[Key, str] = field(default_factory=dict)
    deciders: dict[Key, tuple[str, str]] = field(default_factory=dict)
    places: set[tuple[str, str]] = field(default_factory=set)

    def follow(
        self, events: Sequence[Event], lines: Mapping[int, Line], compared: Sequence[Compared]
    ) -> None:
        """Tell all of it: the clusters, every version of the consensus, evidence and signatures."""
        for cluster in compared:
            self._compared(cluster)
        opened = {e.subject_id: e for e in events if e.action == "consensus.opened"}
        signing = _Signing(self)
        for event in events:
            consensus = opened.get(str(event.facts.get("consensus") or event.subject_id))
            comparison = consensus.facts.get("comparison") if consensus else None
            comparison = str(comparison or event.facts.get("comparison"))
            here = {one.number: one for one in compared if one.comparison == comparison}
            if not here:
                continue
            line, version = lines[event.position], _version(consensus)
            one = here.get(int(event.facts.get("cluster") or 0))
            if event.action in _SETTLING and one is not None:
                self._decide(event, one, line)
                self._settling(event, one, line, version)
            elif event.action == "consensus.settled":
                self._agreed(event, version, here, line)
            elif event.action.startswith("label.") and self._labels(event, version):
                self.tell("label", version, line)
            else:
                signing.hear(event, version, line)
        signing.end()
        for event in events:
            if event.action.startswith("evidence.") and self._speaks_of_it(event):
                line = lines[event.position]
                text = line.said.after if event.action == "evidence.entered" else line.said.before
                self.tell("evidence", "", line, was="", now="", detail=text)

    def _compared(self, one: Compared) -> None:
        """Both readers' nodes beside each other."""
        told, event = one.told, one.made or one.opened
        at = datetime.fromisoformat(event.at)
        apart = [
            f"surfaces {shown.distance(told['asd_mm'])} mm apart"
            if told["asd_mm"] is not None
            else "",
            f"HD95 {shown.distance(told['hd95_mm'])} mm" if told["hd95_mm"] is not None else "",
        ]
        names = self._readers(one)
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
                f"Cluster {one.number}: {_OUTCOMES.get(told['outcome'], told['outcome'])}",
                ", ".join(filter(None, apart)),
                before=one.shape("first"),
                after=one.shape("second"),
                sides=names,
            )
        )

    def _readers(self, one: Compared) -> tuple[str, str]:
        parts = [
            self.cast.readings.get(str(one.made.facts.get(side))) if one.made else None
            for side in SIDES
        ]
        names = [
            part.reader_name if part else f"{side} reader"
            for part, side in zip(parts, SIDES, strict=True)
        ]
        return names[0], names[1]

    def _decide(self, event: Event, one: Compared, line: Line) -> None:
        """Who decided a cluster: two readers who agree, the adjudicator, or a rule."""
        key, act = (one.comparison, one.number), event.action.removeprefix("discrepancy.")
        if act == "proposed":
            self.proposers[key] = line.who
        elif act in ("agreed", "left"):
            people = dict.fromkeys(filter(None, (self.proposers.get(key), line.who)))
            self.deciders[key] = (" and ".join(people), "both readers" if len(people) > 1 else "")
        elif act == "resolved":
            self.deciders[key] = (line.who, line.role)
        elif act.endswith("by_rule"):
            self.deciders[key] = BY_RULE

    def _settling(self, event: Event, one: Compared, line: Line, version: str) -> None:
        """A step towards a decision: with the shape it speaks of, else with both readers'."""
        shape = self._decided(event, one)
        if shape is not None:
            self.tell("settling", version, line, after=shape)
            return
        self.tell(
            "settling",
            version,
            line,
            before=one.shape("first"),
            after=one.shape("second"),
            sides=self._readers(one),
        )

    def _decided(self, event: Event, one: Compared) -> Shape | None:
        """The shape a step speaks of, where it can be read from stored masks."""
        facts = event.facts
        resolution = str(facts.get("resolution") or "")
        if facts.get("mask"):
            manifest = self.manifest_of(str(facts["mask"]))
            nodes = tuple(manifest.numbers) if manifest else ()
            return Shape(((str(facts["mask"]), nodes),)) if nodes else None
        if resolution in ("X", "Y"):
            return one.shape(one.side_of(resolution))
        if resolution == "AI" and self.offered:
            return self.shape(self.offered, self.nodes_in(self.offered, one.told["box"]))
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
            self.places.add((str(node.get("side") or ""), str(node.get("level") or "")))
            measures = node.get("measures") or {}
            if measures.get("bounding_box"):
                self.life.boxes.append(measures["bounding_box"])
            side = "first" if one.shape("first") else "second"
            others = [name for name in one.nodes if name != uuid]
            kept = f"keeps the identity of {self.cast.node(uuid)}"
            if others:
                kept += f"; {', '.join(self.cast.node(name) for name in others)} is in it too"
            who, role = self._by(one, str(node["origin"]), line)
            self.tell(
                "agreed",
                version,
                line,
                who=who,
                role=role,
                what=f"Node {node['number']}, {origin_words(str(node['origin']))}",
                detail=kept,
                was="",
                now="",
                before=one.shape(side),
                after=self.shape(str(event.facts["mask"]), [uuid]),
                sad_mm=measures.get("sad_mm"),
                sides=(self._readers(one)[SIDES.index(side)], "agreed"),
            )
        for number in sorted(set(here) - {int(node["cluster"]) for node in found}):
            ignored = number in (event.facts.get("ignored_clusters") or [])
            what = "an ignored region" if ignored else "no node"
            who, role = self._by(here[number], "", line)
            self.tell(
                "agreed",
                version,
                line,
                who=who,
                role=role,
                what=f"Cluster {number} became {what}",
                detail="",
                was="",
                now="",
            )
            self.life.ended.append(
                f"version {version} of the consensus made {what} of it".capitalize()
            )

    def _by(self, one: Compared, origin: str, line: Line) -> tuple[str, str]:
        if origin in ("identical", "mean"):
            return BY_RULE
        return self.deciders.get((one.comparison, one.number), (line.who, line.role))

    def _labels(self, event: Event, version: str) -> bool:
        number = int(event.facts.get("number") or 0)
        return any((int(version or 0), number) == one[:2] for one in self.life.agreed)

    def _speaks_of_it(self, event: Event) -> bool:
        """Whether a piece of evidence is of an agreed node, of its side and level, or of all."""
        facts = event.facts
        if not self.life.agreed:
            return False
        if facts.get("scope") == "node":
            own = {*self.life.kin, *(uuid for *_, uuid in self.life.agreed)}
            return str(facts.get("node")) in own
        if facts.get("scope") == "side_level":
            return (str(facts.get("side") or ""), str(facts.get("level") or "")) in self.places
        return True


def _version(consensus: Event | None) -> str:
    return str(consensus.facts.get("version", "")) if consensus else ""


@dataclass
class _Signing:
    """Signatures of one version, told as one step until something else becomes of it."""

    agreement: Agreement
    version: str = ""
    given: list[Line] = field(default_factory=list)
    published: int = 0

    def hear(self, event: Event, version: str, line: Line) -> None:
        """A signature, an objection or a publication; anything else is passed over."""
        if event.action == "consensus.signed" and event.succeeded:
            if version != self.version:
                self.end()
            self.version = version
            self.given.append(line)
        elif event.action == "consensus.published":
            self.published = event.position
        elif event.action == "consensus.objected":
            self.end()
            self.agreement.tell("signed", version, line, was="", now="")

    def end(self) -> None:
        """Tell what was signed so far."""
        if self.given:
            first, last = self.given[0], self.given[-1]
            names = [line.who for line in self.given]
            people = " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
            published = f"; published at event {self.published}" if self.published else ""
            self.agreement.tell(
                "signed",
                self.version,
                first,
                until=last.at,
                who=people,
                role="",
                what=f"Version {self.version} signed by "
                + ("one" if not names[1:] else f"{len(names)}"),
                detail=f"{first.said.detail}{published}",
                was="",
                now="",
            )
        self.given, self.published = [], 0
