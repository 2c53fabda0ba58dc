"""What a list of changes reads before and writes after, in as few turns to the database as can be.

A stroke waits for these, so that they are plain statements made once, sent one behind the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

from django.db import models

from backend import rows
from backend.accounts.models import User
from backend.reading.models import (
    Case,
    Change,
    Mask,
    Node,
    NodeState,
    NotAssessable,
    Protocol,
    Reading,
)

_OF_CASE = tuple(
    f.attname for f in Case._meta.concrete_fields if f.name not in ("grid_json", "facts")
)
_OF_MASK = ("id", "hash")
_OF_NODE = ("id", "origin", "box", "score")
_OF_ANSWER = ("client_id", "answer")


@dataclass(frozen=True)
class Begun:
    """A locked reading with its case, masks, nodes and regions.

    Attributes:
        answers: what was told to the changes that it knows, by their client's UUID.
        states: its nodes in label order.
    """

    reading: Reading
    answers: dict[UUID, Any]
    states: list[NodeState]
    regions: list[NotAssessable]


def begin(reading: UUID, client_ids: Sequence[UUID]) -> Begun:
    """Lock a reading, then read it: the statement that waits for the lock joins nothing."""
    statements = _statements()
    _, (found,), known, states, regions = rows.ask(
        (statements["lock"], [reading]),
        (statements["reading"], [reading]),
        (statements["answers"], [reading, list(client_ids)]),
        (statements["states"], [reading]),
        (statements["regions"], [reading]),
    )
    told = [rows.read(Change, values, _OF_ANSWER) for values in known]
    return Begun(
        _reading(found),
        {change.client_id: change.answer for change in told},
        [_state(values) for values in states],
        [rows.read(NotAssessable, values) for values in regions],
    )


@cache
def _statements() -> dict[str, str]:
    def table(model: type[models.Model]) -> str:
        return model._meta.db_table

    columns = rows.columns_of
    return {
        "lock": f"select 1 from {table(Reading)} where id = %s for update",  # noqa: S608
        "reading": (
            f"select {columns(Reading, 'r')}, {columns(Case, 'c', _OF_CASE)}, "  # noqa: S608
            f"{columns(Protocol, 'p')}, {columns(User, 'u')}, "
            f"{columns(Mask, 'b', _OF_MASK)}, {columns(Mask, 'h', _OF_MASK)} "
            f"from {table(Reading)} r join {table(Case)} c on c.id = r.case_id "
            f"join {table(Protocol)} p on p.id = c.protocol_id "
            f"join {table(User)} u on u.id = r.reader_id "
            f"join {table(Mask)} b on b.id = r.base_id "
            f"join {table(Mask)} h on h.id = r.head_id where r.id = %s"
        ),
        "answers": (
            f"select {columns(Change, 'c', _OF_ANSWER)} from {table(Change)} c "  # noqa: S608
            "where c.reading_id = %s and c.client_id = any(%s)"
        ),
        "states": (
            f"select {columns(NodeState, 's')}, {columns(Node, 'n', _OF_NODE)} "  # noqa: S608
            f"from {table(NodeState)} s join {table(Node)} n on n.id = s.node_id "
            "where s.reading_id = %s order by s.label"
        ),
        "regions": (
            f"select {columns(NotAssessable, 'a')} from {table(NotAssessable)} a "  # noqa: S608
            "where a.reading_id = %s order by a.id"
        ),
    }


def _reading(values: Sequence[Any]) -> Reading:
    rest = list(values)

    def taken(count: int) -> list[Any]:
        part = rest[:count]
        del rest[:count]
        return part

    def whole(model: type[models.Model]) -> int:
        return len(model._meta.concrete_fields)

    reading = rows.read(Reading, taken(whole(Reading)))
    case = rows.read(Case, taken(len(_OF_CASE)), _OF_CASE)
    case.protocol = rows.read(Protocol, taken(whole(Protocol)))
    reading.case = case
    reading.reader = rows.read(User, taken(whole(User)))
    reading.base = rows.read(Mask, taken(len(_OF_MASK)), _OF_MASK)
    reading.head = rows.read(Mask, taken(len(_OF_MASK)), _OF_MASK)
    return reading


def _state(values: Sequence[Any]) -> NodeState:
    own = len(NodeState._meta.concrete_fields)
    state = rows.read(NodeState, values[:own])
    state.node = rows.read(Node, values[own:], _OF_NODE)
    return state


@dataclass
class Ledger:
    """Rows that are made, and written when they are many, or before somebody looks for them."""

    _unwritten: list[models.Model] = field(default_factory=list)

    def add(self, made: Iterable[models.Model]) -> None:
        """Rows that nobody else may make, so that no statement of them is refused."""
        self._unwritten += made

    def write(self) -> None:
        """Have them sent to the database; within `rows.in_one_go` or alone."""
        for row in self._unwritten:
            rows.insert(row)
        self._unwritten.clear()
