"""The arithmetic of the log, without a database: what an event hashes to, and where a chain breaks.

A row is an event as stored: `number, chain, position, previous, hash, at, actor, actor_name,
action, subject_type, subject_id, outcome, reason, facts as text, software`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any


@dataclass(frozen=True)
class Fault:
    """One place where the log is not what was written."""

    chain: str
    position: int
    kind: str
    sentence: str


def canonical(row: Sequence[Any]) -> bytes:
    """The bytes an event is hashed as (as the database's `audit_canonical`)."""
    number, chain, position, _, _, at, actor, *rest = row
    moment = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    values = (number, chain, position, moment, "" if actor is None else actor, *rest)
    return chr(31).join(str(value) for value in values).encode()


def broken_links(chain: str, rows: Sequence[Sequence[Any]]) -> list[Fault]:
    """Every event of a chain, in order, that was altered, removed, moved or put in between."""
    faults: list[Fault] = []
    previous, expected, last_number = b"", 1, 0
    for row in rows:
        number, _, position, stored_previous, stored_hash = row[:5]
        computed = hashlib.sha256(bytes(stored_previous) + canonical(row)).digest()
        if position != expected:
            missing = f"{expected}" if position == expected + 1 else f"{expected} to {position - 1}"
            faults.append(
                Fault(chain, expected, "deleted", f"{chain}: event {missing} was deleted.")
            )
        elif number < last_number:
            faults.append(
                Fault(
                    chain,
                    position,
                    "swapped",
                    f"{chain}: events {position - 1} and {position} changed places.",
                )
            )
        elif bytes(stored_previous) != previous:
            faults.append(
                Fault(
                    chain,
                    position,
                    "unlinked",
                    f"{chain}: event {position} does not follow from event {position - 1}.",
                )
            )
        if computed != bytes(stored_hash):
            faults.append(
                Fault(chain, position, "altered", f"{chain}: event {position} was altered.")
            )
        previous, expected = bytes(stored_hash), position + 1
        last_number = max(last_number, number)
    return faults
