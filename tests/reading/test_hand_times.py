"""How long a reshape took and what stayed untouched, by arithmetic on a made-up reading."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from backend.reading.hand_times import Hands, Step, hands_of, seconds_by_node

BEGIN = datetime(2026, 3, 4, 9, tzinfo=UTC)


def step(seconds: float, what: str = "changed.voxels", *nodes: str, **facts: Any) -> Step:
    told = {"nodes": [{"node": node} for node in nodes], **facts} if nodes else facts
    return Step(BEGIN + timedelta(seconds=seconds), f"reading.{what}", told)


def test_a_stroke_took_the_time_since_what_came_before_it() -> None:
    steps = [
        step(0, "opened"),
        step(10, "changed.voxels", "a"),
        step(12, "changed.decision", node="b"),
        step(15, "changed.voxels", "b"),
        step(19, "changed.undo", "a"),
    ]
    assert seconds_by_node(steps) == {"a": 14.0, "b": 3.0}


def test_a_pause_counts_up_to_a_minute_and_none_before_the_first_event() -> None:
    steps = [step(500, "changed.voxels", "a"), step(4000, "changed.voxels", "a")]
    assert seconds_by_node(steps) == {"a": 60.0}


def test_what_came_together_after_a_cut_shares_its_time_and_so_do_nodes_of_one_change() -> None:
    steps = [
        step(0, "opened"),
        step(30, "changed.voxels", "a"),
        step(30.02, "changed.decision", node="a"),
        step(30.05, "changed.voxels", "a", "b"),
    ]
    assert seconds_by_node(steps) == {"a": 15.0, "b": 5.0}


def test_untouched_are_the_kept_ones_that_were_signed_as_offered() -> None:
    steps = [
        step(0, "opened"),
        step(4, "changed.voxels", "reshaped"),
        step(9, "changed.voxels", "rejected"),
        step(20, "changed.voxels", "new"),
        step(22, "changed.voxels", "erased"),
    ]
    decisions = {
        "plain": "accepted",
        "other": "accepted",
        "reshaped": "reshaped",
        "erased": "reshaped",
        "rejected": "rejected",
        "merged": "merged",
        "new": "added",
    }
    offered = set(decisions) - {"new"}
    found = hands_of(steps, decisions, offered, {"plain", "other", "reshaped", "new"})
    assert found == Hands(kept=4, untouched=2, seconds=(4.0,))
    assert found.to_json() == {
        "kept": 4,
        "untouched": 2,
        "untouched_share": 0.5,
        "reshaped": 1,
        "reshape_seconds_median": 4.0,
        "reshape_seconds_mean": 4.0,
        "reshape_seconds_total": 4.0,
    }


def test_without_proposals_there_is_no_share() -> None:
    found = hands_of([step(0, "opened")], {"new": "added"}, set(), {"new"}).to_json()
    assert (found["untouched_share"], found["reshape_seconds_median"]) == (None, None)
