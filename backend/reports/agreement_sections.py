"""What a report says of how far two readings agree. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from backend.reports import blocks, shown
from backend.reports.agreement import (
    KIND_NAMES,
    BlandAltman,
    Impressions,
    Pair,
    bland_altman,
    impressions_of,
)
from backend.reports.blocks import Block


def agreement_section(
    comparison: dict[str, Any] | None,
    pairs: Sequence[Pair],
    names: tuple[str, str],
    *,
    anchored: bool,
) -> dict[str, Any]:
    """Detection, union and pairs of two readings; untouched nodes apart from edited ones.

    `anchored` says that both readers began from the AI's nodes.
    """
    title = "Agreement between the readers"
    if comparison is None:
        return blocks.missing(
            "agreement", title, "Not reached: two signed readings have not been compared yet."
        )
    clusters = comparison["clusters"]
    both = sum(bool(c["first"]["nodes"]) and bool(c["second"]["nodes"]) for c in clusters)
    only = [sum(not c[side]["nodes"] for c in clusters) for side in ("second", "first")]
    detection, union = comparison["positive_agreement"], comparison["union_dice"]
    x = names[0] if comparison["x"] == "first" else names[1]
    said = impressions_of(pairs)
    neither, one, two = said.metastatic
    edited = [pair.difference_mm for pair in pairs if pair.kind != "untouched"]
    limits = bland_altman(edited)
    return blocks.section(
        "agreement",
        title,
        blocks.columns(
            blocks.facts(
                (
                    "Detection F1",
                    _metric(detection, f"2 × {both} of {2 * both + sum(only)}"),
                    True,
                ),
                ("Union Dice", _metric(union, "all nodes of either"), True),
                ("Both have", f"{both} clusters"),
                (f"Only {names[0]}", str(only[0])),
                (f"Only {names[1]}", str(only[1])),
                ("Pairs", f"{len(pairs)} nodes matched one to one"),
                ("Impressions alike", _alike(said), True),
                ("Called metastatic", f"by both {two}, by one {one}, by neither {neither}"),
                ("X in the settling", x),
            ),
            _limits(limits, len(edited)),
        ),
        _kinds(pairs),
        blocks.text(
            "Both readers began from the AI’s nodes: what neither touched has Dice 1 and no "
            "difference by construction, and says nothing of their agreement. The edited and "
            "the added ones do."
        )
        if anchored
        else None,
        blocks.figures(
            (
                "bland_altman",
                f"Each pair’s short axis by {names[1]} minus that by {names[0]}, against their "
                "mean. Disc: edited by at least one. Square: added by both. Ring: untouched by "
                "both, and not in the bias and its limits.",
            )
        )
        if pairs
        else None,
    )


def _alike(said: Impressions) -> str:
    """Only words that were given can agree; what was left unmarked is counted beside them."""
    parts = [f"{said.alike} of {said.both}"]
    parts += [f"{said.one} marked by one reader alone"] if said.one else []
    parts += [f"{said.neither} unmarked"] if said.neither else []
    return "; ".join(parts)


def _metric(value: dict[str, Any], detail: str) -> str:
    return f"{shown.share(value['value'])} ({detail})"


def _limits(limits: BlandAltman | None, n: int) -> Block:
    title = "Short axis, second minus first (edited and added pairs)"
    if limits is None:
        return blocks.facts(("Pairs", f"{n}: too few for limits of agreement"), title=title)
    low, high = limits.bias_interval
    return blocks.facts(
        ("Pairs", str(limits.n)),
        ("Bias", f"{shown.signed(limits.bias)} mm ({shown.signed(low)} to {shown.signed(high)})"),
        ("SD", f"{limits.sd:.2f} mm"),
        ("Lower limit", f"{shown.signed(limits.low)} mm{_interval(limits.low_interval)}"),
        ("Upper limit", f"{shown.signed(limits.high)} mm{_interval(limits.high_interval)}"),
        ("In brackets", "intervals of 95 %"),
        title=title,
    )


def _interval(value: tuple[float, float]) -> str:
    return f" ({shown.signed(value[0])} to {shown.signed(value[1])})"


def _kinds(pairs: Sequence[Pair]) -> Block:
    rows = []
    for kind, name in KIND_NAMES.items():
        mine = [pair for pair in pairs if pair.kind == kind]
        rows.append(_kind_row(name, mine, kind, strong=kind == "edited"))
    rows.append(_kind_row("All pairs", list(pairs), "all"))
    return blocks.table(
        ("Pairs", "#n", "#Mean Dice", "#Mean |ΔSAD| mm", "#Bias mm", "#Largest |ΔSAD| mm"),
        rows,
        widths=(2.4, 0.6, 1, 1.3, 1, 1.5),
    )


def _kind_row(
    name: str, pairs: Sequence[Pair], kind: str, *, strong: bool = False
) -> dict[str, Any]:
    if not pairs:
        return blocks.row(name, "0", *[shown.DASH] * 4, name=kind, strong=strong)
    apart = [pair.difference_mm for pair in pairs]
    return blocks.row(
        name,
        str(len(pairs)),
        shown.share(statistics.fmean(pair.dice for pair in pairs)),
        shown.distance(statistics.fmean(map(abs, apart))),
        shown.signed(statistics.fmean(apart)),
        shown.distance(max(map(abs, apart))),
        name=kind,
        strong=strong,
    )
