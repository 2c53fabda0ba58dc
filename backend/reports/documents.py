"""From facts and numbers to a document: plain data, in the order it is read. Pure.

What draws the document, as a page or on paper, takes the words as they stand here and adds none.
Every number stands unrounded under `numbers` too, null with a reason where it is undefined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backend.jobs.protocol import STAGES
from backend.reports import blocks, consensus_rows, node_rows, shown
from backend.reports.agreement import Pair, pairs_of
from backend.reports.checks import alarm_of, checks_of
from backend.reports.consensus_sections import (
    NOT_BENIGN,
    consensus_section,
    discrepancy_section,
    signature_section,
)
from backend.reports.log_sections import chain_section, made_section
from backend.reports.metric_rows import metrics_of
from backend.reports.reading_sections import (
    account_json,
    agreement_section,
    mark_of,
    reading_section,
)
from backend.reports.truths import Measured, Truth
from backend.version import RESEARCH_NOTICE

SCHEMA = 2
HEADLINE = ("recall", "precision", "f1", "fp", "dice", "assd_mm")
UNMARKED = (
    ("not marked metastatic", frozenset({"unmarked", "non_metastatic"})),
    ("marked metastatic", frozenset({"metastatic"})),
    ("indeterminate", frozenset({"indeterminate", "not_assessable"})),
    ("all", frozenset[str]()),
)
CARDS = (
    "Solid: the outline of the truth. Dotted: the AI’s. Axial, 40 mm wide, W350 L60, bar 10 mm, "
    "thin line: short axis. Times are UTC."
)


def case_document(
    *,
    manifest: dict[str, Any],
    facts: dict[str, Any],
    measured: Measured,
    words: Mapping[int, str],
) -> dict[str, Any]:
    """The whole case report as data.

    Args:
        manifest: what the report is made of: `id`, `created`, `made_by`, `version`, `chain`,
            `stored_faults`.
        facts: what `record.facts.facts_of` returned.
        measured: what `truths.measure` returned.
        words: what `log_words.event_words` returned.
    """
    rows = {
        reading["id"]: node_rows.rows_of(
            reading["nodes"], measured.readings[reading["id"]].evaluation
        )
        for reading in facts["readings"]
        if reading["signed"]
    }
    if measured.consensus and measured.version:
        agreed = consensus_rows.rows_of(measured.version, measured.consensus.evaluation, facts)
        rows["consensus"] = agreed
    version = measured.version or next(iter(reversed(facts["consensus"])), None)
    pairs, names = _pairs(facts, measured)
    shown_first, has_ai = measured.last, facts["model"] is not None
    metrics = {t.name: metrics_of(t.evaluation, has_ai=has_ai) for t in measured.all}
    main = metrics[shown_first.name]
    checks = checks_of(manifest, facts, measured, rows)
    sections = [
        _notices(facts),
        _case(facts),
        *(_reading(reading, measured, rows) for reading in facts["readings"]),
        agreement_section(
            facts["comparison"],
            pairs,
            names,
            anchored=all(r["masks"]["ai"] for r in facts["readings"] if r["signed"]),
        ),
        discrepancy_section(version, facts["comparison"]),
        consensus_section(version, facts["consensus"], rows.get("consensus", [])),
        _metrics(measured, metrics, shown_first),
        _sizes(shown_first, rows[shown_first.name]),
        _where(shown_first),
        _cards(measured, rows),
        signature_section(facts["readings"], facts["consensus"]),
        chain_section(facts, words),
        made_section(manifest, facts, checks),
    ]
    return {
        "schema": SCHEMA,
        "kind": "case_report",
        "id": manifest["id"],
        "title": f"Case report {facts['case']['label']}",
        "subtitle": stage_words(facts, measured),
        "research": RESEARCH_NOTICE,
        "alarm": alarm_of(checks),
        "headline": {
            "title": f"The AI against {shown_first.title}",
            "items": [row for name in HEADLINE for row in main if row["id"] == name],
        },
        "sections": sections,
        "charts": _charts(shown_first, rows[shown_first.name], pairs, facts),
        "metrics": main,
        "numbers": {
            "case": facts["case"],
            "truth": shown_first.name,
            "metrics": metrics,
            "accounts": {
                name: account_json(truth.evaluation, rows[name])
                for name, truth in measured.readings.items()
            },
            "nodes": rows,
            "pairs": [vars(pair) | {"difference_mm": pair.difference_mm} for pair in pairs],
            "discrepancies": version["discrepancies"] if version else [],
            "consensus": facts["consensus"],
            "evidence": facts["evidence"],
            "checks": checks,
            "chain": facts["chain"],
        },
    }


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


def _notices(facts: dict[str, Any]) -> dict[str, Any]:
    exclusions = facts["case"]["exclusions"]
    return blocks.section(
        "notices",
        "",
        blocks.notice("Read these numbers with care.", _bias(facts), "warn"),
        blocks.notice(
            "Excluded from cohorts.",
            "The case is read like any other and left out of cohort results: "
            + " ".join(exclusions),
            "plain",
        )
        if exclusions
        else None,
    )


def _bias(facts: dict[str, Any]) -> str:
    """METHODS.md §1.12, in this case's words."""
    model = facts["model"]
    signed = [reading for reading in facts["readings"] if reading["signed"]]
    if model is None or not any(reading["masks"]["ai"] for reading in signed):
        first = "No AI proposal was shown to who read, so the truth is not anchored to one."
    else:
        first = (
            f"The truth was made by correcting the proposal of {model['name']} "
            f"{model['version']}, which is also the model evaluated. Readers who start from a "
            "proposal stay near it: recall, Dice and surface distance are optimistic."
        )
    if len(signed) < 2:
        second = "One reader corrected it; no second opinion is in these numbers."
    else:
        second = "Two readers read independently; what they differed in was settled afterwards."
    return (
        f"{first} {second} Labels rest on the imaging and clinical evidence named beside "
        f"each, not on histology of every node; impressions rest on the images alone. {NOT_BENIGN}"
    )


