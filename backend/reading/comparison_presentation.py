"""A comparison as the API and the coordinator's page show it: X and Y, never names or slots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from backend.imaging.nodes import show_mm
from backend.reading.discrepancies import Outcome, TriggerKind
from backend.reading.models import Case, Cluster, Comparison, Discrepancy
from backend.reading.presentation import measures_json
from backend.reading.vocabulary import ComparisonState, Impression
from backend.reading.workflow import DECIDED

T = TypeVar("T")

TRIGGER_NAMES = {
    TriggerKind.PRESENCE: "only one reader has it",
    TriggerKind.SPLIT_MERGE: "split or merged",
    TriggerKind.BORDER: "border",
    TriggerKind.SHORT_AXIS: "short axis",
    TriggerKind.SIZE_CLASS: "size class",
    TriggerKind.IMPRESSION: "impression",
    TriggerKind.LEVEL: "side or level",
    TriggerKind.DOUBT: "in doubt",
}


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """A made comparison, whole."""
    facts, x_is_first = comparison.facts, comparison.x_is_first
    clusters = list(comparison.clusters.all())
    return {
        "id": str(comparison.pk),
        "case": {"id": str(comparison.case_id), "label": comparison.case.label},
        "made_at": comparison.made_at,
        "rules": facts["rules"],
        "agreement": {
            "union_dice": facts["union_dice"],
            "positive_agreement": facts["positive_agreement"],
        },
        "counts": counts_json(clusters),
        "clusters": [_with_discrepancy(cluster, x_is_first=x_is_first) for cluster in clusters],
        "pairs": [_pair_json(pair, x_is_first=x_is_first) for pair in _ordered(clusters, facts)],
        "discrepancies": [
            _discrepancy_json(found, cluster, x_is_first=x_is_first)
            for cluster, found in ((cluster, discrepancy_of(cluster)) for cluster in clusters)
            if found is not None
        ],
    }


def discrepancy_of(cluster: Cluster) -> Discrepancy | None:
    """What has to be settled of a cluster, in the newest version of the consensus.

    None where both readers did the same.
    """
    return max(cluster.discrepancies.all(), key=lambda found: found.consensus.version, default=None)


def counts_json(clusters: Sequence[Cluster]) -> dict[str, Any]:
    """How many clusters there are, and what became of them; open ones also by trigger."""
    outcomes = Counter(cluster.outcome for cluster in clusters)
    undecided = [
        found
        for found in map(discrepancy_of, clusters)
        if found is not None and found.state not in DECIDED
    ]
    triggers = Counter(trigger["kind"] for found in undecided for trigger in found.triggers)
    return {
        "clusters": len(clusters),
        "identical": outcomes[Outcome.IDENTICAL],
        "settled": outcomes[Outcome.SETTLED],
        "ignored": outcomes[Outcome.IGNORED],
        "to_settle": len(undecided),
        "by_trigger": {kind.value: triggers[kind] for kind in TriggerKind if triggers[kind]},
    }


def _xy(first: T, second: T, *, x_is_first: bool) -> tuple[T, T]:
    return (first, second) if x_is_first else (second, first)


def _ordered(clusters: Sequence[Cluster], facts: dict[str, Any]) -> list[dict[str, Any]]:
    """The pairs in the order of the clusters, which is the same whoever is X."""
    place = {
        node["node"]: (cluster.number, at)
        for cluster in clusters
        for at, node in enumerate(cluster.first_nodes)
    }
    return sorted(facts["pairs"], key=lambda pair: place[pair["first"]])


def _with_discrepancy(cluster: Cluster, *, x_is_first: bool) -> dict[str, Any]:
    found = discrepancy_of(cluster)
    return {
        **cluster_json(cluster, x_is_first=x_is_first),
        "discrepancy": str(found.pk) if found else None,
    }


def cluster_json(cluster: Cluster, *, x_is_first: bool) -> dict[str, Any]:
    """A cluster, either reader's part of it, and how far the two are apart."""
    nodes = _xy(cluster.first_nodes, cluster.second_nodes, x_is_first=x_is_first)
    measures = cluster.measures
    parts = _xy(measures["first"], measures["second"], x_is_first=x_is_first)
    return {
        "id": str(cluster.pk),
        "number": cluster.number,
        "kind": _kind(len(nodes[0]), len(nodes[1])),
        "outcome": cluster.outcome,
        "x": _side_json(nodes[0], parts[0]),
        "y": _side_json(nodes[1], parts[1]),
        "box": cluster.box,
        "shared_voxels": cluster.shared_voxels,
        "union_voxels": cluster.union_voxels,
        "dice": measures["dice"],
        "asd_mm": measures["asd_mm"],
        "hd95_mm": measures["hd95_mm"],
        "sad_difference_mm": measures["sad_difference_mm"],
    }


def _kind(x: int, y: int) -> str:
    """How many nodes X and Y have: `1-1`, `1-n`, `n-1`, `n-m`, `only-x`, `only-y`."""
    if not y:
        return "only-x"
    if not x:
        return "only-y"
    if x > 1 and y > 1:
        return "n-m"
    return f"{'n' if x > 1 else 1}-{'n' if y > 1 else 1}"


def _side_json(
    nodes: Sequence[dict[str, Any]], measures: dict[str, Any] | None
) -> dict[str, Any] | None:
    if not nodes:
        return None
    return {
        "nodes": [
            {
                "uuid": node["node"],
                "label": node["label"],
                "impression": node["impression"] or None,
                "side": node["side"] or None,
                "level": node["level"] or None,
                "doubt": node["doubt"],
            }
            for node in nodes
        ],
        "measures": measures_json(measures),
    }


