"""The lifecycle of a reading as one table, and the stage of a case as a function of its parts.

Pure: knows neither Django nor who asks.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum


class ReadingState(StrEnum):
    """Where a reading stands."""

    ASSIGNED = "assigned"
    OPEN = "open"
    SUBMITTED = "submitted"
    COMPARED = "compared"
    RETURNED = "returned"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    ON_HOLD = "on_hold"


class ReadingAction(StrEnum):
    """What can happen to a reading."""

    OPEN = "open"
    CHANGE = "change"
    SUBMIT = "submit"
    COMPARE = "compare"
    RETURN = "return"
    EXPIRE = "expire"
    WITHDRAW = "withdraw"
    HOLD = "hold"
    RELEASE = "release"


S, A = ReadingState, ReadingAction

TRANSITIONS: dict[tuple[ReadingState, ReadingAction], ReadingState] = {
    (S.ASSIGNED, A.OPEN): S.OPEN,
    (S.ASSIGNED, A.HOLD): S.ON_HOLD,
    (S.ASSIGNED, A.EXPIRE): S.EXPIRED,
    (S.ASSIGNED, A.WITHDRAW): S.WITHDRAWN,
    (S.OPEN, A.CHANGE): S.OPEN,
    (S.OPEN, A.SUBMIT): S.SUBMITTED,
    (S.OPEN, A.HOLD): S.ON_HOLD,
    (S.OPEN, A.EXPIRE): S.EXPIRED,
    (S.OPEN, A.WITHDRAW): S.WITHDRAWN,
    (S.ON_HOLD, A.RELEASE): S.ASSIGNED,
    (S.ON_HOLD, A.WITHDRAW): S.WITHDRAWN,
    (S.SUBMITTED, A.COMPARE): S.COMPARED,
    (S.SUBMITTED, A.RETURN): S.RETURNED,
    (S.COMPARED, A.RETURN): S.RETURNED,
}
# What a reader does; all else is a coordinator's or the system's.
OF_A_READER = frozenset({A.OPEN, A.CHANGE, A.SUBMIT})
# A slot of a case is held by at most one reading in one of these.
CURRENT = frozenset({S.ASSIGNED, S.OPEN, S.ON_HOLD, S.SUBMITTED, S.COMPARED})
# Nothing of a reading in one of these ever changes again.
SIGNED = frozenset({S.SUBMITTED, S.COMPARED, S.RETURNED})


class StepRefused(ValueError):
    """That is not possible in the state the reading is in. Do one of what is possible."""

    def __init__(self, state: ReadingState, action: ReadingAction) -> None:
        self.state, self.action = state, action
        self.possible = possible(state, OF_A_READER if action in OF_A_READER else None)
        named = ", ".join(self.possible) or "nothing"
        super().__init__(f"Cannot {action} a reading that is {state}. Possible now: {named}.")


def possible(state: ReadingState, among: Collection[ReadingAction] | None = None) -> list[str]:
    """The actions the table knows from `state`; of those only the ones `among`, where given."""
    return [
        str(action)
        for (before, action) in TRANSITIONS
        if before == state and (among is None or action in among)
    ]


def next_state(state: ReadingState, action: ReadingAction) -> ReadingState:
    """Where `action` leads from `state`; raises `StepRefused`, naming what is possible."""
    try:
        return TRANSITIONS[state, action]
    except KeyError:
        raise StepRefused(state, action) from None


class CaseStage(StrEnum):
    """How far a case has come."""

    UNASSIGNED = "unassigned"
    ASSIGNED = "assigned"
    READING = "reading"
    READ = "read"
    COMPARED = "compared"
    ON_HOLD = "on_hold"


@dataclass(frozen=True)
class Parts:
    """What a case's stage is derived from.

    Attributes:
        required_slots: the slots its protocol needs filled, for example ``("R1", "R2")``.
        readings: (slot, state) of every reading the case ever had, in any order.
    """

    required_slots: Sequence[str]
    readings: Sequence[tuple[str, ReadingState]]


def case_stage(parts: Parts) -> CaseStage:
    """The stage of a case: of its current readings, the one that is furthest behind decides."""
    current = {slot: state for slot, state in parts.readings if state in CURRENT}
    states = [current.get(slot) for slot in parts.required_slots]
    if S.ON_HOLD in states:
        return CaseStage.ON_HOLD
    if states and all(state == S.COMPARED for state in states):
        return CaseStage.COMPARED
    if states and all(state in SIGNED for state in states):
        return CaseStage.READ
    if any(state == S.OPEN or state in SIGNED for state in states):
        return CaseStage.READING
    if states and all(state is not None for state in states):
        return CaseStage.ASSIGNED
    return CaseStage.UNASSIGNED
