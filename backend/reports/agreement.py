"""How far two readers agree on the nodes both have (METHODS.md §5.1, §5.3). Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scipy.stats import t as student

from backend.reports.evaluation import Evaluation

Kind = Literal["untouched", "edited", "added"]
KIND_NAMES: dict[Kind, str] = {
    "untouched": "Untouched by both",
    "edited": "Edited by at least one",
    "added": "Added by both",
}


@dataclass(frozen=True)
class BlandAltman:
    """Differences of two measurements of the same things.

    `bias` is their mean, `sd` their standard deviation (ddof 1), `low` and `high` the limits of
    agreement, bias ± 1.96 sd; the intervals are of 95 %.
    """

    n: int
    bias: float
    sd: float
    low: float
    high: float
    bias_interval: tuple[float, float]
    low_interval: tuple[float, float]
    high_interval: tuple[float, float]


def bland_altman(differences: Sequence[float]) -> BlandAltman | None:
    """Bias and limits of agreement; None below two differences."""
    n = len(differences)
    if n < 2:
        return None
    bias, sd = statistics.fmean(differences), statistics.stdev(differences)
    low, high = bias - 1.96 * sd, bias + 1.96 * sd
    reach = float(student.ppf(0.975, n - 1))
    of_bias = reach * sd / math.sqrt(n)
    of_limits = reach * sd * math.sqrt(1 / n + 1.96**2 / (2 * (n - 1)))
    return BlandAltman(
        n,
        bias,
        sd,
        low,
        high,
        (bias - of_bias, bias + of_bias),
        (low - of_limits, low + of_limits),
        (high - of_limits, high + of_limits),
    )


@dataclass(frozen=True)
class Pair:
    """One node of either reader, matched one to one; short axes in mm."""

    first: int
    second: int
    kind: Kind
    dice: float
    first_sad_mm: float
    second_sad_mm: float
    same_impression: bool

    @property
    def difference_mm(self) -> float:
        """Second reader's short axis minus the first's."""
        return self.second_sad_mm - self.first_sad_mm

    @property
    def mean_mm(self) -> float:
        """Mean of both short axes."""
        return (self.first_sad_mm + self.second_sad_mm) / 2


def pairs_of(
    comparison: Mapping[str, Any],
    nodes: tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]],
    evaluations: tuple[Evaluation, Evaluation],
) -> list[Pair]:
    """The one-to-one pairs of a comparison, measured.

    Args:
        comparison: as the record tells it.
        nodes: what either reading says of its nodes.
        evaluations: the AI's proposal against either reading.
    """
    one, two = ({node["uuid"]: node for node in part} for part in nodes)
    return [
        _pair(one[pair["first"]], two[pair["second"]], pair["dice"], *evaluations)
        for pair in comparison["pairs"]
    ]


def _pair(
    one: Mapping[str, Any],
    two: Mapping[str, Any],
    dice: float,
    first: Evaluation,
    second: Evaluation,
) -> Pair:
    a, b = one["label"], two["label"]
    return Pair(
        first=a,
        second=b,
        kind=_kind(first, a, second, b),
        dice=dice,
        first_sad_mm=first.truth_measures[a].sad_mm,
        second_sad_mm=second.truth_measures[b].sad_mm,
        # Unmarked says no more than "not marked metastatic".
        same_impression=(one["impression"] or "non_metastatic")
        == (two["impression"] or "non_metastatic"),
    )


def _kind(first: Evaluation, a: int, second: Evaluation, b: int) -> Kind:
    from_ai = first.same_node.get(a), second.same_node.get(b)
    if from_ai == (None, None):
        return "added"
    alike = from_ai[0] == from_ai[1] and first.untouched(a) and second.untouched(b)
    return "untouched" if alike else "edited"
