"""The lifecycles of readings, discrepancies and consensuses, each one table; the stage of a case.

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


class DiscrepancyState(StrEnum):
    """Where a discrepancy between two readings stands."""

    OPEN = "open"
    PROPOSED = "proposed"
    RESOLVED = "resolved"
    INDETERMINATE = "indeterminate"
    DEFERRED = "deferred"


class DiscrepancyAction(StrEnum):
    """What can happen to a discrepancy.

    A rule proposes and agrees in one moment; of people one proposes and the other agrees. What
    either defers the adjudicator resolves. Who agrees to "indeterminate", or ends with it as the
    adjudicator, leaves it.
    """

    PROPOSE = "propose"
    AGREE = "agree"
    LEAVE = "leave"
    DEFER = "defer"
    RESOLVE = "resolve"


class Resolution(StrEnum):
    """What was made of a discrepancy: by people, or, for the last two, by a rule."""

    X = "X"
    Y = "Y"
    AI = "AI"
    UNION = "union"
    INTERSECTION = "intersection"
    REDRAWN = "redrawn"
    ABSENT = "absent"
    MEAN = "mean"
    IGNORE = "ignore"


BY_RULE = frozenset({Resolution.MEAN, Resolution.IGNORE})
# What can be proposed beside the resolutions: that it cannot be told. It leaves the discrepancy.
INDETERMINATE = "indeterminate"

D, Do = DiscrepancyState, DiscrepancyAction

DISCREPANCY_TRANSITIONS: dict[tuple[DiscrepancyState, DiscrepancyAction], DiscrepancyState] = {
    (D.OPEN, Do.PROPOSE): D.PROPOSED,
    (D.OPEN, Do.DEFER): D.DEFERRED,
    (D.PROPOSED, Do.PROPOSE): D.PROPOSED,
    (D.PROPOSED, Do.AGREE): D.RESOLVED,
    (D.PROPOSED, Do.LEAVE): D.INDETERMINATE,
    (D.PROPOSED, Do.DEFER): D.DEFERRED,
    (D.DEFERRED, Do.RESOLVE): D.RESOLVED,
    (D.DEFERRED, Do.LEAVE): D.INDETERMINATE,
}
# Nothing of a discrepancy in one of these ever changes again.
DECIDED = frozenset({D.RESOLVED, D.INDETERMINATE})
# What each can do to a discrepancy.
OF_A_READER_SETTLING = frozenset({Do.PROPOSE, Do.AGREE, Do.LEAVE, Do.DEFER})
OF_AN_ADJUDICATOR = frozenset({Do.RESOLVE, Do.LEAVE})
RULE_STEPS = (Do.PROPOSE, Do.AGREE)


class DiscrepancyStepRefused(ValueError):
    """That is not possible in the state the discrepancy is in. Do one of what is possible."""

    def __init__(self, state: DiscrepancyState, action: DiscrepancyAction) -> None:
        self.state, self.action = state, action
        self.possible = possible_on(state)
        named = ", ".join(self.possible) or "nothing"
        super().__init__(f"Cannot {action} a discrepancy that is {state}. Possible now: {named}.")


def possible_on(state: DiscrepancyState) -> list[str]:
    """The actions the table of discrepancies knows from `state`."""
    return [str(action) for (before, action) in DISCREPANCY_TRANSITIONS if before == state]


def discrepancy_after(state: DiscrepancyState, *actions: DiscrepancyAction) -> DiscrepancyState:
    """Where `actions` lead from `state`; raises `DiscrepancyStepRefused`."""
    for action in actions:
        try:
            state = DISCREPANCY_TRANSITIONS[state, action]
        except KeyError:
            raise DiscrepancyStepRefused(state, action) from None
    return state


class ConsensusState(StrEnum):
    """Where a version of a case's consensus stands."""

    DRAFT = "draft"
    LABELLING = "labelling"
    READY = "ready"
    SIGNING = "signing"
    PUBLISHED = "published"
    SUPERSEDED = "superseded"


