"""What a report says first: what came of the case, who signed it, whether it holds. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backend.reports import blocks, shown
from backend.reports.consensus_sections import NOT_BENIGN, counted, node_table
from backend.reports.reading_sections import reshape_words, untouched_words
from backend.reports.truths import Measured, Truth

# Metastatic nodes first; non-metastatic ones are only counted here.
_FIRST = ("metastatic", "indeterminate", "not_assessable", "")


def stage_words(facts: dict[str, Any], measured: Measured) -> str:
    """How far the case has come, in a line."""
    version = measured.version
    if version and version["published"]:
        names = [s["name"] for s in version["signatures"] if s["void"] is None]
        return f"Consensus version {version['version']}, published, signed by {_and(names)}"
    if version:
        return f"Consensus version {version['version']}, agreed and not published yet"
    signed = [r["reader"] for r in facts["readings"] if r["signed"]]
    if facts["comparison"]:
        return f"The signed readings of {_and(signed)}, compared and not settled yet"
    return f"The AI’s proposal against the signed reading of {_and(signed)}"


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def summary_section(
    facts: dict[str, Any],
    measured: Measured,
    rows: Mapping[str, list[dict[str, Any]]],
    checks: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """The result, its signatures, and the verdict of every check."""
    return blocks.section(
        "summary",
        "Result",
        *(_agreed(rows["consensus"]) if "consensus" in rows else _read(facts, measured, rows)),
        blocks.facts(*_hands(facts), title="The AI’s nodes in the readers’ hands"),
        blocks.facts(*_signed(facts, measured), *_verdicts(checks), title="Signed and checked"),
    )


def _agreed(rows: Sequence[dict[str, Any]]) -> list[blocks.Block]:
    told = sorted(
        (row for row in rows if row["status"] in _FIRST),
        key=lambda row: (_FIRST.index(row["status"]), row["number"]),
    )
    many = "s" if len(rows) != 1 else ""
    words = f"{len(rows)} node{many} agreed on: {counted(rows)}." if rows else "No node agreed on."
    return [
        blocks.text(words, strong=True),
        *([node_table(told, brief=True)] if told else []),
        blocks.text(NOT_BENIGN),
    ]


def _read(
    facts: dict[str, Any], measured: Measured, rows: Mapping[str, list[dict[str, Any]]]
) -> list[blocks.Block]:
    """What each signed reading holds, before anything was agreed on."""
    said = []
    for reading in facts["readings"]:
        if not reading["signed"]:
            continue
        signed = [row for row in rows[reading["id"]] if row["group"] == "signed"]
        called = [row["name"] for row in signed if row["status"] == "metastatic"]
        marked = f": {', '.join(called)}" if called else ""
        words = f"{len(signed)} signed, {len(called)} called metastatic{marked}"
        said.append((measured.readings[reading["id"]].title, words, True))
    return [blocks.facts(*said)]


def _hands(facts: dict[str, Any]) -> list[blocks.Fact]:
    """Each reader's untouched share, and how long a reshape took them."""
    return [
        (
            f"{reading['slot']}, {reading['reader']}",
            f"untouched {untouched_words(reading['hands'])}; "
            f"a reshape {reshape_words(reading['hands'])}",
        )
        for reading in facts["readings"]
        if reading["signed"]
    ]


def _signed(facts: dict[str, Any], measured: Measured) -> list[blocks.Fact]:
    version = measured.version
    standing = [s for s in version["signatures"] if s["void"] is None] if version else []
    if version and standing:
        names = ", ".join(f"{s['name']} ({s['role']}, {shown.moment(s['at'])})" for s in standing)
        record = standing[-1]["record_hash"][:16]
        return [(f"Consensus {version['version']}", f"signed by {names}; record {record}")]
    return [
        (
            f"Reading {reading['slot']}",
            f"signed by {reading['signature']['name']} "
            f"({shown.moment(reading['signature']['at'])}); "
            f"record {reading['signature']['record_hash'][:16]}",
        )
        for reading in facts["readings"]
        if reading["signed"]
    ]


def _verdicts(checks: Sequence[dict[str, Any]]) -> list[blocks.Fact]:
    return [("holds" if c["ok"] else "FAILS", c["text"], not c["ok"]) for c in checks]


def scores_section(
    main: Sequence[dict[str, Any]],
    truth: Truth,
    rows: Sequence[dict[str, Any]],
    which: Sequence[str],
) -> dict[str, Any]:
    """The AI's scores, and whether one of them hangs on a node at the threshold."""
    words = at_threshold(truth, rows)
    return blocks.section(
        "scores",
        "",
        blocks.scores(
            f"The AI against {truth.title}",
            [row for name in which for row in main if row["id"] == name],
        ),
        blocks.text(words) if words else None,
    )


def at_threshold(truth: Truth, rows: Sequence[dict[str, Any]]) -> str:
    """Which nodes are found, or missed, by a hair, and what recall would be otherwise."""
    found = truth.evaluation.detection
    nodes, hits = len(found.counted), len(found.localised)
    sentences = []
    for row in rows:
        if not row["at_threshold"]:
            continue
        name = row["name"][:1].upper() + row["name"][1:]
        other = hits - 1 if row["localised"] else hits + 1
        sentences.append(
            f"{name} counts as {'found' if row['localised'] else 'missed'} with "
            f"{row['sensitivity_shown']} of its voxels proposed, at the threshold of "
            f"{found.threshold:g}: were it the other way round, recall would be {other} of {nodes} "
            f"({shown.share(other / nodes)})."
        )
    return " ".join(sentences)
