"""Who and what the events of a case speak of: its people, readings and nodes, by name. Pure.

Numbers are counted anew by the model, by either reader, by the comparison and by the consensus.
`NAMING` is how timeline, life of a node and report keep them apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from backend.reports.record.events import Event
from backend.reports.record.readings import SLOT_NAMES

NAMING = (
    "Names: AI 3 is the AI’s third proposal, and stays so when readers change it; R1 6 is a node "
    "that the first reader added, R2 6 one of the second; cluster 4 is what both drew at one "
    "place; node 1 is the first of the nodes that were agreed on."
)


@dataclass(frozen=True)
class Part:
    """One reading: its slot, round, and who reads."""

    slot: str
    round: int
    reader: str
    reader_name: str

    @property
    def shown(self) -> str:
        """The slot in words."""
        again = f", round {self.round}" if self.round > 1 else ""
        return f"{SLOT_NAMES.get(self.slot, self.slot).lower()}{again}"


@dataclass(frozen=True)
class Named:
    """One node before it is agreed on: its number, and who made it ("" for the AI)."""

    number: int
    slot: str = ""

    @property
    def shown(self) -> str:
        """How it is called everywhere: "AI 3", "R1 6"."""
        return f"{self.slot or 'AI'} {self.number}"


@dataclass(frozen=True)
class Cast:
    """Everyone and everything by identity.

    Attributes:
        readings: reading UUID → its part.
        nodes: node UUID → its name.
        roles: person UUID → what they are in the project, in words.
        offered_mm: node UUID → short axis of what the AI offered.
        model: the model that made the proposal.
        agreed: node UUID → its number in the newest version of the consensus.
    """

    readings: Mapping[str, Part] = field(default_factory=dict)
    nodes: Mapping[str, Named] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    offered_mm: Mapping[str, float] = field(default_factory=dict)
    model: str = ""
    agreed: Mapping[str, int] = field(default_factory=dict)

    def node(self, uuid: str) -> str:
        """A node's name for a sentence; the start of its UUID where nobody knows it."""
        named = self.nodes.get(uuid)
        return named.shown if named else f"node {uuid[:8]}"

    def both(self, uuid: str) -> str:
        """Its name, and the number under which it was agreed on: "AI 9, node 1"."""
        number = self.agreed.get(uuid)
        return self.node(uuid) + (f", node {number}" if number is not None else "")

    def reading_of(self, event: Event) -> str:
        """The reading an event is of, or ""."""
        if event.subject_type == "reading":
            return event.subject_id
        told = event.facts.get("reading")
        return told if isinstance(told, str) else ""

    def who(self, event: Event) -> tuple[str, str]:
        """Name and role of who did it: a person, the model, or Concord itself."""
        if not event.actor:
            if event.action.startswith("run.") or event.action == "case.presegmented":
                return self.model or "AI", "model"
            return "Concord", "by rule" if "by_rule" in event.action else "by itself"
        part = self.readings.get(self.reading_of(event))
        if part is not None and part.reader == event.actor:
            return event.actor_name, part.shown
        if event.facts.get("role") == "adjudicator":
            return event.actor_name, "adjudicator"
        slots = [p.shown for p in self.readings.values() if p.reader == event.actor]
        return event.actor_name, slots[-1] if slots else self.roles.get(event.actor, "")
