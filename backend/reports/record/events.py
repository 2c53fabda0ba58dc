"""Events as they were stored: read from a row, written to a line, and verified as a chain."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from backend.audit.chain import broken_links

_FIELDS = {
    "number": int,
    "chain": str,
    "position": int,
    "previous": str,
    "hash": str,
    "at": str,
    "actor": str,
    "actor_name": str,
    "action": str,
    "subject_type": str,
    "subject_id": str,
    "outcome": str,
    "reason": str,
    "facts_text": str,
    "software": str,
}
_HEX = re.compile(r"([0-9a-f]{64})?")
_MOMENT = "%Y-%m-%dT%H:%M:%S.%fZ"


class UnreadableEvent(ValueError):
    """A line is no event of Concord. Export the record again."""

    def __init__(self, place: str, detail: str) -> None:
        super().__init__(f"{place} is no event of Concord: {detail}. Export the record again.")


@dataclass(frozen=True)
class Event:
    """One event as stored.

    `at` is UTC with microseconds and `Z`; `actor` is the person's UUID, "" for the system;
    `facts_text` is the facts' text as the database holds it, because that is what was hashed;
    `previous` and `hash` are hex, `previous` "" for the first event of a chain.
    """

    number: int
    chain: str
    position: int
    previous: str
    hash: str
    at: str
    actor: str
    actor_name: str
    action: str
    subject_type: str
    subject_id: str
    outcome: str
    reason: str
    facts_text: str
    software: str

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The facts as data."""
        found = json.loads(self.facts_text)
        return found if isinstance(found, dict) else {}

    @property
    def succeeded(self) -> bool:
        """Whether what it tells of came about."""
        return self.outcome == "success"

    @property
    def moment(self) -> datetime:
        """The time to the microsecond."""
        return datetime.strptime(self.at, _MOMENT).replace(tzinfo=UTC)

    @property
    def stamp(self) -> str:
        """The time as it is printed and compared: milliseconds."""
        return self.at[:23] + "Z"


def of_row(row: Sequence[Any]) -> Event:
    """An event from a row of the audit table (`audit.history.stored_rows`)."""
    number, chain, position, previous, digest, at, actor, *rest = row
    return Event(
        number,
        chain,
        position,
        bytes(previous).hex(),
        bytes(digest).hex(),
        at.astimezone(UTC).strftime(_MOMENT),
        "" if actor is None else str(actor),
        *rest,
    )


def to_line(event: Event) -> str:
    """An event as one line of JSON."""
    return json.dumps(asdict(event), ensure_ascii=False, sort_keys=True)


def of_line(line: str, place: str = "The line") -> Event:
    """An event from its line; raises `UnreadableEvent`, naming the `place`."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UnreadableEvent(place, "it is not JSON") from error
    if not isinstance(value, dict) or set(value) != set(_FIELDS):
        raise UnreadableEvent(place, "it has other fields")
    wrong = sorted(name for name, kind in _FIELDS.items() if type(value[name]) is not kind)
    if wrong:
        raise UnreadableEvent(place, f"its {wrong[0]} is of another type")
    event = Event(**value)
    try:
        datetime.strptime(event.at, _MOMENT)  # noqa: DTZ007 - `Z` is part of the form
        facts = json.loads(event.facts_text)
    except (ValueError, RecursionError) as error:
        raise UnreadableEvent(place, "its time or its facts cannot be read") from error
    if not isinstance(facts, dict):
        raise UnreadableEvent(place, "its facts are no object")
    if not (_HEX.fullmatch(event.previous) and _HEX.fullmatch(event.hash) and event.hash):
        raise UnreadableEvent(place, "its hashes are no SHA-256")
    return event


def faults_of(events: Iterable[Event]) -> list[str]:
    """A sentence for every place where the events of one chain are not as they were written."""
    rows = [_row(event) for event in events]
    return [fault.sentence for fault in broken_links(rows[0][1] if rows else "", rows)]


def _row(event: Event) -> tuple[Any, ...]:
    return (
        event.number,
        event.chain,
        event.position,
        bytes.fromhex(event.previous),
        bytes.fromhex(event.hash),
        datetime.strptime(event.at, _MOMENT).replace(tzinfo=UTC),
        event.actor or None,
        event.actor_name,
        event.action,
        event.subject_type,
        event.subject_id,
        event.outcome,
        event.reason,
        event.facts_text,
        event.software,
    )
