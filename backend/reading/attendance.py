"""Who else has a consensus open, as one of those who settle it may know it.

From the comparison on, and by role alone: the other reader, the adjudicator, "you" never. Who
oversees the case is neither told of anybody nor told of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from backend.accounts.models import User
from backend.reading.consensus_selectors import Seat, consensus_for, seat_of
from backend.reading.models import Attendance
from backend.reading.vocabulary import Phase, SettlingRole

# A line gives a sign of life this often, and counts as gone without one after so long.
ALIVE_EVERY = timedelta(seconds=10)
LOST_AFTER = timedelta(seconds=45)
_LARGEST_NODE = 65_535


@dataclass(frozen=True)
class Place:
    """What somebody looks at: a phase, in it a discrepancy or an agreed node (by its number)."""

    phase: Phase
    discrepancy: UUID | None = None
    node: int | None = None


def place_of(message: Any) -> Place | None:
    """The place that a browser's message tells of; None for any other message.

    `{"looking": {"phase": …, "discrepancy": UUID or null, "node": number or null}}`.
    """
    said = message.get("looking") if isinstance(message, Mapping) else None
    if not isinstance(said, Mapping) or said.get("phase") not in Phase.values:
        return None
    node = said.get("node")
    known = type(node) is int and 0 < node <= _LARGEST_NODE
    try:
        discrepancy = UUID(said["discrepancy"]) if said.get("discrepancy") else None
    except (ValueError, TypeError, AttributeError):
        return None
    return Place(Phase(said["phase"]), discrepancy, node if known else None)


def company_of(user: User, consensus: UUID) -> list[dict[str, Any]]:
    """Who else is there, each once, by role; raises `Missing` for who may not know of it.

    Somebody with the screen open twice is where they looked last.
    """
    found, asker = consensus_for(user, consensus)
    if asker.seat == Seat.OBSERVER:
        return []
    since = timezone.now() - LOST_AFTER
    rows = Attendance.objects.filter(consensus=found, seen__gte=since).exclude(user=user)
    latest = {row.user_id: row for row in rows.select_related("user").order_by("moved")}
    company = []
    for row in latest.values():
        seat = seat_of(row.user, found)
        if seat is None or seat == Seat.OBSERVER:
            continue
        company.append(
            {
                "who": asker.word_for(row.user, SettlingRole(seat.value)),
                "phase": row.phase,
                "discrepancy": str(row.discrepancy_id) if row.discrepancy_id else None,
                "node": row.node,
            }
        )
    return sorted(company, key=lambda one: (one["who"], str(one["discrepancy"]), one["node"] or 0))
