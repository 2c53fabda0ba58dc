"""The table of a transfer's states."""

from __future__ import annotations

from backend.archive.remotes.lifecycle import (
    BROKEN_OFF,
    OPEN,
    TRANSITIONS,
    TransferAction,
    TransferState,
    possible,
)


def test_every_state_is_reached_and_only_two_are_final() -> None:
    reached = set(TRANSITIONS.values())
    assert reached | {TransferState.QUEUED} == set(TransferState)
    left = {state for state, _ in TRANSITIONS}
    assert set(TransferState) - left == {TransferState.DONE, TransferState.ACCEPTED}
    assert {action for _, action in TRANSITIONS} == set(TransferAction)


def test_what_a_person_may_ask_for() -> None:
    asked = {state: [a.value for a in possible(state)] for state in TransferState}
    assert asked == {
        "queued": ["cancel"],
        "running": ["cancel"],
        "done": [],
        "failed": ["retry", "accept"],
        "cancelled": ["retry", "accept"],
        "accepted": [],
    }


def test_only_settled_transfers_let_their_series_be_judged() -> None:
    assert not OPEN & BROKEN_OFF
    settled = set(TransferState) - OPEN - BROKEN_OFF
    assert settled == {TransferState.DONE, TransferState.ACCEPTED}
    for state in BROKEN_OFF:
        assert {a.value for a in possible(state)} == {"retry", "accept"}
