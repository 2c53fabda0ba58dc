"""How far two readers agree on the nodes both have (METHODS.md §5.1, §5.3). Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scipy.special import stdtrit

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
    reach = float(stdtrit(n - 1, 0.975))
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
    """One node of either reader, matched one to one.

    Short axes in mm; impressions "" where a reader gave none.
    """

    first: int
    second: int
    kind: Kind
    dice: float
    first_sad_mm: float
    second_sad_mm: float
    first_impression: str
    second_impression: str

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
        first_impression=one["impression"] or "",
        second_impression=two["impression"] or "",
    )


@dataclass(frozen=True)
class Impressions:
    """How far two readers gave the same word of the pairs, which most of them leave unmarked.

    Attributes:
        alike: pairs of which both said the same; `both` of which both said anything.
        one: pairs of which one alone said anything; `neither`, nobody.
        metastatic: pairs called metastatic by neither, by one and by both: unmarked says no more
            than "not marked metastatic".
    """

    alike: int
    both: int
    one: int
    neither: int
    metastatic: tuple[int, int, int]


def impressions_of(pairs: Sequence[Pair]) -> Impressions:
    """Words given and not given, counted apart: what nobody said is no agreement."""
    said = [(pair.first_impression, pair.second_impression) for pair in pairs]
    given = [sum(map(bool, words)) for words in said]
    called = [sum(word == "metastatic" for word in words) for words in said]
    return Impressions(
        alike=sum(one == two for one, two in said if one and two),
        both=given.count(2),
        one=given.count(1),
        neither=given.count(0),
        metastatic=(called.count(0), called.count(1), called.count(2)),
    )


def _kind(first: Evaluation, a: int, second: Evaluation, b: int) -> Kind:
    from_ai = first.same_node.get(a), second.same_node.get(b)
    if from_ai == (None, None):
        return "added"
    alike = from_ai[0] == from_ai[1] and first.untouched(a) and second.untouched(b)
    return "untouched" if alike else "edited"
