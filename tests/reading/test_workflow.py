"""The tables of a reading's, a discrepancy's and a consensus's life, and the stage of a case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.reading.workflow import (
    CONSENSUS_TRANSITIONS,
    CURRENT,
    DECIDED,
    DISCREPANCY_TRANSITIONS,
    RULE_STEPS,
    SIGNED,
    TRANSITIONS,
    UNFINISHED,
    CaseStage,
    ConsensusAction,
    ConsensusState,
    ConsensusStepRefused,
    DiscrepancyAction,
    DiscrepancyState,
    DiscrepancyStepRefused,
    Parts,
    ReadingAction,
    ReadingState,
    StepRefused,
    case_stage,
    consensus_after,
    discrepancy_after,
    next_state,
    possible,
    possible_of_consensus,
    possible_on,
)

S, A = ReadingState, ReadingAction
D, Do = DiscrepancyState, DiscrepancyAction
C, To = ConsensusState, ConsensusAction


@given(st.lists(st.sampled_from(list(A)), max_size=30))
def test_no_walk_leaves_the_declared_states_or_reopens_what_is_signed(walk: list[A]) -> None:
    state = S.ASSIGNED
    for action in walk:
        if str(action) not in possible(state):
            with pytest.raises(StepRefused):
                next_state(state, action)
            continue
        after = next_state(state, action)
        assert after in set(S)
        assert (state, action) in TRANSITIONS
        if state in SIGNED:
            assert after in SIGNED
        if after == S.SUBMITTED:
            assert state == S.OPEN
        state = after


def test_every_state_is_reachable_from_assigned() -> None:
    reached = {S.ASSIGNED}
    while True:
        more = reached | {after for (before, _), after in TRANSITIONS.items() if before in reached}
        if more == reached:
            break
        reached = more
    assert reached == set(S)


def test_a_refusal_says_what_is_possible_now() -> None:
    with pytest.raises(StepRefused, match=r"Cannot submit a reading that is assigned\. Possible"):
        next_state(S.ASSIGNED, A.SUBMIT)
    with pytest.raises(StepRefused, match="Possible now: nothing"):
        next_state(S.WITHDRAWN, A.OPEN)


def test_a_reader_is_offered_only_what_a_reader_can_do() -> None:
    for state in S:
        with pytest.raises(StepRefused) as refused:
            next_state(state, A.CHANGE if state != S.OPEN else A.OPEN)
        assert set(refused.value.possible) <= {"open", "change", "submit"}
    with pytest.raises(StepRefused, match="Possible now: open, hold, expire, withdraw"):
        next_state(S.ASSIGNED, A.COMPARE)


READINGS = st.lists(st.tuples(st.sampled_from(["R1", "R2"]), st.sampled_from(list(S))), max_size=6)


@given(READINGS)
def test_the_stage_depends_on_current_readings_alone(readings: list[tuple[str, S]]) -> None:
    one_each = {slot: (slot, state) for slot, state in readings if state in CURRENT}
    past = [(slot, state) for slot, state in readings if state not in CURRENT]
    current = list(one_each.values())
    slots = ("R1", "R2")
    assert case_stage(Parts(slots, past + current)) == case_stage(Parts(slots, current))
    assert case_stage(Parts(slots, current + past)) == case_stage(Parts(slots, current))


@pytest.mark.parametrize(
    ("states", "stage"),
    [
        ((), CaseStage.UNASSIGNED),
        ((("R1", S.ASSIGNED),), CaseStage.UNASSIGNED),
        ((("R1", S.ASSIGNED), ("R2", S.ASSIGNED)), CaseStage.ASSIGNED),
        ((("R1", S.OPEN), ("R2", S.ASSIGNED)), CaseStage.READING),
        ((("R1", S.SUBMITTED), ("R2", S.ASSIGNED)), CaseStage.READING),
        ((("R1", S.SUBMITTED), ("R2", S.ON_HOLD)), CaseStage.ON_HOLD),
        ((("R1", S.SUBMITTED), ("R2", S.SUBMITTED)), CaseStage.READ),
        ((("R1", S.COMPARED), ("R2", S.COMPARED)), CaseStage.COMPARED),
        ((("R1", S.RETURNED), ("R1", S.OPEN), ("R2", S.COMPARED)), CaseStage.READING),
    ],
)
def test_the_reading_furthest_behind_decides_the_stage(
    states: tuple[tuple[str, S], ...], stage: CaseStage
) -> None:
    assert case_stage(Parts(("R1", "R2"), states)) == stage


def test_a_compared_case_is_published_once_its_consensus_is() -> None:
    both = (("R1", S.COMPARED), ("R2", S.COMPARED))
    assert case_stage(Parts(("R1", "R2"), both, published=True)) == CaseStage.PUBLISHED
    again = (*both, ("R1", S.RETURNED), ("R1", S.OPEN))
    assert case_stage(Parts(("R1", "R2"), again, published=True)) == CaseStage.READING


@given(st.lists(st.sampled_from(list(Do)), max_size=20))
def test_no_walk_of_a_discrepancy_leaves_what_is_decided(walk: list[Do]) -> None:
    state = D.OPEN
    for action in walk:
        if str(action) not in possible_on(state):
            with pytest.raises(DiscrepancyStepRefused):
                discrepancy_after(state, action)
            continue
        after = discrepancy_after(state, action)
        assert state not in DECIDED
        assert (after == D.RESOLVED) == (
            (state, action) in {(D.PROPOSED, Do.AGREE), (D.DEFERRED, Do.RESOLVE)}
        )
        assert (after == D.INDETERMINATE) == (action == Do.LEAVE)
        state = after


def test_every_state_of_a_discrepancy_is_reachable_and_decided_ones_are_final() -> None:
    reached = {D.OPEN} | set(DISCREPANCY_TRANSITIONS.values())
    assert reached == set(D)
    assert {state for state in D if not possible_on(state)} == DECIDED


def test_a_rule_proposes_and_agrees_at_once_and_only_on_what_is_open() -> None:
    assert discrepancy_after(D.OPEN, *RULE_STEPS) == D.RESOLVED
    for state in (D.RESOLVED, D.INDETERMINATE, D.DEFERRED):
        with pytest.raises(DiscrepancyStepRefused, match="Cannot propose a discrepancy that is"):
            discrepancy_after(state, *RULE_STEPS)


def test_what_was_deferred_only_the_adjudicators_word_ends() -> None:
    assert possible_on(D.DEFERRED) == ["resolve", "leave"]
    with pytest.raises(DiscrepancyStepRefused, match="Possible now: propose, defer"):
        discrepancy_after(D.OPEN, Do.RESOLVE)


@given(st.lists(st.sampled_from(list(To)), max_size=40))
def test_no_walk_of_a_consensus_publishes_what_was_not_settled_labelled_and_signed(
    walk: list[To],
) -> None:
    state, path = C.DRAFT, [C.DRAFT]
    for action in walk:
        if (state, action) not in CONSENSUS_TRANSITIONS:
            with pytest.raises(ConsensusStepRefused) as refused:
                consensus_after(state, action)
            assert refused.value.possible == possible_of_consensus(state)
            continue
        state = consensus_after(state, action)
        path.append(state)
    if C.PUBLISHED in path:
        before = path[: path.index(C.PUBLISHED)]
        needed = [C.DRAFT, C.LABELLING, C.READY, C.SIGNING]
        assert [at for at in needed if at in before] == needed
        assert path[path.index(C.PUBLISHED) + 1 :] in ([], [C.SUPERSEDED])
    assert path.count(C.DRAFT) == 1
    if C.SUPERSEDED in path:
        assert path[-1] == C.SUPERSEDED


def test_every_state_of_a_consensus_is_reachable_and_only_the_superseded_is_the_end() -> None:
    assert {C.DRAFT} | set(CONSENSUS_TRANSITIONS.values()) == set(C)
    left = {before for before, _ in CONSENSUS_TRANSITIONS}
    assert set(C) - left == {C.SUPERSEDED}
    assert set(C) - UNFINISHED == {C.PUBLISHED, C.SUPERSEDED}


def test_an_objection_sends_a_consensus_back_to_its_labels() -> None:
    assert consensus_after(C.SIGNING, To.OBJECT) == C.LABELLING
    for state in (C.DRAFT, C.LABELLING, C.READY, C.PUBLISHED):
        with pytest.raises(ConsensusStepRefused, match="Cannot object a consensus that is"):
            consensus_after(state, To.OBJECT)


def test_a_refused_step_of_a_consensus_names_only_what_people_do() -> None:
    offered = {action for state in C for action in possible_of_consensus(state)}
    assert offered == {"label", "sign", "object"}
    with pytest.raises(ConsensusStepRefused, match="Possible now: nothing"):
        consensus_after(C.DRAFT, To.SIGN)
