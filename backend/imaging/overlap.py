"""Where two label maps overlap, and what that says about detection (METHODS.md §1.5–1.7, §1.9).

A value that cannot be computed is null with a reason, never 0 or infinity. Ratios are compared with
their thresholds as whole numbers.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from backend.imaging.grid import Grid
from backend.imaging.nodes import PREDICTION_MIN_SAD_MM, label_boxes, measure_all

LabelMap: TypeAlias = NDArray[Any]
Mask: TypeAlias = NDArray[np.bool_]
Reason: TypeAlias = Literal["NO_TRUTH", "NO_PREDICTION", "NO_LOCALISED", "TOO_FEW", "CONSTANT"]
FpRule: TypeAlias = Literal["strict", "lenient"]
PredictionClass: TypeAlias = Literal["TP", "partial", "ignored", "FP"]
Population: TypeAlias = Literal["localised", "all"]

LOCALISED_SHARE = 0.4
LARGE_FP_MM = 10.0


class ShapesDiffer(ValueError):
    """Two label maps must lie on one grid. Resample one onto the other's series first."""

    def __init__(self, a: Sequence[int], b: Sequence[int]) -> None:
        super().__init__(
            f"The label maps have shapes {tuple(a)} and {tuple(b)}. "
            "Resample one onto the other's series first."
        )


@dataclass(frozen=True)
class Metric:
    """A number, or null with the reason why there is none."""

    value: float | None
    reason: Reason | None = None

    @classmethod
    def ratio(cls, numerator: float, denominator: float, reason: Reason) -> Metric:
        """The quotient, or null for `reason` when the denominator is 0."""
        return cls(numerator / denominator) if denominator else cls(None, reason)

    def to_json(self) -> dict[str, Any]:
        """``{"value": …, "reason": …}``."""
        return {"value": self.value, "reason": self.reason}


def exact(threshold: float | Fraction) -> Fraction:
    """The threshold as its shortest decimal says: 0.4 is 2/5."""
    return threshold if isinstance(threshold, Fraction) else Fraction(repr(float(threshold)))


def reaches(part: int, whole: int, threshold: Fraction) -> bool:
    """Whether part/whole ≥ threshold, in whole numbers."""
    return part * threshold.denominator >= whole * threshold.numerator


@dataclass(frozen=True)
class Overlaps:
    """Voxel counts of two label maps on one grid.

    Attributes:
        voxels_a, voxels_b: label → voxels, for every label present, ascending.
        shared: ``(label of a, label of b)`` → voxels both hold, only where they meet.
    """

    voxels_a: Mapping[int, int]
    voxels_b: Mapping[int, int]
    shared: Mapping[tuple[int, int], int]

    def with_a(self, label: int) -> dict[int, int]:
        """Labels of b that meet this label of a → shared voxels."""
        return {b: count for (a, b), count in self.shared.items() if a == label}

    def with_b(self, label: int) -> dict[int, int]:
        """Labels of a that meet this label of b → shared voxels."""
        return {a: count for (a, b), count in self.shared.items() if b == label}


def overlaps_of(a: LabelMap, b: LabelMap) -> Overlaps:
    """Count the voxels of every label and of every meeting of two labels, in one pass.

    Both label maps are ``(slices, rows, columns)`` of whole numbers below 65 536.

    Raises:
        ShapesDiffer: when the shapes differ.
    """
    if a.shape != b.shape:
        raise ShapesDiffer(a.shape, b.shape)
    shared: dict[tuple[int, int], int] = {}
    counts_a: dict[int, int] = {}
    counts_b: dict[int, int] = {}
    for plane_a, plane_b in zip(a, b, strict=True):
        any_a, any_b = plane_a.any(), plane_b.any()
        if not any_a and not any_b:
            continue
        used = (plane_a != 0) | (plane_b != 0)
        codes = plane_a[used].astype(np.uint32) << np.uint32(16) | plane_b[used].astype(np.uint32)
        values, counts = np.unique(codes, return_counts=True)
        for code, count in zip(values.tolist(), counts.tolist(), strict=True):
            in_a, in_b = code >> 16, code & 0xFFFF
            if in_a:
                counts_a[in_a] = counts_a.get(in_a, 0) + count
            if in_b:
                counts_b[in_b] = counts_b.get(in_b, 0) + count
            if in_a and in_b:
                shared[in_a, in_b] = shared.get((in_a, in_b), 0) + count
    return Overlaps(
        dict(sorted(counts_a.items())), dict(sorted(counts_b.items())), dict(sorted(shared.items()))
    )


