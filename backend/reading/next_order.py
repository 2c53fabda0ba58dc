"""Which of a reader's unread cases comes next, where the protocol leaves that to the model. Pure.

Only two things are asked: how sure the model is of the nodes it offers in a case, and, of cases
that are long published, how often readers rejected what the model was so sure of. Nothing that
anybody did in an unpublished case goes in, so that no reader's order tells of another's work.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

BINS = 10
"""Scores (0 to 1) are told apart in so many steps."""

LEAST_DECIDED = 20
"""Of so many published decisions at least, disagreement is learnt; of fewer, nothing."""

SAME = 1e-6
PRIOR = 2
"""A bin without decisions holds the overall share, as if it had been seen so often."""


class Order(StrEnum):
    """How a protocol orders what a reader has not begun."""

    NEWEST = "newest"
    UNCERTAINTY = "uncertainty"
    DISAGREEMENT = "disagreement"


@dataclass(frozen=True)
class Ranked:
    """A case's place among those that are ordered, and why it has it."""

    worth: float
    why: str


def uncertainty(scores: Sequence[float]) -> float:
    """Mean entropy in bits of the model's scores of its nodes; 0 where it offers none."""
    if not scores:
        return 0.0
    return round(sum(map(_entropy, scores)) / len(scores), 6)


def _entropy(score: float) -> float:
    p = min(max(score, 1e-6), 1 - 1e-6)
    return -(p * math.log2(p) + (1 - p) * math.log2(1 - p))


def rejected_shares(decided: Sequence[tuple[float, bool]]) -> list[float] | None:
    """Of (score, was rejected) of published cases: the share rejected, by bin of the score.

    None where too few were decided to say.
    """
    if len(decided) < LEAST_DECIDED:
        return None
    overall = sum(rejected for _, rejected in decided) / len(decided)
    shares = []
    for number in range(BINS):
        mine = [rejected for score, rejected in decided if bin_of(score) == number]
        shares.append((sum(mine) + PRIOR * overall) / (len(mine) + PRIOR))
    return shares


def bin_of(score: float) -> int:
    """The bin of a score."""
    return min(BINS - 1, max(0, int(score * BINS)))


def disagreement(scores: Sequence[float], shares: Sequence[float]) -> float:
    """The share of a case's offered nodes that readers are likely to reject."""
    if not scores:
        return 0.0
    return round(sum(shares[bin_of(score)] for score in scores) / len(scores), 6)


def rank(
    order: Order, scores: Mapping[str, Sequence[float]], shares: Sequence[float] | None
) -> dict[str, Ranked]:
    """Case → its worth and a sentence; {} where the order cannot be told and stays as it was.

    Args:
        order: the protocol's.
        scores: case → the model's scores of its nodes.
        shares: what `rejected_shares` learnt.
    """
    if order is Order.UNCERTAINTY:
        worth = {case: uncertainty(some) for case, some in scores.items()}
        return _told(
            worth,
            "The model is less sure of this case than of most of yours.",
            "The model is surer of this case than of most of yours.",
        )
    if order is Order.DISAGREEMENT and shares is not None:
        worth = {case: disagreement(some, shares) for case, some in scores.items()}
        return _told(
            worth,
            "Of what looked like this to the model, readers rejected more than in most of yours.",
            "Of what looked like this to the model, readers rejected less than in most of yours.",
        )
    return {}


def _told(worth: Mapping[str, float], above: str, below: str) -> dict[str, Ranked]:
    """No figure is told: how sure the model is of a node is not for every reader to know."""
    middle = sorted(worth.values())[len(worth) // 2] if worth else 0.0

    def why(value: float) -> str:
        if abs(value - middle) < SAME:
            return "In the middle of your cases by this protocol’s order."
        return above if value > middle else below

    return {case: Ranked(value, why(value)) for case, value in worth.items()}


def in_places(keys: Sequence[str], ranked: Mapping[str, Ranked]) -> list[str]:
    """The keys with the ranked ones in their order, in the places that they hold together.

    What is not ranked keeps its place; equal worth keeps the order as it was.
    """
    mine = [key for key in keys if key in ranked]
    best = iter(sorted(mine, key=lambda key: -ranked[key].worth))
    return [next(best) if key in ranked else key for key in keys]
