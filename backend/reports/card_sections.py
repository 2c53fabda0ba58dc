"""A card for every node: its picture, its facts, its history. Pure."""

from __future__ import annotations

from typing import Any

from backend.reports import blocks, shown
from backend.reports.pictures import BESIDE_MM
from backend.reports.reading_sections import mark_of
from backend.reports.truths import Measured, Truth

CARDS = (
    "Axial, 40 mm wide, W350 L60, bar 10 mm, thin line: short axis. AI → now, and the right of the "
    "history: short axis. Slices are counted from the top. Times are UTC."
)
LINES = (
    ("solid", "the node’s outline"),
    ("dotted", f"the AI’s outline, drawn {BESIDE_MM:g} mm outside itself so that both show"),
)


def cards_section(measured: Measured, rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """A card for every node of the consensus; before there is one, of every signed reading."""
    truths = [measured.consensus] if measured.consensus else list(measured.readings.values())
    many = len(truths) > 1
    items = [
        _card(row, truth, f"{truth.title}: " if many else "")
        for truth in truths
        for row in rows[truth.name]
    ]
    return blocks.section(
        "nodes", "Each node’s picture and history", blocks.cards(items, CARDS, LINES)
    )


def _card(row: dict[str, Any], truth: Truth, before: str) -> dict[str, Any]:
    met = ", ".join(f"AI {m['number']} ({m['shown']})" for m in row["met"])
    found = shown.DASH
    if row["localised"] is not None:
        found = f"{'yes' if row['localised'] else 'no'}, {row['sensitivity_shown']}"
        found += ", at the threshold" if row["at_threshold"] else ""
    agreed = truth.name == "consensus"
    flags = ", ".join(row.get("flags", []))
    names = (
        ("Basis", "basis_shown"),
        ("Shape", "origin_shown"),
        ("Drawn as", "was"),
        ("Site", "site_shown"),
    )
    own = [
        (name, row[key])
        for name, key in (names if agreed else (("Impression", "impression_shown"),))
        if row[key] != shown.DASH
    ]
    return {
        "key": f"{truth.name}/{row['uuid']}",
        "truth": truth.name,
        "uuid": row["uuid"],
        "number": row["number"],
        "mark": mark_of(row),
        "title": before + row["name"][:1].upper() + row["name"][1:],
        "words": row["label_shown"] if agreed else row["decision_shown"],
        "doubt": bool(row.get("doubt")),
        "facts": blocks.facts(
            ("Long × short", f"{row['axes_shown']} mm"),
            ("AI → now", f"{row['sad_change_shown']} mm{_same(row)}"),
            ("Volume", f"{row['volume_shown']} ml"),
            ("Slice", row.get("slice_shown", shown.DASH)),
            ("Found", found),
            ("The AI’s", met or (row["ai_kind_shown"] if row["group"] == "rejected" else "none")),
            *own,
            ("Flags", flags) if flags else None,
        )["items"],
        "history": row["history"],
    }


def _same(row: dict[str, Any]) -> str:
    return " (the same voxels)" if row["ai_same"] else ""
