"""From facts and numbers to a document: plain data, in the order it is read. Pure.

What draws the document, as a page or on paper, takes the words as they stand here and adds none.
Every number stands unrounded under `numbers` too, null with a reason where it is undefined.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.reports import consensus_rows, node_rows
from backend.reports.agreement import Pair, pairs_of
from backend.reports.agreement_sections import agreement_section
from backend.reports.ai_sections import (
    chart_data,
    left_out_of,
    metrics_section,
    sizes_section,
    where_section,
)
from backend.reports.card_sections import cards_section
from backend.reports.case_sections import case_section, notices_section
from backend.reports.checks import alarm_of, checks_of
from backend.reports.consensus_sections import (
    consensus_section,
    discrepancy_section,
    signature_section,
)
from backend.reports.log_sections import chain_section, made_section
from backend.reports.metric_rows import metrics_of
from backend.reports.reading_sections import account_json, reading_section
from backend.reports.summary_sections import scores_section, stage_words, summary_section
from backend.reports.timeline_cast import Cast
from backend.reports.truths import Measured
from backend.version import RESEARCH_NOTICE

SCHEMA = 4
READING_FACTS = (
    "id",
    "slot",
    "reader",
    "round",
    "arm",
    "opened",
    "submitted",
    "active_seconds",
    "changes",
    "hands",
    "newer",
)
HEADLINE = ("recall", "precision", "f1", "fp", "dice", "assd_mm")


def case_document(
    *,
    manifest: dict[str, Any],
    facts: dict[str, Any],
    measured: Measured,
    cast: Cast,
    words: Mapping[int, str],
) -> dict[str, Any]:
    """The whole case report as data.

    Args:
        manifest: what the report is made of: `id`, `created`, `made_by`, `version`, `chain`,
            `stored_faults`.
        facts: what `record.facts.facts_of` returned.
        measured: what `truths.measure` returned.
        cast: what `report_cast.cast_of` returned.
        words: what `log_words.event_words` returned.
    """
    rows = {
        reading["id"]: node_rows.rows_of(
            reading["nodes"], measured.readings[reading["id"]].evaluation, cast
        )
        for reading in facts["readings"]
        if reading["signed"]
    }
    if measured.consensus and measured.version:
        agreed = consensus_rows.rows_of(
            measured.version, measured.consensus.evaluation, facts, cast
        )
        rows["consensus"] = agreed
    version = measured.version or next(iter(reversed(facts["consensus"])), None)
    pairs, names = _pairs(facts, measured)
    shown_first, has_ai = measured.last, facts["model"] is not None
    left_out = {"consensus": left_out_of(facts, measured)}
    metrics = {
        t.name: metrics_of(t.evaluation, has_ai=has_ai, left_out=left_out.get(t.name))
        for t in measured.all
    }
    main = metrics[shown_first.name]
    checks = checks_of(manifest, facts, measured, rows)
    signed = [reading["id"] for reading in facts["readings"] if reading["signed"]]
    sections = [
        summary_section(facts, measured, rows, checks),
        scores_section(main, shown_first, rows[shown_first.name], HEADLINE),
        notices_section(facts, rows.get("consensus", [])),
        case_section(facts),
        consensus_section(version, facts["consensus"], rows.get("consensus", [])),
        metrics_section(measured, metrics, shown_first),
        sizes_section(shown_first, rows[shown_first.name]),
        where_section(shown_first),
        *(
            _reading(reading, measured, rows, explain=reading["id"] in signed[:1])
            for reading in facts["readings"]
        ),
        agreement_section(
            facts["comparison"],
            pairs,
            names,
            anchored=all(r["masks"]["ai"] for r in facts["readings"] if r["signed"]),
        ),
        discrepancy_section(version, facts, cast),
        cards_section(measured, rows),
        signature_section(facts["readings"], facts["consensus"]),
        chain_section(facts, words),
        made_section(manifest, facts),
    ]
    return {
        "schema": SCHEMA,
        "kind": "case_report",
        "id": manifest["id"],
        "title": f"Case report {facts['case']['label']}",
        "subtitle": stage_words(facts, measured),
        "research": RESEARCH_NOTICE,
        "alarm": alarm_of(checks),
        "sections": sections,
        "charts": chart_data(shown_first, rows[shown_first.name], pairs),
        "metrics": main,
        "numbers": {
            "case": facts["case"],
            "truth": shown_first.name,
            "metrics": metrics,
            "accounts": {
                name: account_json(truth.evaluation, rows[name])
                for name, truth in measured.readings.items()
            },
            "readings": [
                {name: reading[name] for name in READING_FACTS}
                for reading in facts["readings"]
                if reading["signed"]
            ],
            "nodes": rows,
            "pairs": [vars(pair) | {"difference_mm": pair.difference_mm} for pair in pairs],
            "discrepancies": version["discrepancies"] if version else [],
            "consensus": facts["consensus"],
            "evidence": facts["evidence"],
            "checks": checks,
            "chain": facts["chain"],
        },
    }


def _reading(
    reading: dict[str, Any],
    measured: Measured,
    rows: dict[str, list[dict[str, Any]]],
    *,
    explain: bool,
) -> dict[str, Any]:
    truth = measured.readings.get(reading["id"])
    return reading_section(
        reading,
        truth.evaluation if truth else None,
        rows.get(reading["id"], []),
        explain=explain,
    )


def _pairs(facts: dict[str, Any], measured: Measured) -> tuple[list[Pair], tuple[str, str]]:
    comparison = facts["comparison"]
    if comparison is None:
        return [], ("", "")
    by_id = {reading["id"]: reading for reading in facts["readings"]}
    one, two = by_id[comparison["first"]], by_id[comparison["second"]]
    truths = measured.readings[one["id"]], measured.readings[two["id"]]
    pairs = pairs_of(
        comparison,
        (one["nodes"], two["nodes"]),
        (truths[0].evaluation, truths[1].evaluation),
    )
    return pairs, (one["reader"], two["reader"])
