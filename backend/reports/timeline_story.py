"""The events of a case as lines an auditor reads: who, what, when, why, before and after. Pure.

Strokes on one node by one person, each soon after the last, are one line that opens, and so are
proposals that one person accepted one after the other; the line keeps the place of its first event.
Nothing else is folded, and nothing is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from backend.reading.hand_times import CHANGED
from backend.reports.record.events import Event
from backend.reports.record.readings import node_histories
from backend.reports.timeline_cast import Cast
from backend.reports.timeline_said import Memory, Said
from backend.reports.timeline_words import UUID, said
from backend.reports.timeline_words_agreed import nodes_meant

RUN_PAUSE = timedelta(minutes=5)

PHASES = {
    "ai": "Case and AI",
    "first": "Reading 1",
    "second": "Reading 2",
    "settling": "Settling",
    "labelling": "Labelling",
    "signatures": "Signatures",
    "versions": "Versions",
    "after": "Reports and looks",
}
KINDS = {
    "strokes": "strokes",
    "decisions": "decisions",
    "opinions": "impressions and doubts",
    "states": "assigning, opening, holding",
    "ai": "AI runs",
    "settling": "comparison and settling",
    "labels": "labels",
    "evidence": "evidence",
    "signatures": "signatures and versions",
    "files": "reports and exports",
    "looks": "looks and verifications",
}
_SIGNATURES = frozenset({"reading.submitted", "signature.refused", "consensus.signed"})
# What becomes of a version once it is, or was to be, signed.
_VERSIONS = frozenset(
    {"consensus.objected", "consensus.published", "consensus.superseded", "consensus.reopened"}
)
_ACCEPTED = "accepted"
_LOOKS = ("admin.", "timeline.", "chain.", "report.opened", "export.downloaded", "images.")


@dataclass(frozen=True)
class Line:
    """One line: an event, or a run of strokes or of acceptances.

    Attributes:
        positions: where its events stand in the chain, ascending.
        at, until: when the first and the last of them happened.
        actor, who, role: the person's UUID ("" for none), name and part.
        nodes: UUIDs of the nodes it speaks of; of a stroke, the one it changed most comes first.
        reading: the reading it is of.
        base, head: of a change, the masks before and after it.
        name: of a stroke, how that one is called.
        sad_mm: of a stroke, the short axis of that one after it.
        voxels: how many a stroke added to that one, and how many it removed.
        undo: whether it takes an earlier change back; `undone_by` is the event that took it back.
        strokes: of a run, its events one by one.
    """

    positions: tuple[int, ...]
    at: datetime
    until: datetime
    actor: str
    who: str
    role: str
    phase: str
    kind: str
    said: Said
    reason: str
    nodes: tuple[str, ...]
    good: bool
    undo: bool
    undone_by: int
    hash: str
    action: str
    reading: str = ""
    base: str = ""
    head: str = ""
    name: str = ""
    sad_mm: float | None = None
    voxels: tuple[int, int] = (0, 0)
    strokes: tuple[Line, ...] = ()

    @property
    def first(self) -> int:
        """The position of its first event."""
        return self.positions[0]

    @property
    def last(self) -> int:
        """The position of its last event."""
        return self.positions[-1]


def lines_of(events: Sequence[Event], cast: Cast) -> list[Line]:
    """One line per event, in the order of the chain."""
    memory = Memory(steps=_steps(events, cast))
    lines = [_line(event, cast, memory) for event in events]
    undone = {
        (event.subject_id, event.facts["undoes"]): event.position
        for event in events
        if event.succeeded and "undoes" in event.facts
    }
    changes = {
        event.position: (event.subject_id, event.facts.get("change"))
        for event in events
        if event.action.startswith(CHANGED)
    }
    return [
        replace(line, undone_by=undone.get(changes.get(line.first, ("", "")), 0)) for line in lines
    ]


def _steps(events: Sequence[Event], cast: Cast) -> dict[tuple[str, str], dict[str, dict[str, Any]]]:
    """Every change of every reading: reading and change → node UUID → what it did."""
    changes: dict[str, list[Event]] = {}
    for event in events:
        if event.action.startswith(CHANGED) and event.succeeded:
            changes.setdefault(event.subject_id, []).append(event)
    found: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for reading, made in changes.items():
        histories = node_histories("", made, dict(cast.offered_mm), "")
        for node, steps in histories.items():
            for step in steps:
                if step["change"] is not None:
                    found.setdefault((reading, step["change"]), {})[node] = step
    return found


def _line(event: Event, cast: Cast, memory: Memory) -> Line:
    who, role = cast.who(event)
    at = datetime.fromisoformat(event.at)
    main = _main(event)
    named = [name for name in UUID.findall(event.facts_text) if name in cast.nodes]
    named = [*([str(main["node"])] if main else ()), *named, *nodes_meant(event, memory)]
    return Line(
        positions=(event.position,),
        at=at,
        until=at,
        actor=event.actor,
        who=who,
        role=role,
        phase=phase_of(event, cast),
        kind=kind_of(event),
        said=said(event, cast, memory),
        reason=_why(event),
        nodes=tuple(dict.fromkeys(named)),
        good=event.succeeded,
        undo="undoes" in event.facts,
        undone_by=0,
        hash=event.hash,
        action=event.action,
        reading=cast.reading_of(event),
        base=str(event.facts.get("base") or ""),
        head=str(event.facts.get("head") or ""),
        name=cast.node(main["node"]) if main else "",
        sad_mm=main["sad_mm"] if main else None,
        voxels=(main["added"], main["removed"]) if main else (0, 0),
    )


def _why(event: Event) -> str:
    """The person's own words: a reason, a rationale, or both."""
    told = (event.reason, str(event.facts.get("rationale") or ""))
    return " · ".join(dict.fromkeys(words for words in told if words))