def dice(a: Mask, b: Mask) -> Metric:
    """2|A∩B| / (|A|+|B|) of two masks ``(slices, rows, columns)``; null when both are empty."""
    if a.shape != b.shape:
        raise ShapesDiffer(a.shape, b.shape)
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return Metric.ratio(2 * int(np.count_nonzero(a & b)), total, "NO_TRUTH")


def jaccard(a: Mask, b: Mask) -> Metric:
    """|A∩B| / |A∪B| of two masks; null when both are empty."""
    if a.shape != b.shape:
        raise ShapesDiffer(a.shape, b.shape)
    union = int(np.count_nonzero(a | b))
    return Metric.ratio(int(np.count_nonzero(a & b)), union, "NO_TRUTH")


def union_of(labels: LabelMap, wanted: Iterable[int]) -> Mask:
    """Mask of all voxels that carry one of the wanted labels."""
    chosen = np.zeros(int(np.iinfo(np.uint16).max) + 1, np.bool_)
    chosen[list(wanted)] = True
    result: Mask = chosen[labels]
    return result


@dataclass(frozen=True)
class TruthNode:
    """How one truth node fared.

    `sensitivity` is the share of its voxels under any retained prediction; `localised` compares it
    with the threshold in whole numbers; an `ignored` node counts neither way.
    """

    label: int
    voxels: int
    covered: int
    sad_mm: float | None
    localised: bool
    ignored: bool

    @property
    def sensitivity(self) -> float:
        """Covered voxels / voxels."""
        return self.covered / self.voxels


@dataclass(frozen=True)
class PredictedNode:
    """How one retained predicted instance is classed (METHODS.md §1.6)."""

    label: int
    voxels: int
    sad_mm: float
    kind: PredictionClass


