"""What a report says of every reading, and of how far two of them agree. Pure."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

from backend.imaging.correction import Correction
from backend.reports import blocks, shown
from backend.reports.agreement import KIND_NAMES, BlandAltman, Pair, bland_altman
from backend.reports.blocks import Block
from backend.reports.evaluation import Evaluation

ACCOUNT = "signed = offered − rejected + added + split gain − merge loss"


def reading_section(
    reading: dict[str, Any], evaluation: Evaluation | None, rows: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """One reading: who, when, what they changed, and every node of it."""
    name = f"reading-{reading['slot']}"
    title = f"Reading {reading['slot']}"
    if evaluation is None:
        sentence = (
            f"{reading['slot_name']}: {reading['state']}, not signed. What it holds is sealed."
        )
        return blocks.missing(name, title, sentence)
    return blocks.section(
        name,
        f"{title}: {reading['reader']}",
        blocks.columns(_facts(reading), _account(evaluation, rows)),
        blocks.text(identity(evaluation.correction), strong=True),
        blocks.text(ACCOUNT),
        _nodes(rows),
    )


def _facts(reading: dict[str, Any]) -> Block:
    changes, signature = reading["changes"], reading["signature"]
    kinds = ", ".join(f"{count} {kind}" for kind, count in changes["kinds"].items())
    return blocks.facts(
        ("Reader", f"{reading['reader']}, {reading['slot_name'].lower()}"),
        ("Round", str(reading["round"])),
        ("AI shown", reading["arm"]),
        ("Opened", shown.when(reading["opened"])),
        ("Submitted", shown.when(reading["submitted"])),
        ("Active time", shown.seconds(reading["active_seconds"])),
        ("Changes", f"{changes['total']} ({kinds})" if kinds else "none"),
        ("Signed record", signature["record_hash"]),
    )


def identity(books: Correction) -> str:
    """The account of one reading, in this case's numbers."""
    return (
        f"{len(books.final)} = {len(books.offered)} − {len(books.rejected)} + {len(books.added)} "
        f"+ {books.split_gain} − {books.merge_loss}"
    )


def _account(evaluation: Evaluation, rows: Sequence[dict[str, Any]]) -> Block:
    """What the reader changed (METHODS.md §1.11)."""
    books = evaluation.correction
    reasons = ", ".join(f"{r['reason']} {r['count']}" for r in reject_reasons(rows))
    shares = [
        ("Reshaped", books.reshaped_fraction, f"{len(books.reshaped)} of {books.kept} kept"),
        ("Retention", books.retention, f"{books.kept} of {len(books.offered)} offered"),
        ("Coverage", books.coverage, f"{books.kept} of {len(books.final)} signed"),
        ("Found at 0.4", books.localisation_recall, "all sizes"),
        ("Initial sensitivity", books.median_initial_sensitivity(), "median, AI-origin nodes"),
        (
            "Initial sensitivity, all",
            books.median_initial_sensitivity(ai_origin_only=False),
            "median",
        ),
        ("Dice, offered and signed", books.dice, "all voxels"),
    ]
    return blocks.facts(
        ("Offered by the AI", str(len(books.offered))),
        ("Rejected", f"{len(books.rejected)}" + (f" ({reasons})" if reasons else "")),
        ("Added", str(len(books.added))),
        ("Signed", str(len(books.final))),
        *((name, f"{shown.share(metric.value)} ({detail})") for name, metric, detail in shares),
        ("Voxels", f"{books.voxels_added} added, {books.voxels_removed} removed"),
    )


def reject_reasons(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Why proposals were rejected, most frequent first."""
    counted = Counter(row["decision_shown"] for row in rows if row["decision"] == "rejected")
    return [
        {"reason": words.partition(": ")[2] or "no reason", "count": count}
        for words, count in sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    ]


def account_json(evaluation: Evaluation, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The account, whole and unrounded."""
    return evaluation.correction.to_json() | {
        "identity": identity(evaluation.correction),
        "reasons": reject_reasons(rows),
    }


def _nodes(rows: Sequence[dict[str, Any]]) -> Block:
    return blocks.table(
        (
            "#No.",
            "Decision",
            "#Short axis",
            "#Long axis",
            "#Volume",
            "#AI → signed",
            "#Slice",
            "#Sensitivity",
            "Counted as",
            "Impression",
        ),
        (
            blocks.row(
                str(row["number"]),
                row["decision_shown"] + (", in doubt" if row["doubt"] else ""),
                row["sad_shown"],
                row["lad_shown"],
                row.get("volume_shown", shown.DASH),
                row["sad_change_shown"],
                str(row.get("slice", shown.DASH)),
                row["sensitivity_shown"],
                row["ai_kind_shown"],
                row["impression_shown"],
                name=row["uuid"],
                mark=mark_of(row),
            )
            for row in rows
        ),
        caption="Axes in mm in the plane of the slices, volume in mm³; slices counted from the "
        "top. Sensitivity: share of the node under retained proposals.",
        empty="The reading holds no node, and nothing was proposed.",
        widths=(0.6, 1.9, 1.05, 1.05, 0.9, 1.3, 0.65, 1.1, 1.4, 1.8),
    )


def mark_of(row: dict[str, Any]) -> str:
    """How a row is marked: `kept`, `added` or `rejected`."""
    if row["group"] == "rejected":
        return "rejected"
    return "added" if row["ai_sad_mm"] is None else "kept"


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
    alike = sum(pair.same_impression for pair in pairs)
    edited = [pair.difference_mm for pair in pairs if pair.kind != "untouched"]
    limits = bland_altman(edited)
    return blocks.section(
        "agreement",
        title,
        blocks.columns(
            blocks.facts(
                ("Detection F1", _metric(detection, f"2 × {both} of {2 * both + sum(only)}")),
                ("Union Dice", _metric(union, "all nodes of either")),
                ("Both have", f"{both} clusters"),
                (f"Only {names[0]}", str(only[0])),
                (f"Only {names[1]}", str(only[1])),
                ("Pairs", f"{len(pairs)} nodes matched one to one"),
                ("Impression alike", f"{alike} of {len(pairs)} pairs"),
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
                f"Short axis by {names[1]} minus by {names[0]} against their mean, mm. Disc: "
                "edited by at least one. Square: added by both. Ring: untouched by both, and not "
                "in the bias and its limits.",
            )
        )
        if pairs
        else None,
    )


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
        rows.append(_kind_row(name, mine, kind))
    rows.append(_kind_row("All pairs", list(pairs), "all", strong=True))
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
