"""The tables of a report as CSV: one row per node, per step of the settling, per reading. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from backend.reports.tables import guarded, text_of

NODES = (
    "case",
    "truth",
    "number",
    "node",
    "group",
    "origin",
    "sad_mm",
    "lad_mm",
    "longest_any_plane_mm",
    "volume_mm3",
    "slice_from_top",
    "slice_z_mm",
    "label",
    "rests_on_necrosis_alone",
    "basis",
    "labelled_by",
    "decision",
    "reason",
    "impression",
    "confidence",
    "doubt",
    "ai_sad_mm",
    "ai_sensitivity",
    "ai_found",
)
STEPS = (
    "case",
    "consensus",
    "cluster",
    "discrepancy",
    "triggers",
    "settled_as",
    "by_rule",
    "carried",
    "step",
    "at",
    "who",
    "role",
    "resolution",
    "rationale",
)


READINGS = (
    "case",
    "reading",
    "slot",
    "reader",
    "round",
    "arm",
    "opened",
    "submitted",
    "active_seconds",
    "changes",
    "offered",
    "rejected",
    "kept",
    "untouched",
    "untouched_share",
    "reshaped",
    "reshape_seconds_median",
    "reshape_seconds_mean",
    "reshape_seconds_total",
    "newer_offered",
    "newer_taken",
)


def readings_csv(document: dict[str, Any]) -> bytes:
    """Every signed reading: what became of the AI's nodes in its reader's hands, and how fast."""
    numbers = document["numbers"]
    return _csv(
        READINGS,
        (
            reading
            | reading["hands"]
            | {
                "case": numbers["case"]["label"],
                "reading": reading["id"],
                "changes": reading["changes"]["total"],
                "offered": numbers["accounts"][reading["id"]]["n_offered"],
                "rejected": len(numbers["accounts"][reading["id"]]["rejected"]),
                "newer_offered": reading["newer"]["offered"],
                "newer_taken": reading["newer"]["taken"],
            }
            for reading in numbers["readings"]
        ),
    )


def nodes_csv(document: dict[str, Any]) -> bytes:
    """Every node of the truth that is reported; of every signed reading before a consensus."""
    numbers = document["numbers"]
    names = ["consensus"] if "consensus" in numbers["nodes"] else list(numbers["nodes"])
    return _csv(
        NODES,
        (_node(row, name, document) for name in names for row in numbers["nodes"][name]),
    )


def _node(row: dict[str, Any], truth: str, document: dict[str, Any]) -> dict[str, Any]:
    agreed = truth == "consensus"
    return row | {
        "case": document["numbers"]["case"]["label"],
        "truth": truth,
        "node": row["uuid"],
        "slice_from_top": row.get("slice"),
        "label": row["status"] if agreed else None,
        "basis": " ".join(row["basis"]) if agreed else None,
        "ai_sensitivity": row["sensitivity"],
        "ai_found": row["localised"],
    }


def steps_csv(document: dict[str, Any]) -> bytes:
    """Every step towards every discrepancy of every version; one row where there was no step."""
    rows = []
    for version in document["numbers"]["consensus"]:
        for found in version["discrepancies"]:
            told = {
                "case": document["numbers"]["case"]["label"],
                "consensus": version["version"],
                "cluster": found["cluster"],
                "discrepancy": found["id"],
                "triggers": [trigger["kind"] for trigger in found["triggers"]],
                "settled_as": found["resolution"],
                "by_rule": found["by_rule"],
                "carried": found["carried"],
            }
            alone = {"at": found["at"], "who": found["who"], "rationale": found["rationale"]}
            steps: list[dict[str, Any]] = found["steps"] or [alone]
            rows += [told | step | {"step": step.get("action")} for step in steps]
    return _csv(STEPS, rows)


def _csv(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(column)) for column in columns])
    return stream.getvalue().encode("utf-8-sig")


def _cell(value: object) -> str:
    """A number as it is; a text so that no spreadsheet takes it for a formula."""
    return guarded(text_of(value)) if isinstance(value, str | list) else text_of(value)