@dataclass(frozen=True)
class Detection:
    """The evaluation of one scan, with the parameters it was made under.

    Attributes:
        truth: every truth node, ascending by label, ignored ones included.
        predictions: every retained predicted instance, ascending by label.
        dropped: labels of predictions below the size filter.
        dice_filtered: on localised truth against TP instances; null if nothing is localised.
        dice_unfiltered: on all truth against all retained predictions; null if both are empty.
    """

    truth: tuple[TruthNode, ...]
    predictions: tuple[PredictedNode, ...]
    dropped: tuple[int, ...]
    dice_filtered: Metric
    dice_unfiltered: Metric
    fp_rule: FpRule
    threshold: float
    prediction_min_sad_mm: float
    truth_min_sad_mm: float | None

    @property
    def counted(self) -> tuple[TruthNode, ...]:
        """Truth nodes that count: all but the ignored."""
        return tuple(node for node in self.truth if not node.ignored)

    @property
    def localised(self) -> tuple[TruthNode, ...]:
        """Counted truth nodes found."""
        return tuple(node for node in self.counted if node.localised)

    def of_kind(self, *kinds: PredictionClass) -> tuple[PredictedNode, ...]:
        """Retained predictions of these classes."""
        return tuple(node for node in self.predictions if node.kind in kinds)

    def false_positives(self, rule: FpRule | None = None) -> int:
        """FP + partial (strict) or FP alone (lenient); by default the evaluation's own rule."""
        if (rule or self.fp_rule) == "strict":
            return len(self.of_kind("FP", "partial"))
        return len(self.of_kind("FP"))

    @property
    def recall(self) -> Metric:
        """Localised truth nodes / truth nodes."""
        return Metric.ratio(len(self.localised), len(self.counted), "NO_TRUTH")

    def precision(self, rule: FpRule | None = None) -> Metric:
        """TP instances / (TP instances + false positives)."""
        found = len(self.of_kind("TP"))
        return self._share(found, found + self.false_positives(rule))

    def precision_truth(self, rule: FpRule | None = None) -> Metric:
        """Localised truth nodes / (localised truth nodes + false positives)."""
        found = len(self.localised)
        return self._share(found, found + self.false_positives(rule))

    def _share(self, part: int, whole: int) -> Metric:
        return Metric.ratio(part, whole, "NO_LOCALISED" if self.predictions else "NO_PREDICTION")

    def f1(self, rule: FpRule | None = None) -> Metric:
        """Harmonic mean of precision and recall; 0 if both are 0."""
        return harmonic(self.precision(rule), self.recall)

    @property
    def large_false_positives(self) -> int:
        """Strict false positives with a short axis of 10 mm or more."""
        return sum(node.sad_mm >= LARGE_FP_MM for node in self.of_kind("FP", "partial"))

    @property
    def mean_false_positive_sad_mm(self) -> Metric:
        """Mean short axis of the strict false positives, mm."""
        sads = [node.sad_mm for node in self.of_kind("FP", "partial")]
        return Metric(statistics.fmean(sads)) if sads else Metric(None, "NO_PREDICTION")

    def mean_sensitivity(self, population: Population = "localised") -> Metric:
        """Mean per-node sensitivity, of localised nodes (default) or of all that count."""
        nodes = self.localised if population == "localised" else self.counted
        if not nodes:
            return Metric(None, "NO_LOCALISED" if self.counted else "NO_TRUTH")
        return Metric(statistics.fmean(node.sensitivity for node in nodes))

    def to_json(self) -> dict[str, Any]:
        """Every metric, both false-positive counts, and the nodes behind them."""
        return {
            "parameters": {
                "fp_rule": self.fp_rule,
                "threshold": self.threshold,
                "prediction_min_sad_mm": self.prediction_min_sad_mm,
                "truth_min_sad_mm": self.truth_min_sad_mm,
            },
            "n_truth": len(self.counted),
            "n_localised": len(self.localised),
            "n_predictions": len(self.predictions),
            "recall": self.recall.to_json(),
            "precision": self.precision().to_json(),
            "precision_truth": self.precision_truth().to_json(),
            "f1": self.f1().to_json(),
            "fp_strict": self.false_positives("strict"),
            "fp_lenient": self.false_positives("lenient"),
            "fp_large": self.large_false_positives,
            "fp_mean_sad_mm": self.mean_false_positive_sad_mm.to_json(),
            "dice_filtered": self.dice_filtered.to_json(),
            "dice_unfiltered": self.dice_unfiltered.to_json(),
            "mean_sensitivity_localised": self.mean_sensitivity("localised").to_json(),
            "mean_sensitivity_all": self.mean_sensitivity("all").to_json(),
            "truth": [
                {
                    "label": node.label,
                    "voxels": node.voxels,
                    "covered": node.covered,
                    "sad_mm": node.sad_mm,
                    "sensitivity": node.sensitivity,
                    "localised": node.localised,
                    "ignored": node.ignored,
                }
                for node in self.truth
            ],
            "predictions": [
                {
                    "label": node.label,
                    "voxels": node.voxels,
                    "sad_mm": node.sad_mm,
                    "kind": node.kind,
                }
                for node in self.predictions
            ],
            "dropped": list(self.dropped),
        }


