"""The AI against every truth: metrics, nodes by size and status, and the charts. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from backend.reports import blocks, consensus_rows, node_rows
from backend.reports.agreement import Pair
from backend.reports.consensus_sections import NOT_BENIGN
from backend.reports.reading_sections import mark_of
from backend.reports.truths import Measured, Truth

UNMARKED = (
    ("non-metastatic or unmarked", frozenset({"unmarked", "non_metastatic"})),
    ("metastatic", frozenset({"metastatic"})),
    ("indeterminate", frozenset({"indeterminate", "not_assessable"})),
    ("all", frozenset[str]()),
)
_LEFT_OUT = {
    "indeterminate": "excluded as indeterminate",
    "ignore": "excluded as small and one-sided",
}


def left_out_of(facts: dict[str, Any], measured: Measured) -> dict[str, int]:
    """Why the consensus counts proposals neither as right nor as wrong, in words → how many."""
    truth, version, comparison = measured.consensus, measured.version, facts["comparison"]
    if truth is None or version is None or comparison is None:
        return {}
    numbers = {number: node for node, number in measured.ai_numbers.items()}
    clusters = {
        node["node"]: cluster["number"]
        for cluster in comparison["clusters"]
        for side in ("first", "second")
        for node in cluster[side]["nodes"]
    }
    how = {d["cluster"]: d["resolution"] for d in version["discrepancies"]}
    found: Counter[str] = Counter()
    for node in truth.evaluation.detection.of_kind("ignored"):
        cluster = clusters.get(numbers.get(node.label, ""), 0)
        found[_LEFT_OUT.get(how.get(cluster, ""), "excluded: it lies in a region left out")] += 1
    return dict(found)


def metrics_section(
    measured: Measured, metrics: dict[str, list[dict[str, Any]]], main: Truth
) -> dict[str, Any]:
    """Every metric against every truth, and what they mean here."""
    found = main.evaluation.detection
    return blocks.section(
        "metrics",
        "The AI against each truth",
        blocks.table(
            ("Measure", *(f"#{truth.title}" for truth in measured.all), "How it was counted"),
            (
                blocks.row(
                    row["label"],
                    *(metrics[truth.name][place]["shown"] for truth in measured.all),
                    row["why"] or row["detail"],
                    name=row["id"],
                    strong=row["id"] in ("recall", "precision"),
                )
                for place, row in enumerate(metrics[main.name])
            ),
            caption=f"Counts in the last column are those against {main.title}."
            if len(metrics) > 1
            else "",
            widths=(2.2, *(1.3 for _ in metrics), 3.4),
        ),
        blocks.text(
            f"Project definition: a node is found when {found.threshold} or more of its voxels "
            f"lie under proposals of {found.prediction_min_sad_mm} mm short axis or more; rule "
            f"for false positives: {found.fp_rule}; components by 26 neighbours. Dice and "
            "distances are those of found nodes and the proposals that found them; the surface "
            "distance is assd, over the border voxels of both masks, pooled. What a consensus "
            "ignores counts neither as found nor as missed."
        ),
    )


def sizes_section(truth: Truth, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Table 1 of METHODS.md §1.13 for one case."""
    agreed = truth.name == "consensus"
    populations = consensus_rows.POPULATIONS if agreed else UNMARKED
    words = "The label is that of the consensus." if agreed else "The impression is the reader’s."
    parts = [_size_table(rows, populations, f"{truth.title}. {words} {NOT_BENIGN}")]
    without = [row for row in rows if not row.get("rests_on_necrosis_alone")]
    if len(without) < len(rows):
        left = f"Without the {len(rows) - len(without)} whose label rests on the index CT’s own "
        parts.append(_size_table(without, populations, f"{left}central necrosis alone."))
    return blocks.section("sizes", "Nodes by size and status", *parts)


def _size_table(rows: Sequence[dict[str, Any]], populations: Any, caption: str) -> blocks.Block:
    found = node_rows.size_groups(rows, populations)
    return blocks.table(
        ("Short axis", *(["#nodes", "#found", "#recall", "#sens."] * len(populations))),
        (
            blocks.row(
                group["label"],
                *(
                    text
                    for cell in group["cells"]
                    for text in (
                        str(cell["n"]),
                        str(cell["localised"]),
                        cell["recall_shown"],
                        cell["sensitivity_shown"],
                    )
                ),
                name=group["id"],
                strong=group["id"] == "total",
                apart=group["id"] == node_rows.OVERLAPPING,
            )
            for group in found["rows"]
        ),
        caption=f"{caption} Sensitivity is the mean over found nodes.",
        groups=[("", 1), *((name, 4) for name, _ in populations)],
        widths=(2.1, *([1, 1, 1, 1] * len(populations))),
    )


def where_section(truth: Truth) -> dict[str, Any]:
    """The map of the nodes, and how much of each the AI had found."""
    return blocks.section(
        "where",
        "Where the nodes are",
        blocks.figures(
            (
                "map",
                f"{truth.title}. Disc: proposed and kept. Square: not from the AI. Crossed ring: "
                "proposed and rejected. Marks are to scale (short axis).",
            ),
            (
                "sensitivity",
                "Each node of the truth. Square: no counted proposal there. Numbered: missed, or "
                "at the threshold.",
            ),
        ),
    )


def chart_data(
    truth: Truth, rows: Sequence[dict[str, Any]], pairs: Sequence[Pair]
) -> dict[str, Any]:
    """The data of the charts."""
    grid = truth.evaluation.grid
    far = [size - 1 for size in grid.shape]
    corners = [
        grid.to_patient(z, y, x) for z in (0, far[0]) for y in (0, far[1]) for x in (0, far[2])
    ]
    xs, zs = [corner[0] for corner in corners], [corner[2] for corner in corners]
    return {
        "map": {
            "x_range_mm": [min(xs), max(xs)],
            "z_range_mm": [min(zs), max(zs)],
            "spots": [
                [_short(row), mark_of(row), row["x_mm"], row["z_mm"], row["sad_mm"]]
                for row in rows
                if row["sad_mm"] is not None
            ],
        },
        "sensitivity": [
            [_short(row), row["sad_mm"], row["sensitivity"]]
            for row in rows
            if row["sensitivity"] is not None
        ],
        "bland_altman": [
            [f"{pair.first}/{pair.second}", pair.kind, pair.mean_mm, pair.difference_mm]
            for pair in pairs
        ],
    }


def _short(row: dict[str, Any]) -> str:
    """A node's name where there is little room: agreed ones by their number."""
    return str(row["name"]).removeprefix("node ")