def _main(event: Event) -> dict[str, Any] | None:
    """Of a stroke, what it did to the node that it changed most."""
    told = event.facts.get("nodes") if event.action.startswith(CHANGED) else None
    return max(told, key=lambda one: one["added"] + one["removed"], default=None) if told else None


def phase_of(event: Event, cast: Cast) -> str:
    """The phase of the case an event belongs to."""
    action = event.action
    if action.startswith(_LOOKS) or action.startswith(("report.", "export.")):
        return "after"
    if action in _SIGNATURES:
        return "signatures"
    if action in _VERSIONS:
        return "versions"
    if action.startswith(("label.", "evidence.")) or action == "consensus.completed":
        return "labelling"
    if action.startswith(("comparison.", "discrepancy.", "consensus.")):
        return "settling"
    part = cast.readings.get(cast.reading_of(event))
    if part is not None:
        return {"R1": "first", "R2": "second", "ADJ": "settling"}.get(part.slot, "second")
    return "ai"


def kind_of(event: Event) -> str:
    """The kind of an event, for the filter."""
    action = event.action
    if action.startswith(CHANGED):
        if "lineage" in event.facts:
            return "decisions"
        if "nodes" in event.facts and "region" not in event.facts:
            return "strokes"
        after = event.facts.get("after")
        return "decisions" if isinstance(after, dict) and "decision" in after else "opinions"
    if action.startswith(_LOOKS):
        return "looks"
    if action in _SIGNATURES | _VERSIONS:
        return "signatures"
    room = action.partition(".")[0]
    kinds = {
        "run": "ai",
        "comparison": "settling",
        "discrepancy": "settling",
        "consensus": "settling",
        "label": "labels",
        "evidence": "evidence",
        "report": "files",
        "export": "files",
    }
    return "ai" if action == "case.presegmented" else kinds.get(room, "states")


def folded(lines: Iterable[Line]) -> list[Line]:
    """The lines with runs of strokes, and runs of acceptances, folded into one each.

    A run ends when its person does anything else; what others do meanwhile does not end it, nor a
    stroke that changed nothing a run of strokes.
    """
    places: list[list[Line]] = []
    running: dict[str, tuple[str, list[Line]]] = {}
    for line in lines:
        key = _run_key(line)
        found = running.get(line.actor)
        same = found is not None and (
            key == found[0] or (_is_nothing(line) and found[1][0].kind == "strokes")
        )
        if same and found and line.at - found[1][-1].at <= RUN_PAUSE:
            found[1].append(line)
            continue
        places.append([line])
        running.pop(line.actor, None)
        if key:
            running[line.actor] = (key, places[-1])
    return [_run(found) if len(found) > 1 else found[0] for found in places]


def _is_nothing(line: Line) -> bool:
    return line.kind == "strokes" and not line.name and not line.undo


def _run_key(line: Line) -> str:
    """What lines of one run have in common: the node of strokes, the reading of acceptances."""
    if not line.good or line.undo or not line.nodes:
        return ""
    if line.kind == "strokes":
        return f"strokes {line.nodes[0]}"
    return f"accepted {line.reading}" if accepts(line) else ""


def accepts(line: Line) -> bool:
    """Whether a line says that a proposal nobody had decided on was accepted as it is."""
    return (
        line.kind == "decisions"
        and line.good
        and not line.undo
        and (line.said.before, line.said.after) == ("undecided", _ACCEPTED)
    )


def _run(lines: list[Line]) -> Line:
    return _accepted(lines) if lines[0].kind == "decisions" else _strokes(lines)


def _accepted(lines: list[Line]) -> Line:
    names = ", ".join(line.said.what.removesuffix(f" {_ACCEPTED}") for line in lines)
    first = lines[0].said
    return _folded(lines, Said(f"{len(lines)} nodes {_ACCEPTED}", first.before, first.after, names))


def _folded(lines: list[Line], told: Said) -> Line:
    """One line for a run, in the place of its first."""
    return replace(
        lines[0],
        positions=tuple(line.first for line in lines),
        until=lines[-1].at,
        nodes=tuple(dict.fromkeys(node for line in lines for node in line.nodes)),
        said=told,
        undone_by=0,
        hash=lines[-1].hash,
        head=lines[-1].head,
        strokes=tuple(lines),
    )


def _strokes(strokes: list[Line]) -> Line:
    drawn = [line for line in strokes if line.name][-1]
    added, removed = (sum(line.voxels[side] for line in strokes) for side in (0, 1))
    told = Said(
        f"{len(strokes)} strokes on {strokes[0].name}",
        strokes[0].said.before,
        drawn.said.after,
        f"+{added} −{removed} voxels in all",
    )
    return replace(_folded(strokes, told), sad_mm=drawn.sad_mm)