class ConsensusAction(StrEnum):
    """What can happen to a consensus.

    It settles by itself once nothing is open, is complete by itself once every node is labelled,
    and is published by its last signature. A required signer objects. It is superseded by the next
    version that is published, or, unpublished, by the comparison of a new round of reading.
    """

    SETTLE = "settle"
    LABEL = "label"
    COMPLETE = "complete"
    SIGN = "sign"
    OBJECT = "object"
    PUBLISH = "publish"
    SUPERSEDE = "supersede"


C, To = ConsensusState, ConsensusAction

CONSENSUS_TRANSITIONS: dict[tuple[ConsensusState, ConsensusAction], ConsensusState] = {
    (C.DRAFT, To.SETTLE): C.LABELLING,
    (C.DRAFT, To.SUPERSEDE): C.SUPERSEDED,
    (C.LABELLING, To.LABEL): C.LABELLING,
    (C.LABELLING, To.COMPLETE): C.READY,
    (C.LABELLING, To.SUPERSEDE): C.SUPERSEDED,
    (C.READY, To.LABEL): C.LABELLING,
    (C.READY, To.SIGN): C.SIGNING,
    (C.READY, To.SUPERSEDE): C.SUPERSEDED,
    (C.SIGNING, To.SIGN): C.SIGNING,
    (C.SIGNING, To.OBJECT): C.LABELLING,
    (C.SIGNING, To.PUBLISH): C.PUBLISHED,
    (C.SIGNING, To.SUPERSEDE): C.SUPERSEDED,
    (C.PUBLISHED, To.SUPERSEDE): C.SUPERSEDED,
}
# A case has at most one consensus in one of these.
UNFINISHED = frozenset({C.DRAFT, C.LABELLING, C.READY, C.SIGNING})
# What people do; all else happens by itself.
OF_PEOPLE = frozenset({To.LABEL, To.SIGN, To.OBJECT})


class ConsensusStepRefused(ValueError):
    """That is not possible in the state the consensus is in. Do one of what is possible."""

    def __init__(self, state: ConsensusState, action: ConsensusAction) -> None:
        self.state, self.action = state, action
        self.possible = possible_of_consensus(state)
        named = ", ".join(self.possible) or "nothing"
        super().__init__(f"Cannot {action} a consensus that is {state}. Possible now: {named}.")


def possible_of_consensus(state: ConsensusState) -> list[str]:
    """What people can do to a consensus that is in `state`; all else happens by itself."""
    return [
        str(action)
        for (before, action) in CONSENSUS_TRANSITIONS
        if before == state and action in OF_PEOPLE
    ]


def consensus_after(state: ConsensusState, action: ConsensusAction) -> ConsensusState:
    """Where `action` leads a consensus; raises `ConsensusStepRefused`."""
    try:
        return CONSENSUS_TRANSITIONS[state, action]
    except KeyError:
        raise ConsensusStepRefused(state, action) from None


class CaseStage(StrEnum):
    """How far a case has come."""

    UNASSIGNED = "unassigned"
    ASSIGNED = "assigned"
    READING = "reading"
    READ = "read"
    COMPARED = "compared"
    PUBLISHED = "published"
    ON_HOLD = "on_hold"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Parts:
    """What a case's stage is derived from.

    Attributes:
        required_slots: the slots its protocol needs filled, for example ``("R1", "R2")``.
        readings: (slot, state) of every reading the case ever had, in any order.
        published: whether a version of its consensus is published.
        superseded: whether another case took its place.
    """

    required_slots: Sequence[str]
    readings: Sequence[tuple[str, ReadingState]]
    published: bool = False
    superseded: bool = False


def case_stage(parts: Parts) -> CaseStage:
    """The stage of a case: of its current readings, the one that is furthest behind decides."""
    if parts.superseded:
        return CaseStage.WITHDRAWN
    current = {slot: state for slot, state in parts.readings if state in CURRENT}
    states = [current.get(slot) for slot in parts.required_slots]
    if S.ON_HOLD in states:
        return CaseStage.ON_HOLD
    if states and all(state == S.COMPARED for state in states):
        return CaseStage.PUBLISHED if parts.published else CaseStage.COMPARED
    if states and all(state in SIGNED for state in states):
        return CaseStage.READ
    if any(state == S.OPEN or state in SIGNED for state in states):
        return CaseStage.READING
    if states and all(state is not None for state in states):
        return CaseStage.ASSIGNED
    return CaseStage.UNASSIGNED
