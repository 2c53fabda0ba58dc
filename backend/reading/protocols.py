"""The built-in protocols, as data. A protocol in use is frozen: change it by a new version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.reading.beside_rules import Kind
from backend.reading.evidence import EvidenceKind, LabelValue
from backend.reading.next_order import Order
from backend.reading.vocabulary import PLANES, Arm, Impression, Reason
from backend.reading.workflow import INDETERMINATE, Resolution

LYMPH_NODE_SERIES: dict[str, Any] = {
    "modality": "CT",
    "slice_thickness_mm": [0.75, 2.5],
    "contrast_required": True,
    "min_age_years": 18,
    # What of a study's volumes is read; `ranking.rank` says how.
    "plane": "axial",
    "body_parts": ["NECK", "HEADNECK", "HEAD NECK", "HEAD AND NECK", "CSPINE"],
    "coverage_mm": 150.0,
    "sharp_kernels": ["BONE", "LUNG", "EDGE", "ULTRA", "SHARP"],
    # Geometry: slices at most so many times as far apart as pixels; what becomes of a tilted gantry
    # ("refuse", or "resample": read sheared back to an orthogonal grid).
    "max_anisotropy": 10.0,
    "gantry_tilt": "refuse",
}
# Of protocols from before they said: any volume of the modality, none resampled.
_SERIES_UNSAID: dict[str, Any] = {
    "plane": None,
    "body_parts": [],
    "coverage_mm": 0.0,
    "sharp_kernels": [],
    "max_anisotropy": None,
    "gantry_tilt": "refuse",
}
# How two blind readings are compared; `discrepancies.Rules` says what each rule means.
COMPARISON: dict[str, Any] = {
    "edge_share": 0.4,
    "pair_iou": 0.1,
    "ignore_below_sad_mm": 5.0,
    "border_asd_mm": 1.0,
    "short_axis_mm": 2.0,
    "size_classes_mm": [5.0, 10.0, 15.0],
    "impression": True,
    "level": True,
    "doubt": True,
    "settled_geometry": "mean_signed_distance",
}


# What people may make of a discrepancy, and whether the AI's shapes are shown while they settle.
SETTLING: dict[str, Any] = {
    "resolutions": [
        Resolution.X.value,
        Resolution.Y.value,
        Resolution.AI.value,
        Resolution.UNION.value,
        Resolution.INTERSECTION.value,
        Resolution.REDRAWN.value,
        Resolution.ABSENT.value,
        INDETERMINATE,
    ],
    "show_ai": True,
}
# What an agreed node may be called, and which evidence counts; `evidence.Rules` reads it.
LABELS: dict[str, Any] = {
    "values": [value.value for value in LabelValue],
    "metastatic_needs": 1,
    "evidence": {
        EvidenceKind.PET.value: {"counts": ["positive"], "max_days": 92},
        EvidenceKind.HIST.value: {"counts": ["positive"]},
        EvidenceKind.CHEMO.value: {"counts": ["regression", "progression"]},
        EvidenceKind.NECR.value: {"counts": ["present"]},
    },
}
# Which other series of the same person a reader sees while they read; `beside_rules.Kind` says what
# each word means. PET and later studies are evidence, and sealed until the nodes are agreed on.
BESIDE: list[str] = [Kind.SAME_STUDY.value, Kind.PRIOR.value]
# Of protocols from before anybody settled by one: everything but the AI.
_SETTLING_UNSAID: dict[str, Any] = {
    "resolutions": [name for name in SETTLING["resolutions"] if name != Resolution.AI],
    "show_ai": False,
}


def series_rule_of(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Which series a protocol's definition takes, which of a study's it reads first, and what
    excludes a case from cohorts."""
    return {**_SERIES_UNSAID, **definition["series"]}


def order_of(definition: Mapping[str, Any]) -> Order:
    """How a reader's unread cases are ordered; the newest first, unless the protocol says else."""
    return Order(definition.get("next_case", Order.NEWEST.value))


def settling_of(definition: Mapping[str, Any]) -> dict[str, Any]:
    """How discrepancies are settled under a protocol's definition."""
    return dict(definition.get("settling", _SETTLING_UNSAID))


def _lymph_nodes(**own: Any) -> dict[str, Any]:
    return {
        "label_prefix": "LN",
        "series": LYMPH_NODE_SERIES,
        "slots": ["R1", "R2"],
        "presegmentation": {"model": "default"},
        "required_planes": list(PLANES),
        # Share of the slices of a plane that must have been on screen; 0 means at least one.
        "plane_share": {"axial": 0.8, "coronal": 0.0, "sagittal": 0.0},
        "reject_reasons": list(Reason.values),
        "impressions": list(Impression.values),
        "truth_min_sad_mm": 5.0,
        "prediction_min_sad_mm": 4.5,
        "show_scores": False,
        "beside": BESIDE,
        **own,
    }


# Two readers correct the AI blind to each other, settle what differs, and label what is agreed.
_TWO_BLIND: dict[str, Any] = {
    "arms": {"R1": Arm.AI_FIRST.value, "R2": Arm.AI_FIRST.value},
    "comparison": COMPARISON,
    "settling": SETTLING,
    "labels": LABELS,
}

BUILT_IN: tuple[dict[str, Any], ...] = (
    {
        "code": "LN-CT-BLIND",
        "version": 5,
        "name": "Cervical lymph nodes on CT, two independent readers",
        "design": "independent_blind",
        "active": True,
        "definition": _lymph_nodes(**_TWO_BLIND),
    },
    {
        "code": "LN-CT",
        "version": 3,
        "name": "Cervical lymph nodes on CT, the second reader corrects the first",
        "design": "sequential_visible",
        "active": False,
        "definition": _lymph_nodes(arms={"R1": Arm.AI_FIRST.value, "R2": Arm.NO_AI.value}),
    },
    {
        "code": "LN-CT-OPEN",
        "version": 1,
        "name": "Cervical lymph nodes on CT, PET and follow-up open to two independent readers",
        "design": "independent_blind",
        "active": False,
        "definition": _lymph_nodes(**_TWO_BLIND, beside=[kind.value for kind in Kind]),
    },
    {
        "code": "LN-CT-UNSURE",
        "version": 1,
        "name": "Cervical lymph nodes on CT, two independent readers, unsure cases first",
        "design": "independent_blind",
        "active": False,
        "definition": _lymph_nodes(**_TWO_BLIND, next_case=Order.UNCERTAINTY.value),
    },
    {
        "code": "LN-CT-DISPUTED",
        "version": 1,
        "name": "Cervical lymph nodes on CT, two independent readers, disputed cases first",
        "design": "independent_blind",
        "active": False,
        "definition": _lymph_nodes(**_TWO_BLIND, next_case=Order.DISAGREEMENT.value),
    },
)