def harmonic(precision: Metric, recall: Metric) -> Metric:
    """F1 of two metrics: null where either is, 0 where both are 0."""
    if precision.value is None or recall.value is None:
        return Metric(None, recall.reason or precision.reason)
    total = precision.value + recall.value
    return Metric(2 * precision.value * recall.value / total if total else 0.0)


def evaluate(
    truth: LabelMap,
    prediction: LabelMap,
    grid: Grid,
    *,
    prediction_min_sad_mm: float = PREDICTION_MIN_SAD_MM,
    truth_min_sad_mm: float | None = None,
    threshold: float = LOCALISED_SHARE,
    fp_rule: FpRule = "strict",
    truth_sad_mm: Mapping[int, float] | None = None,
    prediction_sad_mm: Mapping[int, float] | None = None,
) -> Detection:
    """Evaluate predicted instances against truth nodes on one scan.

    Args:
        truth, prediction: label maps ``(slices, rows, columns)`` on `grid`, one label per node.
        prediction_min_sad_mm: predictions with a smaller short axis are dropped whole.
        truth_min_sad_mm: truth nodes with a smaller short axis are ignored; None counts all.
        threshold: share of a truth node that must be covered (inclusive).
        fp_rule: what counts as false positive in precision and F1.
        truth_sad_mm, prediction_sad_mm: short axes if already measured; else they are measured.

    Raises:
        ShapesDiffer: when the shapes differ.
    """
    table = overlaps_of(truth, prediction)
    if truth.shape != grid.shape:
        raise ShapesDiffer(truth.shape, grid.shape)
    predicted_sad = dict(
        _short_axes(prediction, grid) if prediction_sad_mm is None else prediction_sad_mm
    )
    true_sad: Mapping[int, float] = truth_sad_mm or {}
    if truth_sad_mm is None and truth_min_sad_mm is not None:
        true_sad = _short_axes(truth, grid)
    kept = {label for label in table.voxels_b if predicted_sad[label] >= prediction_min_sad_mm}
    share = exact(threshold)

    nodes = []
    for label, voxels in table.voxels_a.items():
        covered = sum(count for b, count in table.with_a(label).items() if b in kept)
        ignored = truth_min_sad_mm is not None and true_sad[label] < truth_min_sad_mm
        nodes.append(
            TruthNode(
                label=label,
                voxels=voxels,
                covered=covered,
                sad_mm=true_sad.get(label),
                localised=not ignored and reaches(covered, voxels, share),
                ignored=ignored,
            )
        )
    by_label = {node.label: node for node in nodes}
    predictions = tuple(
        PredictedNode(
            label=label,
            voxels=voxels,
            sad_mm=predicted_sad[label],
            kind=_classify([by_label[a] for a in table.with_b(label)]),
        )
        for label, voxels in table.voxels_b.items()
        if label in kept
    )
    found = {node.label for node in nodes if node.localised}
    hits = {node.label for node in predictions if node.kind == "TP"}
    return Detection(
        truth=tuple(nodes),
        predictions=predictions,
        dropped=tuple(label for label in table.voxels_b if label not in kept),
        dice_filtered=_dice_of(table, found, hits) if found else Metric(None, "NO_LOCALISED"),
        dice_unfiltered=_dice_of(table, set(by_label), kept),
        fp_rule=fp_rule,
        threshold=float(threshold),
        prediction_min_sad_mm=prediction_min_sad_mm,
        truth_min_sad_mm=truth_min_sad_mm,
    )


def _short_axes(labels: LabelMap, grid: Grid) -> dict[int, float]:
    return {label: node.sad_mm for label, node in measure_all(labels, grid).items()}


def _classify(met: Sequence[TruthNode]) -> PredictionClass:
    """The class of a prediction that meets these truth nodes."""
    if any(node.localised for node in met):
        return "TP"
    if any(not node.ignored for node in met):
        return "partial"
    return "ignored" if met else "FP"


