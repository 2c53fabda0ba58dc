"""Who did what to each node, when, and what its short axis was before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from backend.reading.models import Change, NodeVersion, Reading


def stamp(moment: datetime | None) -> str | None:
    """A time as it is printed and stored: UTC, milliseconds, `Z`."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def changes_of(reading: Reading) -> dict[str, Any]:
    """How many changes of each kind the reading took, and when the first and last were made."""
    rows = list(Change.objects.filter(reading=reading).order_by("position"))
    return {
        "total": len(rows),
        "kinds": dict(sorted(Counter(row.kind for row in rows).items())),
        "first": stamp(rows[0].at) if rows else None,
        "last": stamp(rows[-1].at) if rows else None,
    }


def node_histories(
    reader: str, versions: Iterable[NodeVersion], offered: Iterable[NodeVersion]
) -> dict[str, list[dict[str, Any]]]:
    """Node UUID → its steps in order: what the AI offered, then every change that touched it.

    Args:
        reader: the reader's printed name.
        versions: its node versions, with `change` loaded.
        offered: the node versions of the AI's mask.
    """
    steps: dict[str, list[dict[str, Any]]] = {}
    last: dict[str, NodeVersion] = {}
    for version in sorted(offered, key=lambda v: v.label):
        name = str(version.node_id)
        last[name] = version
        steps[name] = [
            {
                "at": stamp(version.created),
                "who": "AI",
                "what": "proposed",
                "sad_before": None,
                "sad_after": _sad(version),
            }
        ]
    for version in sorted(versions, key=_order):
        name = str(version.node_id)
        before = last.get(name)
        what = _words(before, version)
        if what:
            steps.setdefault(name, []).append(
                {
                    "at": stamp(version.change.at if version.change else version.created),
                    "who": reader,
                    "what": what,
                    "sad_before": _sad(before),
                    "sad_after": _sad(version),
                }
            )
        last[name] = version
    return steps


def _order(version: NodeVersion) -> tuple[int, int]:
    return (version.change.position if version.change else 0, version.label)


def _sad(version: NodeVersion | None) -> float | None:
    if version is None or not version.measures:
        return None
    return float(version.measures["sad_mm"])


def _words(before: NodeVersion | None, after: NodeVersion) -> str:
    """What changed between two versions of a node, in words; "" when nothing did."""
    undo = bool(after.change and after.change.kind == "undo")
    words = []
    if before is None:
        words.append("added")
    elif _voxels(before) != _voxels(after) or (after.change and _redrawn(after.change)):
        words.append(_voxel_words(before, after))
    if before is not None and (before.decision, before.reason) != (after.decision, after.reason):
        reason = f", {after.get_reason_display().lower()}" if after.reason else ""
        if after.decision != "reshaped" or undo:
            words.append(f"{after.decision}{reason}")
    if (before.impression if before else "") != after.impression:
        words.append(f"impression {after.impression.replace('_', '-') or 'withdrawn'}")
    if (
        before is not None
        and before.confidence != after.confidence
        and after.confidence is not None
    ):
        words.append(f"confidence {after.confidence}")
    if (before.doubt if before else False) != after.doubt:
        words.append("doubt raised" if after.doubt else "doubt withdrawn")
    if undo:
        return "undone: " + (", ".join(words) or "no visible change")
    return ", ".join(words)


def _voxels(version: NodeVersion) -> int:
    return int(version.measures["voxels"]) if version.measures else 0


def _voxel_words(before: NodeVersion, after: NodeVersion) -> str:
    if not _voxels(after):
        return "erased"
    told = after.change.facts.get("nodes", []) if after.change else []
    mine = next((n for n in told if n.get("node") == str(after.node_id)), None)
    if mine is None:
        return f"reshaped ({_voxels(after) - _voxels(before):+d} voxels)"
    return f"reshaped (+{mine['added']} −{mine['removed']} voxels)"


def _redrawn(change: Change) -> bool:
    return change.kind == "voxels"
