"""The table of a run's life, and what travels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.jobs.protocol import (
    ENDED,
    LIVE,
    STAGES,
    RunAction,
    RunState,
    RunStepRefused,
    VolumeDamaged,
    messages,
    next_state,
    overall_progress,
    parse_volume,
)
from tests.jobs.threshold import phantom, volume_bytes


@given(st.lists(st.sampled_from(RunAction)))
def test_a_run_that_succeeded_never_leaves_that_state(actions: list[RunAction]) -> None:
    state = RunState.QUEUED
    for action in actions:
        try:
            after = next_state(state, action)
        except RunStepRefused:
            continue
        assert state is not RunState.SUCCEEDED
        assert after is not RunState.SUCCEEDED or state in LIVE
        state = after


def test_a_step_that_is_not_in_the_table_says_what_is_possible() -> None:
    with pytest.raises(RunStepRefused, match=r"Cannot claim a run that is dead\. .*: requeue\."):
        next_state(RunState.DEAD, RunAction.CLAIM)
    with pytest.raises(RunStepRefused, match="Possible now: nothing"):
        next_state(RunState.SUCCEEDED, RunAction.CANCEL)


def test_live_and_ended_do_not_meet() -> None:
    assert not LIVE & ENDED


def test_progress_grows_through_the_stages_to_the_whole() -> None:
    shares = [overall_progress(stage, part) for stage in STAGES for part in (0.0, 0.5, 1.0)]

    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert shares[-1] == pytest.approx(1.0)
    assert overall_progress("unheard of", 0.5) == 0.0
    assert overall_progress("fetch", 7.0) == overall_progress("fetch", 1.0)


def test_a_volume_travels_unchanged() -> None:
    grid, volume = phantom()

    header, received = parse_volume(volume_bytes())

    assert header["grid"]["geometry_hash"] == grid.geometry_hash
    assert (received == volume).all()
    assert received.dtype == np.int16


@pytest.mark.parametrize("cut", [0, 3, 40, -2])
def test_a_volume_cut_short_is_noticed(cut: int) -> None:
    with pytest.raises(VolumeDamaged):
        parse_volume(volume_bytes()[:cut])


def test_what_is_not_a_message_is_passed_over() -> None:
    assert [m for text in ("", "[]", "{}", '{"type": 1}') for m in messages(text)] == []
    assert list(messages('{"type": "beat"}')) == [{"type": "beat"}]