def _dice_of(table: Overlaps, labels_a: set[int], labels_b: set[int]) -> Metric:
    both = sum(n for (a, b), n in table.shared.items() if a in labels_a and b in labels_b)
    total = sum(table.voxels_a[a] for a in labels_a) + sum(table.voxels_b[b] for b in labels_b)
    return Metric.ratio(2 * both, total, "NO_TRUTH")


def filtered_masks(
    truth: LabelMap, prediction: LabelMap, detection: Detection
) -> tuple[Mask, Mask]:
    """Localised truth and TP predictions, the two masks of §1.7 and §1.8, on the whole grid."""
    return (
        union_of(truth, (node.label for node in detection.localised)),
        union_of(prediction, (node.label for node in detection.of_kind("TP"))),
    )


@dataclass(frozen=True)
class Spread:
    """A per-scan metric over scans: nulls are left out of the numbers, never out of the count."""

    mean: float | None
    sd: float | None
    median: float | None
    quartiles: tuple[float, float] | None
    n_used: int
    n_total: int

    @classmethod
    def of(cls, metrics: Sequence[Metric]) -> Spread:
        """Mean, SD (n-1), median and quartiles (linear) of the values that are there."""
        values = [metric.value for metric in metrics if metric.value is not None]
        if not values:
            return cls(None, None, None, None, 0, len(metrics))
        low, middle, high = (float(q) for q in np.percentile(values, (25, 50, 75)))
        sd = statistics.stdev(values) if len(values) > 1 else None
        return cls(statistics.fmean(values), sd, middle, (low, high), len(values), len(metrics))


@dataclass(frozen=True)
class CohortDetection:
    """Detection over scans: macro (mean of scans) and micro (pooled) side by side."""

    recall: Spread
    precision: Spread
    f1: Spread
    dice_filtered: Spread
    false_positives_per_scan: Spread
    recall_micro: Metric
    precision_micro: Metric
    f1_of_means: Metric

    @property
    def f1_mean(self) -> float | None:
        """Mean of the scans' F1; `f1_of_means` is the F1 of mean precision and mean recall."""
        return self.f1.mean


def pool(scans: Sequence[Detection], fp_rule: FpRule = "strict") -> CohortDetection:
    """Aggregate scans (METHODS.md §1.6); intervals belong to `biostatistics`."""
    recall = Spread.of([scan.recall for scan in scans])
    precision = Spread.of([scan.precision(fp_rule) for scan in scans])
    found = sum(len(scan.of_kind("TP")) for scan in scans)
    false = sum(scan.false_positives(fp_rule) for scan in scans)
    return CohortDetection(
        recall=recall,
        precision=precision,
        f1=Spread.of([scan.f1(fp_rule) for scan in scans]),
        dice_filtered=Spread.of([scan.dice_filtered for scan in scans]),
        false_positives_per_scan=Spread.of(
            [Metric(float(scan.false_positives(fp_rule))) for scan in scans]
        ),
        recall_micro=Metric.ratio(
            sum(len(scan.localised) for scan in scans),
            sum(len(scan.counted) for scan in scans),
            "NO_TRUTH",
        ),
        precision_micro=Metric.ratio(found, found + false, "NO_PREDICTION"),
        f1_of_means=harmonic(
            Metric(precision.mean, None if precision.n_used else "NO_PREDICTION"),
            Metric(recall.mean, None if recall.n_used else "NO_TRUTH"),
        ),
    )


def joint_box(a: Mask, b: Mask, margin: int = 1) -> tuple[slice, slice, slice] | None:
    """The box of both masks' voxels, `margin` wider where the array goes on; None if empty."""
    boxes = label_boxes((a | b).view(np.uint8))
    if not boxes:
        return None
    parts = [
        slice(max(part.start - margin, 0), min(part.stop + margin, size))
        for part, size in zip(boxes[1], a.shape, strict=True)
    ]
    return (parts[0], parts[1], parts[2])
