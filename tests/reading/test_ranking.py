"""Which volume of a study comes first under a protocol's rule, and the sentence for the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from backend.imaging.grid import Grid
from backend.reading.protocols import LYMPH_NODE_SERIES, series_rule_of
from backend.reading.ranking import Candidate, coverage_mm, rank

BEST = Candidate(
    key="best",
    name="series 3 (venous 1.0)",
    modality="CT",
    plane="axial",
    body_part="NECK",
    contrast=True,
    thickness_mm=1.0,
    slice_distance_mm=1.0,
    coverage_mm=250.0,
    kernel="Br40d",
    matrix=(512, 512),
    original=True,
    order=(3, "1.3"),
)
# What is worse than the best, and what the sentence says of it.
WORSE: list[tuple[dict[str, Any], str]] = [
    ({"plane": "coronal"}, "Coronal slices; series 3 (venous 1.0): axial slices."),
    (
        {"body_part": "CHEST"},
        "Body part CHEST; series 3 (venous 1.0): body part NECK.",
    ),
    ({"body_part": ""}, "No body part is given; series 3 (venous 1.0): body part NECK."),
    (
        {"contrast": False},
        "No contrast agent is recorded; series 3 (venous 1.0): contrast agent given.",
    ),
    (
        {"coverage_mm": 80.2},
        "Covers 80 mm from head to foot of the 150 mm needed; series 3 (venous 1.0): covers "
        "250 mm from head to foot.",
    ),
    (
        {"thickness_mm": 5.0},
        "Slices 5 mm thick, outside 0.75–2.5 mm; series 3 (venous 1.0): slices 1 mm thick.",
    ),
    (
        {"thickness_mm": None},
        "No slice thickness is given; series 3 (venous 1.0): slices 1 mm thick.",
    ),
    ({"kernel": "Hr64"}, "Sharp kernel Hr64; series 3 (venous 1.0): kernel Br40d."),
    ({"kernel": ""}, "No kernel is given; series 3 (venous 1.0): kernel Br40d."),
    ({"kernel": "BONEPLUS"}, "Sharp kernel BONEPLUS; series 3 (venous 1.0): kernel Br40d."),
    (
        {"original": False},
        "Images derived from others; series 3 (venous 1.0): images of the scanner.",
    ),
    (
        {"slice_distance_mm": 2.0},
        "Slices 2 mm apart; series 3 (venous 1.0): slices 1 mm apart.",
    ),
    ({"matrix": (256, 256)}, "256 × 256 pixels; series 3 (venous 1.0): 512 × 512 pixels."),
    (
        {"order": (4, "1.1")},
        "Equal in everything the protocol asks; series 3 (venous 1.0) comes first by its number.",
    ),
]


@pytest.mark.parametrize(("change", "sentence"), WORSE)
def test_one_sentence_says_why_a_volume_is_passed_over(
    change: dict[str, Any], sentence: str
) -> None:
    other = replace(BEST, key="other", name="series 1", **{"order": (1, "1.1"), **change})
    first, second = rank(LYMPH_NODE_SERIES, [other, BEST])
    assert (first.candidate.key, first.reason) == ("best", "Fits best of what the study has.")
    assert (second.candidate.key, second.place, second.reason) == ("other", 2, sentence)


# One worsening of each criterion, in the order of the criteria.
IN_ORDER: list[dict[str, Any]] = [
    {"plane": "coronal"},
    {"body_part": "CHEST"},
    {"contrast": False},
    {"coverage_mm": 80.0},
    {"thickness_mm": 5.0},
    {"kernel": "LUNG"},
    {"original": False},
    {"slice_distance_mm": 2.0},
    {"matrix": (256, 256)},
]


@pytest.mark.parametrize("place", range(len(IN_ORDER) - 1))
def test_an_earlier_criterion_outweighs_all_later_ones(place: int) -> None:
    later = {name: value for change in IN_ORDER[place + 1 :] for name, value in change.items()}
    one = replace(BEST, key="worse in one", order=(1, "1"), **IN_ORDER[place])
    many = replace(BEST, key="worse in many", order=(2, "2"), **later)
    assert [each.candidate.key for each in rank(LYMPH_NODE_SERIES, [one, many])] == [
        "worse in many",
        "worse in one",
    ]


def test_the_order_in_which_series_come_is_nothing() -> None:
    candidates = [
        replace(BEST, key=str(place), order=(place, "1"), **change)
        for place, (change, _) in enumerate(WORSE[:-1])
    ]
    expected = rank(LYMPH_NODE_SERIES, candidates)
    for first in range(len(candidates)):
        turned = candidates[first:] + candidates[:first]
        assert rank(LYMPH_NODE_SERIES, turned) == expected
        assert rank(LYMPH_NODE_SERIES, turned[::-1]) == expected


def test_another_modality_is_not_ranked_and_the_best_says_what_it_lacks() -> None:
    short = replace(BEST, coverage_mm=90.0, contrast=False)
    found = rank(LYMPH_NODE_SERIES, [replace(BEST, key="mr", modality="MR"), short])
    assert [each.candidate.key for each in found] == ["best"]
    assert found[0].reason == (
        "Fits best of what the study has, though: no contrast agent is recorded; "
        "covers 90 mm from head to foot of the 150 mm needed."
    )


def test_a_rule_from_before_asks_for_nothing_new() -> None:
    old = {
        name: LYMPH_NODE_SERIES[name]
        for name in ("modality", "slice_thickness_mm", "contrast_required", "min_age_years")
    }
    rule = series_rule_of({"series": old})
    coronal = replace(BEST, key="other", plane="coronal", coverage_mm=10.0, order=(1, "1"))
    assert [each.candidate.key for each in rank(rule, [BEST, coronal])] == ["other", "best"]
    assert (rule["max_anisotropy"], rule["gantry_tilt"]) == (None, "refuse")


def test_coverage_is_measured_from_head_to_foot_whatever_the_plane() -> None:
    axial = Grid.axial((100, 512, 256), (2.0, 0.5, 0.5))
    assert coverage_mm(axial) == pytest.approx(200.0)
    coronal = replace(axial, row_direction=(1.0, 0.0, 0.0), column_direction=(0.0, 0.0, -1.0))
    assert coverage_mm(coronal) == pytest.approx(256.0)
