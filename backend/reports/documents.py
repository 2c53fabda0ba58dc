"""From facts and numbers to a document: plain data, JSON-able, in the order it is printed.

Every number stands twice: as measured (`value`, unrounded, null with a `reason`) and as written
(`shown`). What draws the document, as a page or on paper, takes the written form and adds nothing.
"""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import Any

from backend.jobs.protocol import STAGES
from backend.reports import node_rows, shown
from backend.reports.checks import alarm_of, checks_of
from backend.reports.evaluation import Evaluation
from backend.reports.metric_rows import metrics_of
from backend.version import RESEARCH_NOTICE

SCHEMA = 1
CHANGED = "reading.changed"
CHAIN_CAVEAT = (
    "This finds events altered, removed or put in between. A chain rebuilt as a whole shows only "
    "against heads that were exported earlier and kept elsewhere."
)
NOT_BENIGN = "“Not marked metastatic” does not mean proven benign."


def case_document(
    *, manifest: dict[str, Any], facts: dict[str, Any], evaluation: Evaluation
) -> dict[str, Any]:
    """The whole case report as data.

    Args:
        manifest: what the report was made of: `id`, `created`, `made_by`, `version`, `chain`,
            `verdict`, `inputs`.
        facts: what `facts.gather` returned.
        evaluation: the AI's proposal against the signed reading.
    """
    rows = node_rows.rows_of(facts, evaluation)
    has_ai = facts["model"] is not None or bool(facts["ai_nodes"])
    return {
        "schema": SCHEMA,
        "kind": "case_report",
        "id": manifest["id"],
        "title": f"Case report {facts['case']['label']}",
        "subtitle": "The AI's proposal against the signed reading of "
        f"{facts['reading']['reader']} ({facts['reading']['slot_name'].lower()})",
        "made": {
            "at": shown.when(manifest["created"]),
            "by": manifest["made_by"],
            "version": manifest["version"],
        },
        "case": facts["case"],
        "images": _images(facts["images"]),
        "extent_mm": facts["images"]["extent_mm"],
        "model": _model(facts["model"]),
        "reading": _reading(facts),
        "signature": _signature(facts["signature"]),
        "metrics": metrics_of(evaluation, has_ai=has_ai),
        "parameters": _parameters(evaluation),
        "size_groups": node_rows.size_groups(rows, evaluation),
        "correction": _correction(evaluation, rows),
        "nodes": rows,
        "timeline": _timeline(facts["timeline"]),
        "chain": _chain(manifest, facts["timeline"]),
        "inputs": _inputs(manifest),
        "checks": checks_of(facts, rows),
        "alarm": alarm_of(facts),
        "notices": _notices(facts),
    }


def _parameters(evaluation: Evaluation) -> dict[str, Any]:
    found = evaluation.detection
    return {
        "connectivity": 26,
        "localised_from": found.threshold,
        "prediction_min_sad_mm": found.prediction_min_sad_mm,
        "truth_min_sad_mm": found.truth_min_sad_mm,
        "fp_rule": found.fp_rule,
        "truth": "the nodes of the signed reading, by their labels",
        "surface_distance": "assd: mean over the border voxels of both masks, pooled",
    }


def _images(images: dict[str, Any]) -> dict[str, Any]:
    sz, sy, sx = images["spacing_mm"]
    text = f"{images['slices']} × {images['rows']} × {images['columns']}"
    return images | {
        "shown": f"{images['modality'] or 'series'}, {images['plane']}, {text} voxels",
        "spacing_shown": f"{sz:.4g} × {sy:.4g} × {sx:.4g} mm",
    }


def _model(model: dict[str, Any] | None) -> dict[str, Any] | None:
    if model is None:
        return None
    timings = [
        {"stage": stage, "shown": shown.seconds(value)}
        for stage, value in sorted(model["timings"].items(), key=lambda item: _stage_place(item[0]))
        if isinstance(value, int | float)
    ]
    return model | {"finished_shown": shown.when(model["finished"]), "stages": timings}


def _stage_place(stage: str) -> tuple[int, str]:
    """Stages in the order they ran; others (waiting) before them."""
    return (STAGES.index(stage) if stage in STAGES else -1, stage)


def _reading(facts: dict[str, Any]) -> dict[str, Any]:
    reading: dict[str, Any] = facts["reading"]
    changes: dict[str, Any] = facts["changes"]
    kinds = ", ".join(f"{count} {kind}" for kind, count in changes["kinds"].items())
    return reading | {
        "opened_shown": shown.when(reading["opened"]),
        "submitted_shown": shown.when(reading["submitted"]),
        "active_shown": shown.seconds(reading["active_seconds"]),
        "changes_shown": f"{changes['total']} ({kinds})" if kinds else "none",
    }


def _signature(signature: dict[str, Any] | None) -> dict[str, Any] | None:
    return signature and signature | {"at_shown": shown.when(signature["at"])}


