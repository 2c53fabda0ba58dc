"""What a report says of every reading: who, when, what was changed, every node of it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from backend.imaging.correction import Correction
from backend.reports import blocks, shown
from backend.reports.blocks import Block
from backend.reports.evaluation import Evaluation

# METHODS.md §1.11 and §1.9, in a line each.
TERMS = (
    "Reshaped: kept proposals that are not voxel for voxel one signed node. Untouched: kept "
    "proposals signed as they were offered. Seconds per reshape: by the server’s clock, what led "
    "to the changes of a node’s voxels, pauses over 60 s counted as 60 s. Retention: proposals "
    "kept, of those offered. Coverage: proposals kept, per signed node. Found: signed nodes of "
    "which the offer, whatever its size, covered 0.4 or more. Initial sensitivity: the share of a "
    "signed node that the offer covered. Sensitivity in the table: the same, of proposals of "
    "4.5 mm short axis or more. Split gain and merge loss: nodes more by splitting, fewer by "
    "merging."
)
# Rows of a reading's table that fit on one sheet with all that is said above them.
MOST_ON_A_SHEET = 12
MARKS = (
    ("kept", "proposed by the AI and kept"),
    ("added", "added by the reader"),
    ("rejected", "proposed and rejected"),
)


def reading_section(
    reading: dict[str, Any],
    evaluation: Evaluation | None,
    rows: Sequence[dict[str, Any]],
    *,
    explain: bool = False,
) -> dict[str, Any]:
    """One reading: who, when, what they changed, and every node of it; `explain` adds the terms."""
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
        blocks.columns(_facts(reading), _account(reading, evaluation, rows)),
        blocks.text(_account_words(evaluation.correction)),
        blocks.text(TERMS) if explain else None,
        _nodes(rows),
        together=len(rows) <= MOST_ON_A_SHEET,
    )


def _facts(reading: dict[str, Any]) -> Block:
    changes, signature = reading["changes"], reading["signature"]
    kinds = shown.changes(changes["kinds"])
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


def _account_words(books: Correction) -> str:
    """The account of one reading as a sum of which every part has its name."""
    parts = (
        f"{len(books.final)} signed = {len(books.offered)} offered",
        f"− {len(books.rejected)} rejected",
        f"+ {len(books.added)} added",
        f"+ {books.split_gain} split gain",
        f"− {books.merge_loss} merge loss",
    )
    return " ".join(parts)


def untouched_words(hands: dict[str, Any]) -> str:
    """A reader's untouched share: "3 of 23 kept (0.13)"."""
    share = shown.share(hands["untouched_share"])
    return f"{hands['untouched']} of {hands['kept']} kept ({share})"


def reshape_words(hands: dict[str, Any]) -> str:
    """How long a reshape took: "14.2 s (median of 20), 4 min 44 s in all"; a dash for none."""
    if not hands["reshaped"]:
        return shown.DASH
    median = shown.seconds(hands["reshape_seconds_median"])
    total = shown.seconds(hands["reshape_seconds_total"])
    return f"{median} (median of {hands['reshaped']}), {total} in all"


def _newer_words(newer: dict[str, int]) -> str:
    if not newer["offered"]:
        return "none"
    return f"{newer['offered']} offered, {newer['taken']} changes taken from them"


def _account(
    reading: dict[str, Any], evaluation: Evaluation, rows: Sequence[dict[str, Any]]
) -> Block:
    """What the reader changed (METHODS.md §1.11)."""
    books = evaluation.correction
    reasons = ", ".join(f"{r['count']} {r['reason']}" for r in reject_reasons(rows))
    of_ai = shown.share(books.median_initial_sensitivity().value)
    of_all = shown.share(books.median_initial_sensitivity(ai_origin_only=False).value)
    return blocks.facts(
        ("Offered by the AI", str(len(books.offered))),
        ("Rejected", f"{len(books.rejected)}" + (f" ({reasons})" if reasons else ""), True),
        ("Added", str(len(books.added)), True),
        (
            "Reshaped",
            f"{len(books.reshaped)} of {books.kept} reshaped"
            f" ({shown.share(books.reshaped_fraction.value)})",
            True,
        ),
        ("Untouched", untouched_words(reading["hands"]), True),
        ("Seconds per reshape", reshape_words(reading["hands"])),
        ("Newer proposals", _newer_words(reading["newer"])),
        ("Signed", str(len(books.final)), True),
        (
            "Retention",
            f"{books.kept} of {len(books.offered)} kept ({shown.share(books.retention.value)})",
        ),
        (
            "Coverage",
            f"{books.kept} kept per {len(books.final)} signed"
            f" ({shown.share(books.coverage.value)})",
        ),
        ("Found", f"{shown.share(books.localisation_recall.value)} of the signed"),
        ("Initial sensitivity", f"median {of_ai} (AI’s nodes), {of_all} (all signed)"),
        ("Dice, offered and signed", f"{shown.share(books.dice.value)} (all voxels)"),
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
            "Node",
            "Decision",
            "#Long × short mm",
            "#Short axis, AI → signed",
            "#Volume ml",
            "#Slice",
            "#Sensitivity",
            "The AI’s counts as",
            "Impression",
        ),
        (
            blocks.row(
                row["name"],
                row["decision_shown"] + (", in doubt" if row["doubt"] else ""),
                row["axes_shown"],
                row["sad_change_shown"],
                row["volume_shown"],
                str(row.get("slice", shown.DASH)),
                row["sensitivity_shown"],
                row["ai_kind_shown"],
                row["impression_shown"],
                name=row["uuid"],
                mark=mark_of(row),
            )
            for row in rows
        ),
        caption="Axes in the plane of the slices; slices counted from the top.",
        empty="The reading holds no node, and nothing was proposed.",
        marks=MARKS,
        widths=(0.85, 1.7, 1.2, 1.5, 0.8, 0.6, 1.0, 1.6, 1.6),
    )


def mark_of(row: dict[str, Any]) -> str:
    """How a row is marked: `kept`, `added` or `rejected`."""
    if row["group"] == "rejected":
        return "rejected"
    return "added" if row["ai_sad_mm"] is None else "kept"
