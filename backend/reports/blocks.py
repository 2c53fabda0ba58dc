"""The parts a report is made of: what page and paper draw alike. Plain data. Pure.

A document is a list of sections, a section a list of blocks. Page and paper know how to draw a
block and nothing else, so that whatever stands in one stands in the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias

Block: TypeAlias = dict[str, Any]
Tone: TypeAlias = Literal["warn", "plain", "good", "bad"]


def section(name: str, title: str, *blocks: Block | None) -> dict[str, Any]:
    """A section; blocks that are None are left out."""
    return {"id": name, "title": title, "blocks": [block for block in blocks if block]}


def missing(name: str, title: str, sentence: str) -> dict[str, Any]:
    """A section that the case has not reached, in one line."""
    return section(name, title, text(sentence))


def text(words: str, *, strong: bool = False) -> Block:
    """A paragraph."""
    return {"kind": "text", "text": words, "strong": strong}


def notice(lead: str, words: str, tone: Tone) -> Block:
    """A paragraph that must be seen."""
    return {"kind": "notice", "lead": lead, "text": words, "tone": tone}


def facts(*items: tuple[str, str] | None, title: str = "") -> Block:
    """Names and what they are; items that are None are left out."""
    return {
        "kind": "facts",
        "title": title,
        "items": [
            {"name": item[0], "text": item[1], "hash": _is_hash(item[1])} for item in items if item
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
    widths: Sequence[float] = (),
) -> Block:
    """A table.

    Args:
        head: names of the columns; one that begins with `#` holds numbers, set to the right.
        rows: what `row` returned.
        caption: what stands above it.
        empty: what stands in it when there is no row.
        groups: names above the columns, each with the number of columns it spans.
        widths: relative widths of the columns on paper; without them each as wide as it needs.
    """
    return {
        "kind": "table",
        "head": [{"text": name.removeprefix("#"), "number": name.startswith("#")} for name in head],
        "rows": list(rows),
        "caption": caption,
        "empty": empty,
        "groups": [{"text": name, "span": span} for name, span in groups],
        "widths": list(widths),
    }


def row(*cells: str, name: str = "", strong: bool = False, mark: str = "") -> dict[str, Any]:
    """A row of a table; `mark` is `kept`, `added` or `rejected` before its first cell."""
    return {"id": name, "cells": list(cells), "strong": strong, "mark": mark}


def figures(*items: tuple[str, str]) -> Block:
    """Charts by name, each with its caption."""
    return {
        "kind": "figures",
        "items": [{"chart": name, "caption": words} for name, words in items],
    }


def cards(items: Sequence[dict[str, Any]], legend: str) -> Block:
    """One card per node: its picture, its facts, its history."""
    return {"kind": "cards", "cards": list(items), "legend": legend}


def _is_hash(words: str) -> bool:
    return len(words) >= 40 and set(words) <= set("0123456789abcdef.-")