def _correction(evaluation: Evaluation, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The reader's account, with its identity written out in this case's numbers."""
    books = evaluation.correction
    identity = (
        f"{len(books.final)} = {len(books.offered)} − {len(books.rejected)} + {len(books.added)} "
        f"+ {books.split_gain} − {books.merge_loss}"
    )
    shares = [
        ("Reshaped, of kept", books.reshaped_fraction, f"{len(books.reshaped)} of {books.kept}"),
        ("Retention, kept of offered", books.retention, f"{books.kept} of {len(books.offered)}"),
        ("Coverage, kept of signed", books.coverage, f"{books.kept} of {len(books.final)}"),
        ("Found by the proposal at 0.4", books.localisation_recall, "all sizes"),
        (
            "Initial sensitivity, AI-origin nodes",
            books.median_initial_sensitivity(),
            "median",
        ),
        (
            "Initial sensitivity, all nodes",
            books.median_initial_sensitivity(ai_origin_only=False),
            "median",
        ),
        ("Dice, offered and signed", books.dice, "all voxels"),
    ]
    facts = [
        {"name": name, "text": f"{shown.share(metric.value)} ({detail})"}
        for name, metric, detail in shares
    ]
    voxels = f"{books.voxels_added} added, {books.voxels_removed} removed"
    facts.append({"name": "Voxels", "text": voxels})
    counts = [
        {"name": name, "text": str(count)}
        for name, count in (
            ("Offered by the AI", len(books.offered)),
            ("Rejected", len(books.rejected)),
            ("Kept", books.kept),
            ("of these reshaped", len(books.reshaped)),
            ("Added", len(books.added)),
            ("Gained by splitting", books.split_gain),
            ("Lost by merging", books.merge_loss),
            ("Signed", len(books.final)),
        )
    ]
    written = {"identity": identity, "counts": counts, "facts": facts}
    return books.to_json() | {"reasons": node_rows.reject_reasons(rows), "shown": written}


def _timeline(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events in order; a run of changes, or of the same action, by one person is one line."""
    lines = []
    for (who, _, outcome), group in groupby(events, key=_kind_of):
        run = list(group)
        first, last = run[0], run[-1]
        alone = len(run) == 1
        positions = [str(event["position"]) for event in (first, last)]
        lines.append(
            {
                "positions": positions[0] if alone else "–".join(positions),
                "at": shown.moment(first["at"]),
                "until": "" if alone else shown.moment(last["at"]),
                "who": who,
                "action": first["action"] if alone else _kind_of(first)[1],
                "times": "" if alone else _counted(run),
                "outcome": outcome,
                "reason": first["reason"] if alone else "",
            }
        )
    return lines


def _kind_of(event: dict[str, Any]) -> tuple[str, str, str]:
    action = CHANGED if event["action"].startswith(f"{CHANGED}.") else event["action"]
    return event["who"], action, event["outcome"]


def _counted(run: list[dict[str, Any]]) -> str:
    """ "24 times", or of changes "14 decision, 4 impression, 6 voxels"."""
    if _kind_of(run[0])[1] != CHANGED:
        return f"{len(run)} times"
    kinds = Counter(event["action"].removeprefix(f"{CHANGED}.") for event in run)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


def _chain(manifest: dict[str, Any], timeline: list[dict[str, Any]]) -> dict[str, Any]:
    verdict: dict[str, Any] = manifest["verdict"]
    chain: dict[str, Any] = manifest["chain"]
    others = chain["position"] - len(timeline)
    return chain | {
        "holds": verdict["holds"],
        "faults": verdict["faults"],
        "sentence": f"The chain holds: {chain['position']} events, each following from the last."
        if verdict["holds"]
        else "The chain does not hold.",
        "caveat": CHAIN_CAVEAT,
        "others": others,
        "others_sentence": f"{others} event{'s' if others > 1 else ''} of other readings "
        f"{'are' if others > 1 else 'is'} not listed; the chain covers "
        f"{'them' if others > 1 else 'it'} too."
        if others
        else "",
    }


def _inputs(manifest: dict[str, Any]) -> list[dict[str, str]]:
    names = {
        "ai_mask": "AI mask",
        "base_mask": "Mask the reading began with",
        "head_mask": "Last version of the reading",
        "effective_mask": "Signed mask without rejected nodes",
        "geometry": "Geometry of the images",
        "instances": "Images (SOP Instance UIDs with their bytes' SHA-256)",
        "facts": "Facts from the database",
    }
    return [
        {"name": names.get(key, key), "hash": value}
        for key, value in sorted(manifest["inputs"].items())
        if value
    ]


def _notices(facts: dict[str, Any]) -> dict[str, str]:
    model = facts["model"]
    if model is None:
        bias = (
            "No AI proposal was shown, so this reading is not anchored to one. One person "
            "segmented it."
        )
    else:
        name = f"{model['name']} {model['version']}"
        bias = (
            f"The truth of this report was made by correcting the proposal of {name}, which is "
            "also the model evaluated. Readers who start from a proposal stay near it: recall, "
            "Dice and surface distance are optimistic. One reader corrected it; no second opinion "
            "is in these numbers. Impressions rest on the images, not on histology."
        )
    return {"research": RESEARCH_NOTICE, "bias": bias, "not_benign": NOT_BENIGN}