def _case(facts: dict[str, Any]) -> dict[str, Any]:
    case, images, protocol = facts["case"], facts["images"], facts["case"]["protocol"]
    sz, sy, sx = images["grid"]["spacing_mm"]
    slices, rows, columns = images["grid"]["shape"]
    design = protocol["design"].replace("_", " ")
    return blocks.section(
        "case",
        "Case, images and model",
        blocks.columns(
            blocks.facts(
                ("Case", f"{case['label']}, subject {case['subject']}, {case['project']}"),
                ("Study date", case["study_date"] or "not given"),
                ("Protocol", f"{protocol['code']} version {protocol['version']}, {design}"),
                (
                    "Images",
                    f"{images['modality'] or 'series'}, {images['grid']['plane']}, "
                    f"{slices} × {rows} × {columns} voxels",
                ),
                ("Spacing", f"{sz:.4g} × {sy:.4g} × {sx:.4g} mm (slices, rows, columns)"),
                ("Inclusion", _inclusion(case["series_facts"])),
                ("Cohorts", "excluded, see above" if case["exclusions"] else "included"),
            ),
            _model(facts["model"]),
        ),
    )


def _inclusion(said: dict[str, Any]) -> str:
    """What the images say of the items a protocol asks for."""
    thickness, age = said["slice_thickness_mm"], said["age_years"]
    return ", ".join(
        (
            "slice thickness not recorded" if thickness is None else f"slices of {thickness:g} mm",
            "contrast given" if said["contrast"] else "no contrast recorded",
            "age not recorded" if age is None else f"{age} years",
        )
    )


def _model(model: dict[str, Any] | None) -> blocks.Block:
    if model is None:
        return blocks.facts(("Model", "no proposal was made"))
    timings = sorted(model["timings"].items(), key=lambda item: _stage_place(item[0]))
    stages = [f"{name} {shown.seconds(v)}" for name, v in timings if isinstance(v, int | float)]
    attempt = f"attempt {model['attempt']}, " if model["attempt"] else ""
    worker = f", {model['worker']}" if model["worker"] else ""
    return blocks.facts(
        ("Model", f"{model['name']} {model['version']}"),
        ("Its notice", model["notice"]) if model["notice"] else None,
        ("Weights", model["sha256"]),
        ("Run", f"{attempt}ended {shown.when(model['finished'])}{worker}"),
        ("Stages", ", ".join(stages)) if stages else None,
    )


