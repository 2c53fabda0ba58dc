"""Which pair of thresholds a model gets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inference.second_look import SecondLook
from inference.training.operating_point import choose, choose_drawn

NONE = np.zeros(0)
LOOK = SecondLook((), NONE, NONE, NONE, NONE, bias=0.0, threshold=0.5)


def row(false_positives: float, recall: float, dice: float | None) -> tuple[dict[str, Any], Any]:
    return {"false_positives": false_positives, "recall_5mm": recall, "dice": dice}, LOOK


def test_recall_and_dice_together_are_weighed_within_the_limit() -> None:
    best = row(5.0, 0.78, 0.80)
    rows = [row(9.0, 0.95, 0.9), row(6.0, 0.80, 0.70), best, row(1.0, 0.40, 0.85)]
    assert choose(rows, 6.0) is best


def test_ties_go_to_fewer_false_positives_and_no_dice_counts_as_none() -> None:
    fewer = row(2.0, 0.8, 0.7)
    assert choose([row(3.0, 0.8, 0.7), fewer, row(0.5, 0.9, None)], 6.0) is fewer


def test_a_false_alarm_must_bring_something() -> None:
    few = row(2.0, 0.80, 0.80)
    assert choose([row(6.0, 0.81, 0.80), few], 6.2) is few
    more = row(4.0, 0.82, 0.80)
    assert choose([more, few], 6.2) is more


def test_where_no_pair_keeps_to_the_limit_it_says_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"6\.0 false positives a scan. Train longer"):
        choose([row(6.1, 1.0, 1.0)], 6.0)


def drawn(level: float | None, recall: float, dice: float) -> dict[str, Any]:
    same = {"recall_15mm": recall, "recall_necrotic": recall}
    return {"drawn_threshold": level, "recall_5mm": recall, "dice": dice, **same}


def test_large_nodes_are_drawn_on_as_far_as_dice_keeps_its_reserve() -> None:
    rows = [drawn(None, 0.80, 0.84), drawn(0.2, 0.85, 0.82), drawn(0.1, 0.95, 0.80)]
    assert choose_drawn(rows)["drawn_threshold"] == 0.2


def test_large_nodes_are_drawn_as_others_where_that_gains_nothing_or_dice_is_poor() -> None:
    worse = drawn(0.1, 0.80, 0.81)
    assert choose_drawn([drawn(None, 0.80, 0.84), worse])["drawn_threshold"] is None
    assert choose_drawn([drawn(None, 0.5, 0.7), drawn(0.1, 0.9, 0.6)])["drawn_threshold"] is None
