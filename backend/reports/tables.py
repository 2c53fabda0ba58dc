"""The agreed nodes as a table: CSV for spreadsheets, JSON beside a NIfTI; read back. Pure.

A value that a spreadsheet would take for a formula is written with an apostrophe before it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Row: TypeAlias = dict[str, str]

COLUMNS = (
    "number",
    "tracking_uid",
    "side",
    "level",
    "sad_mm",
    "lad_mm",
    "longest_any_plane_mm",
    "volume_mm3",
    "label",
    "label_reason",
    "evidence_kinds",
    "rests_on_necrosis_alone",
    "provenance",
    "case",
    "project",
    "protocol",
    "consensus",
    "version",
    "published_at",
    "signed_by",
    "model",
    "model_sha256",
    "mask",
    "record",
    "software",
    "note",
    "research_use",
)
# Who may have a mask need not know what a label rests on.
OF_EVIDENCE = ("evidence_kinds", "rests_on_necrosis_alone")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


class UnreadableTable(ValueError):
    """The table is not one of ours. Ask for the export again, and report this."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"{detail} Ask for the export again, and report this.")


def text_of(value: object) -> str:
    """A value as it stands in a cell: shortest exact numbers, yes and no, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "; ".join(text_of(item) for item in value)
    return str(value)


def row_of(values: Mapping[str, object]) -> Row:
    """A row with every column, as texts."""
    return {column: text_of(values.get(column)) for column in COLUMNS}


def write_csv(rows: Sequence[Row]) -> bytes:
    """The CSV: UTF-8 with a mark for spreadsheets, a header, one line per row."""
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: guarded(value) for name, value in row.items()} for row in rows)
    return stream.getvalue().encode("utf-8-sig")


def read_csv(data: bytes) -> list[Row]:
    """The rows that `write_csv` wrote; raises `UnreadableTable`."""
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableTable(f"The table cannot be read ({error}).") from error
    if tuple(reader.fieldnames or ()) != COLUMNS or any(
        None in row or None in row.values() for row in rows
    ):
        raise UnreadableTable("The table has other columns.")
    return [{name: value.removeprefix("'") for name, value in row.items()} for row in rows]


def guarded(value: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{value}" if value.startswith(_FORMULA) else value


def write_sidecar(rows: Sequence[Row], facts: Mapping[str, object], sha256: str) -> bytes:
    """The JSON that says what the numbers of a label map mean; `sha256` is the map's file's."""
    told = {
        "notice": facts["research_use"],
        "note": facts["note"],
        "file_sha256": sha256,
        "facts": {
            name: value for name, value in facts.items() if name not in ("research_use", "note")
        },
        "labels": {row["number"]: _label(row, facts) for row in rows},
    }
    return json.dumps(told, indent=2, ensure_ascii=False).encode()


def _label(row: Row, facts: Mapping[str, object]) -> Row:
    left_out = {*facts, *OF_EVIDENCE}
    return {name: value for name, value in row.items() if name not in left_out}


def read_sidecar(data: bytes) -> dict[str, Any]:
    """What `write_sidecar` wrote; raises `UnreadableTable`."""
    try:
        told = json.loads(data)
        labels = {str(int(number)): dict(label) for number, label in told["labels"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableTable(f"The sidecar cannot be read ({error!r}).") from error
    return {**told, "labels": labels}