def _pair_json(pair: dict[str, Any], *, x_is_first: bool) -> dict[str, Any]:
    x, y = _xy(pair["first"], pair["second"], x_is_first=x_is_first)
    rest = {name: value for name, value in pair.items() if name not in ("first", "second")}
    return {"x": x, "y": y, **rest}


def _discrepancy_json(found: Discrepancy, cluster: Cluster, *, x_is_first: bool) -> dict[str, Any]:
    return {
        "id": str(found.pk),
        "cluster": str(cluster.pk),
        "number": cluster.number,
        "state": found.state,
        "triggers": [trigger_json(trigger, x_is_first=x_is_first) for trigger in found.triggers],
        "resolution": found.resolution or None,
        "by_rule": found.by_rule,
        # What people said stands with the consensus, for who may see that.
        "rationale": found.rationale if found.by_rule else "",
        "geometry": found.geometry,
    }


def trigger_json(trigger: dict[str, Any], *, x_is_first: bool) -> dict[str, Any]:
    """One reason to settle, in numbers and in a sentence."""
    x, y = _xy(trigger["first"], trigger["second"], x_is_first=x_is_first)
    kind = TriggerKind(trigger["kind"])
    limit_mm = trigger["limit_mm"]
    return {
        "kind": kind.value,
        "text": _SENTENCES[kind](x, y, trigger["difference_mm"], limit_mm),
        "x": x,
        "y": y,
        "difference_mm": trigger["difference_mm"],
        "limit_mm": limit_mm,
    }


def _presence(x: Any, y: Any, _: Any, limit_mm: Any) -> str:
    who, sad_mm = ("X", x) if y is None else ("Y", y)
    return f"Only {who} has it: a short axis of {beside(sad_mm, limit_mm)} mm."


def _split_merge(x: Any, y: Any, *_: Any) -> str:
    return f"X has {x} node{'s' if x > 1 else ''} where Y has {y}."


def _border(_x: Any, _y: Any, difference_mm: Any, limit_mm: Any) -> str:
    apart = beside(difference_mm, limit_mm)
    return f"The borders lie {apart} mm apart on average; {limit_mm:g} mm are tolerated."


def _short_axis(x: Any, y: Any, difference_mm: Any, limit_mm: Any) -> str:
    apart = beside(difference_mm, limit_mm)
    return (
        f"The short axis is {show_mm(x)} mm by X and {show_mm(y)} mm by Y: "
        f"{apart} mm apart; {limit_mm:g} mm are tolerated."
    )


def _size_class(x: Any, y: Any, *_: Any) -> str:
    return f"The size class is {_class(x)} by X and {_class(y)} by Y."


def _class(name: str) -> str:
    if name.startswith("lt"):
        return f"below {name[2:]} mm"
    if name.startswith("ge"):
        return f"{name[2:]} mm or more"
    return f"{name.replace('-', '–')} mm"


def _impression(x: Any, y: Any, *_: Any) -> str:
    said = [" and ".join(Impression(word).label for word in words) for words in (x, y)]
    return f"X says {said[0]}, Y {said[1]}."


def _level(x: Any, y: Any, *_: Any) -> str:
    said = [" and ".join(name or "not named" for name in names) for names in (x, y)]
    return f"X places it in {said[0]}, Y in {said[1]}."


def _doubt(x: Any, y: Any, *_: Any) -> str:
    if x and y:
        return "X and Y are both in doubt."
    return f"{'X' if x else 'Y'} is in doubt."


_SENTENCES: dict[TriggerKind, Callable[..., str]] = {
    TriggerKind.PRESENCE: _presence,
    TriggerKind.SPLIT_MERGE: _split_merge,
    TriggerKind.BORDER: _border,
    TriggerKind.SHORT_AXIS: _short_axis,
    TriggerKind.SIZE_CLASS: _size_class,
    TriggerKind.IMPRESSION: _impression,
    TriggerKind.LEVEL: _level,
    TriggerKind.DOUBT: _doubt,
}


def beside(value_mm: float, limit_mm: float) -> str:
    """A length in mm with as many decimals as it takes to stand on its side of the limit."""
    for digits in range(1, 6):
        text = f"{value_mm:.{digits}f}"
        shown = float(text)
        if (shown > limit_mm, shown < limit_mm) == (value_mm > limit_mm, value_mm < limit_mm):
            break
    return text


def panel_of(case: Case, comparison: Comparison | None) -> dict[str, Any]:
    """What the coordinator's page says of the comparison: how far it is, and counts alone."""
    if comparison is None:
        planned = "comparison" in case.protocol.definition
        return {"state": "none" if planned else "not_planned"}
    if comparison.state != ComparisonState.MADE:
        return {"state": comparison.state, "message": comparison.message}
    clusters = list(comparison.clusters.all())
    counts = counts_json(clusters)
    by_trigger = counts["by_trigger"].items()
    return {
        "state": comparison.state,
        "counts": counts,
        "agreed": counts["identical"] + counts["settled"],
        "decided": sum(cluster.outcome == Outcome.OPEN for cluster in clusters)
        - counts["to_settle"],
        "by_trigger": [(TRIGGER_NAMES[TriggerKind(kind)], count) for kind, count in by_trigger],
        "made_at": comparison.made_at,
    }
