"""Every metric of the AI against a truth, as measured and as written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.imaging.overlap import Metric
from backend.reports import shown
from backend.reports.evaluation import Evaluation


def metrics_of(
    evaluation: Evaluation, *, has_ai: bool, left_out: Mapping[str, int] | None = None
) -> list[dict[str, Any]]:
    """Every metric of the AI against a truth, with its variant and its counts.

    Args:
        evaluation: the AI against the truth.
        has_ai: whether there was a proposal at all.
        left_out: why proposals count neither way, in words → how many.
    """
    found, surfaces = evaluation.detection, evaluation.surfaces
    localised, nodes = len(found.localised), len(found.counted)
    hits = len(found.of_kind("TP"))
    strict, lenient = found.false_positives("strict"), found.false_positives("lenient")
    partial = strict - lenient
    ledger = _ledger(evaluation, left_out or {})
    rows = [
        _row("recall", "Recall", found.recall, "share", f"{localised} of {nodes} nodes found"),
        _row(
            "precision",
            "Precision",
            found.precision("strict"),
            "share",
            f"{hits} of {hits + strict} counted{ledger}"
            + (f"; {partial} only partly right, counted as false" if partial else ""),
        ),
        _row(
            "precision_lenient",
            "Precision, lenient",
            found.precision("lenient"),
            "share",
            f"{hits} of {hits + lenient} counted, only partly right ones left out",
        ),
        _row(
            "precision_truth",
            "Precision, by nodes",
            found.precision_truth("strict"),
            "share",
            f"{localised} found against {strict} false",
        ),
        _row("f1", "F1", found.f1("strict"), "share", "of precision and recall"),
        _count("fp", "False positives", strict, "of the scan, only partly right ones included"),
        _count("fp_lenient", "False positives, lenient", lenient, "no overlap with any node"),
        _count("fp_large", "False positives ≥ 10 mm", found.large_false_positives, "short axis"),
        _row(
            "fp_mean_sad_mm",
            "Mean short axis of false positives",
            _no_false_positive(found.mean_false_positive_sad_mm, strict),
            "length",
            "mm",
        ),
        _row("dice", "Dice", found.dice_filtered, "share", "found nodes and what found them"),
        _row(
            "dice_unfiltered",
            "Dice, unfiltered",
            found.dice_unfiltered,
            "share",
            "all nodes and all proposals of 4.5 mm or more",
        ),
        _row(
            "assd_mm", "Surface distance", surfaces.assd, "distance", "mm, average (assd, pooled)"
        ),
        _row("hd95_mm", "Hausdorff distance, 95 %", surfaces.hd95, "distance", "mm, larger way"),
        *(
            _row(
                f"nsd_{t:g}",
                f"Surface Dice at {t:g} mm",
                metric,
                "share",
                f"share of both surfaces within {t:g} mm of the other",
            )
            for t, metric in surfaces.nsd.items()
        ),
        _row(
            "sensitivity_localised",
            "Mean sensitivity, found nodes",
            found.mean_sensitivity("localised"),
            "share",
            f"n = {localised}",
        ),
        _row(
            "sensitivity_all",
            "Mean sensitivity, all nodes",
            found.mean_sensitivity("all"),
            "share",
            f"n = {nodes}",
        ),
    ]
    if not has_ai:
        for row in rows:
            row.update(value=None, reason="NO_AI", shown=shown.DASH, why=shown.REASONS["NO_AI"])
    return rows


def _ledger(evaluation: Evaluation, left_out: Mapping[str, int]) -> str:
    """Where the offered proposals went that count neither as right nor as wrong."""
    found = evaluation.detection
    reasons = {"below 4.5 mm": len(found.dropped), **left_out}
    said = [f"{count} {words}" for words, count in reasons.items() if count]
    offered = len(found.predictions) + len(found.dropped)
    return f": {offered} offered, {', '.join(said)}" if said else ""


def _no_false_positive(metric: Metric, count: int) -> Metric | None:
    return metric if count else None


def _row(name: str, label: str, metric: Metric | None, form: str, detail: str) -> dict[str, Any]:
    value = metric.value if metric else None
    reason = (metric.reason if metric else "NO_FALSE_POSITIVE") if value is None else None
    return {
        "id": name,
        "label": label,
        "value": value,
        "shown": _written(value, form),
        "reason": reason,
        "why": shown.REASONS.get(reason or "", ""),
        "detail": detail,
    }


def _written(value: float | None, form: str) -> str:
    if form == "share":
        return shown.share(value)
    return shown.length(value) if form == "length" else shown.distance(value)


def _count(name: str, label: str, value: int, detail: str) -> dict[str, Any]:
    return {
        "id": name,
        "label": label,
        "value": value,
        "shown": str(value),
        "reason": None,
        "why": "",
        "detail": detail,
    }