def _stage_place(stage: str) -> tuple[int, str]:
    """Stages in the order they ran; others (waiting) before them."""
    return (STAGES.index(stage) if stage in STAGES else -1, stage)


def _reading(
    reading: dict[str, Any], measured: Measured, rows: dict[str, list[dict[str, Any]]]
) -> dict[str, Any]:
    truth = measured.readings.get(reading["id"])
    return reading_section(
        reading, truth.evaluation if truth else None, rows.get(reading["id"], [])
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


def _metrics(
    measured: Measured, metrics: dict[str, list[dict[str, Any]]], main: Truth
) -> dict[str, Any]:
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
                    f"{row['reason']}: {row['why']}" if row["reason"] else row["detail"],
                    name=row["id"],
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


def _sizes(truth: Truth, rows: list[dict[str, Any]]) -> dict[str, Any]:
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
            )
            for group in found["rows"]
        ),
        caption=f"{caption} Sensitivity is the mean over found nodes.",
        groups=[("", 1), *((name, 4) for name, _ in populations)],
        widths=(1.5, *([1, 1, 1, 1] * len(populations))),
    )


def _where(truth: Truth) -> dict[str, Any]:
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
                "Each node: share of its voxels the AI had proposed, by short axis. Square: no "
                "counted proposal there.",
            ),
        ),
    )


def _charts(
    truth: Truth, rows: Sequence[dict[str, Any]], pairs: Sequence[Pair], facts: dict[str, Any]
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
                [str(row["number"]), mark_of(row), row["x_mm"], row["z_mm"], row["sad_mm"]]
                for row in rows
                if row["sad_mm"] is not None
            ],
        },
        "sensitivity": [
            [str(row["number"]), row["sad_mm"], row["sensitivity"]]
            for row in rows
            if row["sensitivity"] is not None
        ],
        "bland_altman": [
            [f"{pair.first}/{pair.second}", pair.kind, pair.mean_mm, pair.difference_mm]
            for pair in pairs
        ],
    }


def _cards(measured: Measured, rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """A card for every node of the consensus; before there is one, of every signed reading."""
    truths = [measured.consensus] if measured.consensus else list(measured.readings.values())
    many = len(truths) > 1
    items = [
        _card(row, truth, f"{truth.title}: " if many else "")
        for truth in truths
        for row in rows[truth.name]
    ]
    return blocks.section("nodes", "Each node’s picture and history", blocks.cards(items, CARDS))


def _card(row: dict[str, Any], truth: Truth, before: str) -> dict[str, Any]:
    met = ", ".join(f"{m['number']} ({m['shown']})" for m in row["met"])
    found = shown.DASH
    if row["localised"] is not None:
        found = f"{'yes' if row['localised'] else 'no'}, {row['sensitivity_shown']}"
    agreed = truth.name == "consensus"
    flags = ", ".join(row.get("flags", []))
    names = (("Label", "label"), ("Basis", "basis"), ("Shape", "origin"), ("Site", "site"))
    own = [
        (name, row[f"{key}_shown"])
        for name, key in (names if agreed else (("Impression", "impression"),))
        if row[f"{key}_shown"] != shown.DASH
    ]
    return {
        "key": f"{truth.name}/{row['uuid']}",
        "truth": truth.name,
        "uuid": row["uuid"],
        "number": row["number"],
        "mark": mark_of(row),
        "title": f"{before}Node {row['number']}",
        "words": row["label_shown"] if agreed else row["decision_shown"],
        "doubt": bool(row.get("doubt")),
        "facts": blocks.facts(
            ("Long × short axis", f"{row['lad_shown']} × {row['sad_shown']} mm"),
            ("AI → truth", f"{row['sad_change_shown']} mm"),
            ("Volume", f"{row.get('volume_shown', shown.DASH)} mm³"),
            ("Slice", row.get("slice_shown", shown.DASH)),
            ("Found", found),
            ("Proposals", met or (row["ai_kind_shown"] if row["group"] == "rejected" else "none")),
            *own,
            ("Flags", flags) if flags else None,
        )["items"],
        "history": row["history"],
    }
