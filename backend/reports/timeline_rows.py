"""Lines of a story as a page shows them: local times, days set apart, pages, filters, CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any
from urllib.parse import urlencode

from backend.reports import tables
from backend.reports.timeline_cast import Cast
from backend.reports.timeline_story import KINDS, PHASES, Line
from backend.reports.timeline_strip import spoken
from backend.version import RESEARCH_NOTICE

PAGE = 100
NOBODY = "concord"
CSV_COLUMNS = (
    "position",
    "at_utc",
    "at_local",
    "who",
    "role",
    "phase",
    "kind",
    "action",
    "what",
    "before",
    "after",
    "detail",
    "reason",
    "outcome",
    "nodes",
    "hash",
    "research_use",
)


@dataclass(frozen=True)
class Wanted:
    """What an auditor wants to see; "" is everything."""

    person: str = ""
    node: str = ""
    kind: str = ""
    phase: str = ""

    def admits(self, line: Line) -> bool:
        """Whether a line is wanted."""
        return (
            self.person in ("", line.actor or NOBODY)
            and self.kind in ("", line.kind)
            and self.phase in ("", line.phase)
            and (not self.node or self.node in line.nodes)
        )

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return self == Wanted()


def wanted_of(asked: Mapping[str, str], lines: Sequence[Line], cast: Cast) -> Wanted:
    """The filters of an address; what nobody knows is left out."""
    people = {line.actor or NOBODY for line in lines}
    known = {"person": people, "node": set(cast.nodes), "kind": set(KINDS), "phase": set(PHASES)}
    found = {name: asked.get(name, "") for name in known}
    return Wanted(**{name: value for name, value in found.items() if value in known[name]})


def choices_of(lines: Sequence[Line], cast: Cast) -> dict[str, list[tuple[str, str]]]:
    """What can be filtered by, with names: only what occurs."""
    people: dict[str, str] = {}
    for line in lines:
        people.setdefault(line.actor or NOBODY, line.who if line.actor else "Concord and the AI")
    nodes = {node for line in lines for node in line.nodes}
    kinds, phases = {line.kind for line in lines}, {line.phase for line in lines}
    named = sorted(
        ((uuid, cast.nodes[uuid]) for uuid in nodes), key=lambda one: (one[1].slot, one[1].number)
    )
    return {
        "person": sorted(people.items(), key=lambda one: one[1].lower()),
        "node": [(uuid, cast.both(uuid)) for uuid, _ in named],
        "kind": [(key, name) for key, name in KINDS.items() if key in kinds],
        "phase": [(key, name) for key, name in PHASES.items() if key in phases],
    }


@dataclass(frozen=True)
class Page:
    """One page of lines."""

    lines: Sequence[Line]
    number: int
    pages: int
    total: int

    @property
    def shown(self) -> tuple[int, int] | None:
        """First and last position on the page."""
        if not self.lines:
            return None
        return min(line.first for line in self.lines), max(line.last for line in self.lines)


def page_of(lines: Sequence[Line], *, number: str = "", at: str = "") -> Page:
    """A page by its number, or the one on which an event stands."""
    pages = max(1, -(-len(lines) // PAGE))
    wanted = int(number) if number.isdecimal() and len(number) < 7 else 1
    if at.isdecimal() and len(at) < 12:
        place = int(at)
        found = next((i for i, line in enumerate(lines) if place in line.positions), None)
        if found is None:
            found = next((i for i, line in enumerate(lines) if line.last >= place), 0)
        wanted = found // PAGE + 1
    chosen = min(max(wanted, 1), pages)
    return Page(lines[(chosen - 1) * PAGE : chosen * PAGE], chosen, pages, len(lines))


def rows_of(lines: Iterable[Line], zone: tzinfo, cast: Cast) -> list[dict[str, Any]]:
    """Lines for the eye; a row that begins a day says which."""
    rows, day = [], ""
    for line in lines:
        row = row_of(line, zone, cast)
        row["new_day"] = row["day"] if row["day"] != day else ""
        day = row["day"]
        rows.append(row)
    return rows


def row_of(line: Line, zone: tzinfo, cast: Cast) -> dict[str, Any]:
    """One line for the eye."""
    at, until = line.at.astimezone(zone), line.until.astimezone(zone)
    positions = str(line.first)
    if line.last != line.first:
        positions = f"{line.first}–{line.last}"
    return {
        "first": line.first,
        "positions": positions,
        "day": f"{at:%A, %d %B %Y}",
        "time": f"{at:%H:%M:%S}",
        "until": f"{until:%H:%M:%S}" if f"{until:%H:%M:%S}" != f"{at:%H:%M:%S}" else "",
        "lasted": spoken(line.until - line.at) if until != at else "",
        "utc": _utc(line.at) + (f" to {_utc(line.until)}" if until != at else ""),
        "iso": line.at.isoformat(),
        "who": line.who,
        "role": line.role,
        "phase": line.phase,
        "phase_name": PHASES[line.phase],
        "kind": line.kind,
        "what": line.said.what,
        "detail": line.said.detail,
        "before": line.said.before,
        "after": line.said.after,
        "reason": line.reason,
        "good": line.good,
        "undo": line.undo,
        "undone_by": line.undone_by,
        "run": len(line.strokes),
        "hash": line.hash,
        "action": line.action,
        "node": line.nodes[0] if len(line.nodes) == 1 or line.name else "",
        "node_name": cast.node(line.nodes[0]) if line.nodes else "",
    }


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d} UTC"


def address(base: str, wanted: Wanted, **more: object) -> str:
    """An address with these filters, the default ones left out."""
    asked = {name: value for name, value in vars(wanted).items() if value}
    asked |= {name: str(value) for name, value in more.items() if value}
    return f"{base}?{urlencode(asked)}" if asked else base


def csv_of(lines: Iterable[Line], zone: tzinfo, cast: Cast) -> bytes:
    """Every event as one row, none folded."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(CSV_COLUMNS)
    for line in lines:
        cells = (
            str(line.first),
            line.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            line.at.astimezone(zone).isoformat(timespec="seconds"),
            line.who,
            line.role,
            PHASES[line.phase],
            KINDS[line.kind],
            line.action,
            line.said.what,
            line.said.before,
            line.said.after,
            line.said.detail,
            line.reason,
            "success" if line.good else "failure",
            "; ".join(cast.node(node) for node in line.nodes),
            line.hash,
            RESEARCH_NOTICE,
        )
        writer.writerow([tables.guarded(cell) for cell in cells])
    return stream.getvalue().encode("utf-8-sig")
