"""The parts a report is made of: what page and paper draw alike. Plain data. Pure.

A document is a list of sections, a section a list of blocks. Page and paper know how to draw a
block and nothing else, so that whatever stands in one stands in the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias

Block: TypeAlias = dict[str, Any]
Tone: TypeAlias = Literal["warn", "plain", "good", "bad"]
# A name, what it is, and whether it is among what matters most.
Fact: TypeAlias = tuple[str, str] | tuple[str, str, bool]


def section(name: str, title: str, *blocks: Block | None, together: bool = False) -> dict[str, Any]:
    """A section; blocks that are None are left out. `together` keeps it on one sheet of paper."""
    return {
        "id": name,
        "title": title,
        "blocks": [block for block in blocks if block],
        "together": together,
    }


def missing(name: str, title: str, sentence: str) -> dict[str, Any]:
    """A section that the case has not reached, in one line."""
    return section(name, title, text(sentence))


def text(words: str, *, strong: bool = False) -> Block:
    """A paragraph; a strong one stands out from what is around it."""
    return {"kind": "text", "text": words, "strong": strong}


def notice(lead: str, words: str, tone: Tone) -> Block:
    """A paragraph that must be seen."""
    return {"kind": "notice", "lead": lead, "text": words, "tone": tone}


def facts(*items: Fact | None, title: str = "") -> Block:
    """Names and what they are; items that are None are left out."""
    return {
        "kind": "facts",
        "title": title,
        "items": [
            {
                "name": item[0],
                "text": item[1],
                "hash": _is_hash(item[1]),
                "strong": len(item) > 2 and item[2],
            }
            for item in items
            if item
        ],
    }


def scores(title: str, rows: Sequence[dict[str, Any]]) -> Block:
    """A few numbers that stand out; rows of `metric_rows.metrics_of`."""
    return {
        "kind": "scores",
        "title": title,
        "items": [
            {name: row[name] for name in ("id", "label", "shown")}
            | {"words": row["why"] or row["detail"]}
            for row in rows
        ],
    }


def columns(*blocks: Block | None) -> Block:
    """Blocks side by side."""
    return {"kind": "columns", "blocks": [block for block in blocks if block]}


def table(
    head: Sequence[str],
    rows: Iterable[dict[str, Any]],
    *,
    caption: str = "",
    empty: str = "",
    groups: Sequence[tuple[str, int]] = (),
    marks: Sequence[tuple[str, str]] = (),
    widths: Sequence[float] = (),
) -> Block:
    """A table.

    Args:
        head: names of the columns; one that begins with `#` holds numbers, set to the right.
        rows: what `row` returned.
        caption: what stands above it.
        empty: what stands in it when there is no row.
        groups: names above the columns, each with the number of columns it spans.
        marks: the marks that stand before rows, each with what it means.
        widths: relative widths of the columns on paper; without them each as wide as it needs.
    """
    return {
        "kind": "table",
        "head": [{"text": name.removeprefix("#"), "number": name.startswith("#")} for name in head],
        "rows": list(rows),
        "caption": caption,
        "empty": empty,
        "groups": [{"text": name, "span": span} for name, span in groups],
        "marks": [{"mark": mark, "text": words} for mark, words in marks],
        "widths": list(widths),
    }


def row(
    *cells: str, name: str = "", strong: bool = False, mark: str = "", apart: bool = False
) -> dict[str, Any]:
    """A row of a table.

    `mark` is `kept`, `added` or `rejected` before its first cell; `apart` sets it off from rows
    that it overlaps.
    """
    return {"id": name, "cells": list(cells), "strong": strong, "mark": mark, "apart": apart}


def figures(*items: tuple[str, str]) -> Block:
    """Charts by name, each with its caption."""
    return {
        "kind": "figures",
        "items": [{"chart": name, "caption": words} for name, words in items],
    }


def cards(
    items: Sequence[dict[str, Any]], legend: str, lines: Sequence[tuple[str, str]] = ()
) -> Block:
    """One card per node: its picture, its facts, its history.

    `lines` are the lines in the pictures, `solid` or `dotted`, each with what it is.
    """
    return {
        "kind": "cards",
        "cards": list(items),
        "legend": legend,
        "lines": [{"line": line, "text": words} for line, words in lines],
    }


def _is_hash(words: str) -> bool:
    return len(words) >= 40 and set(words) <= set("0123456789abcdef.-")
