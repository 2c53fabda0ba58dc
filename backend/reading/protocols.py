"""The built-in protocols, as data. A protocol in use is frozen: change it by a new version."""

from __future__ import annotations

from typing import Any

from backend.reading.vocabulary import PLANES, Arm, Impression, Reason

LYMPH_NODE_SERIES: dict[str, Any] = {
    "modality": "CT",
    "slice_thickness_mm": [0.75, 2.5],
    "contrast_required": True,
    "min_age_years": 18,
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
        **own,
    }


BUILT_IN: tuple[dict[str, Any], ...] = (
    {
        "code": "LN-CT-BLIND",
        "version": 2,
        "name": "Cervical lymph nodes on CT, two independent readers",
        "design": "independent_blind",
        "active": True,
        "definition": _lymph_nodes(
            arms={"R1": Arm.AI_FIRST.value, "R2": Arm.AI_FIRST.value}, comparison=COMPARISON
        ),
    },
    {
        "code": "LN-CT",
        "version": 1,
        "name": "Cervical lymph nodes on CT, the second reader corrects the first",
        "design": "sequential_visible",
        "active": False,
        "definition": _lymph_nodes(arms={"R1": Arm.AI_FIRST.value, "R2": Arm.NO_AI.value}),
    },
)
