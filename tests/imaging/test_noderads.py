"""Node-RADS: vectors NR of the method specification; and the side of the neck."""

from __future__ import annotations

from typing import Any

import pytest

from backend.imaging.grid import Grid
from backend.imaging.levels import side_of
from backend.imaging.noderads import node_rads, short_axis_threshold_mm
from backend.imaging.nodes import measure_node
from tests.imaging.conftest import ellipsoid


@pytest.mark.parametrize(
    ("sad_mm", "longest_mm", "chosen", "score"),
    [
        (8, 12, {}, 1),
        (8, 12, {"texture": "heterogeneous", "border": "irregular", "shape": "oval"}, 3),
        (8, 12, {"texture": "gross_necrosis"}, 4),
        (12, 16, {}, 2),
        (12, 16, {"texture": "focal_necrosis"}, 4),
        (12, 16, {"texture": "gross_necrosis", "border": "irregular", "shape": "spherical"}, 5),
        (8, 30, {}, 5),
        (5, 9, {"site": "retropharyngeal"}, 2),
        (8, 12, {"growth_mm": 2.0}, 2),
        (8, 12, {"growth_mm": 1.9}, 1),
        (9.99, 29.99, {}, 1),
        (14.9, 20, {"site": "inguinal"}, 1),
        (8, 12, {"texture": "entity_specific", "shape": "fatty_hilum"}, 4),
    ],
)
def test_nr_1_the_score_follows_size_and_configuration(
    sad_mm: float, longest_mm: float, chosen: dict[str, Any], score: int
) -> None:
    assert node_rads(sad_mm, longest_mm, **chosen).score == score


def test_nr_2_an_upright_node_of_35_mm_is_bulk_however_thin_it_is_axially() -> None:
    spacing = (0.5, 0.5, 0.5)
    mask = ellipsoid((91, 41, 41), (45, 20, 20), (17, 7, 6), spacing)
    node = measure_node(mask, Grid.axial((91, 41, 41), spacing))
    result = node_rads(node.sad_mm, node.longest_any_plane_mm)
    assert (result.score, result.size, result.configuration) == (5, "bulk", 0)
    assert result.likelihood == "very high"
    assert node_rads(node.sad_mm, node.lad_mm).score == 2


def test_thresholds_depend_on_the_site() -> None:
    assert short_axis_threshold_mm("cervical") == 10
    assert short_axis_threshold_mm("inguinal") == 15
    assert short_axis_threshold_mm("parotid") == 5


@pytest.mark.parametrize(("x_mm", "side"), [(-30.0, "R"), (41.0, "L"), (11.5, "M"), (8.0, "M")])
def test_the_patients_left_is_where_x_grows(x_mm: float, side: str) -> None:
    assert side_of((x_mm, 0.0, 0.0), 10.0) == side
