"""Instances and their measures: vectors CC, SAD and NR-2 of the method specification."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist
from skimage.measure import find_contours, marching_cubes

from backend.imaging.axes import NoSuchNode, region_axes
from backend.imaging.grid import Grid
from backend.imaging.nodes import (
    Connectivity,
    NodeMeasures,
    components,
    label_boxes,
    measure_all,
    measure_node,
    recist_class,
    show_mm,
    size_group,
)
from tests.examples import examples
from tests.imaging.conftest import boxes, ellipsoid

Mask = NDArray[np.bool_]


def rectangle(rows: int, columns: int) -> Mask:
    return np.ones((rows, columns), np.bool_)


def disc(radius: float) -> Mask:
    rows, columns = np.mgrid[-30:31, -30:31]
    result: Mask = rows**2 + columns**2 <= radius**2
    return result


def tilted_ellipse() -> Mask:
    rows, columns = np.mgrid[-30:31, -30:31]
    u, v = (rows + columns) * math.sqrt(0.5), (rows - columns) * math.sqrt(0.5)
    result: Mask = (u / 10) ** 2 + (v / 5) ** 2 <= 1
    return result


def measured(mask: Mask, spacing_mm: tuple[float, float, float] = (1, 1, 1)) -> NodeMeasures:
    shape = (mask.shape[0], mask.shape[1], mask.shape[2])
    return measure_node(mask, Grid.axial(shape, spacing_mm))


@pytest.mark.parametrize(
    ("voxels", "counts"),
    [
        ([(0, 0, 0), (1, 1, 1)], {26: 1, 18: 2, 6: 2}),
        ([(0, 0, 0), (0, 1, 1)], {26: 1, 18: 1, 6: 2}),
    ],
)
def test_cc_1_components_follow_the_connectivity(
    voxels: list[tuple[int, int, int]], counts: dict[Connectivity, int]
) -> None:
    mask = np.zeros((2, 2, 2), np.bool_)
    for voxel in voxels:
        mask[voxel] = True
    for connectivity, count in counts.items():
        assert components(mask, connectivity).max() == count


def test_components_take_any_non_zero_value_as_foreground() -> None:
    labels = np.array([[[3, 4, 0, 7]]], np.uint16)
    assert components(labels).tolist() == [[[1, 1, 0, 2]]]


@pytest.mark.parametrize(
    ("region", "spacing", "lad", "sad"),
    [
        (rectangle(1, 1), (1, 1), 1.00, 1.00),
        (rectangle(1, 2), (1, 1), 2.00, 1.00),
        (rectangle(3, 3), (1, 1), 3.61, 3.61),
        (rectangle(5, 5), (1, 1), 6.40, 6.40),
        (rectangle(6, 6), (1, 1), 7.81, 7.81),
        (rectangle(10, 10), (1, 1), 13.45, 13.45),
        (rectangle(1, 7), (1, 1), 7.00, 1.00),
        (rectangle(10, 20), (1, 1), 21.93, 10.97),
        (rectangle(10, 20), (0.7, 0.7), 15.35, 7.68),
        (rectangle(10, 20), (2.0, 0.5), 22.14, 11.07),
        (disc(5), (1, 1), 11.00, 11.00),
        (tilted_ellipse(), (1, 1), 20.52, 10.61),
    ],
)
def test_sad_1_the_axes_of_a_region(
    region: Mask, spacing: tuple[float, float], lad: float, sad: float
) -> None:
    axes = region_axes(region, *spacing)
    assert axes.lad_mm == pytest.approx(lad, abs=0.01)
    assert axes.sad_mm == pytest.approx(sad, abs=0.01)


@pytest.mark.parametrize(("radius_mm", "both"), [(5, 10.5), (2.5, 5.5), (7.5, 15.5)])
def test_sad_1_the_axes_of_a_ball(radius_mm: float, both: float) -> None:
    spacing = (1.0, 0.5, 0.5)
    ball = ellipsoid((21, 41, 41), (10, 20, 20), (radius_mm,) * 3, spacing)
    node = measured(ball, spacing)
    assert node.lad_mm == pytest.approx(both, abs=0.01)
    assert node.sad_mm == pytest.approx(both, abs=0.01)
    assert node.slice_index == 10


@pytest.mark.parametrize("side", [1, 4, 9])
def test_a_square_has_the_diagonal_the_specification_states(side: int) -> None:
    axes = region_axes(rectangle(side, side), 1, 1)
    assert axes.lad_mm == pytest.approx(math.hypot(side, side - 1))


def test_nr_2_a_node_upright_in_the_neck_is_longest_out_of_the_axial_plane() -> None:
    spacing = (0.5, 0.5, 0.5)
    node = measured(ellipsoid((91, 41, 41), (45, 20, 20), (17, 7, 6), spacing), spacing)
    assert node.lad_mm == pytest.approx(14.5, abs=0.01)
    assert node.sad_mm == pytest.approx(12.5, abs=0.01)
    assert node.longest_any_plane_mm == pytest.approx(34.5, abs=0.01)
    assert node.longest_plane in ("coronal", "sagittal")


def test_the_ends_of_the_axes_have_the_lengths_and_lie_in_the_patient() -> None:
    spacing = (2.0, 0.7, 0.6)
    labels = np.zeros((6, 60, 60), np.uint16)
    labels[2:5, 10:40, 20:50] = ellipsoid((3, 30, 30), (1, 14, 15), (3, 8, 4), spacing)
    node = measure_node(labels, Grid.axial((6, 60, 60), spacing, (-50.0, 10.0, 3.0)))
    for ends, ends_mm, length in (
        (node.lad_points, node.lad_points_mm, node.lad_mm),
        (node.sad_points, node.sad_points_mm, node.sad_mm),
    ):
        rows, columns = (ends[0][i] - ends[1][i] for i in (0, 1))
        assert math.hypot(rows * 0.7, columns * 0.6) == pytest.approx(length)
        assert math.dist(*ends_mm) == pytest.approx(length)
        assert ends_mm[0][0] == pytest.approx(-50 + ends[0][1] * 0.6)
        assert ends_mm[0][2] == pytest.approx(3 + node.slice_index * 2.0)
    along = np.subtract(*node.lad_points_mm)
    across = np.subtract(*node.sad_points_mm)
    assert float(along @ across) == pytest.approx(0, abs=1e-9)
    assert math.dist(*node.longest_points_mm) == pytest.approx(node.longest_any_plane_mm)


def test_a_crop_measures_the_same_as_the_whole_volume() -> None:
    labels = boxes((9, 40, 40), ((2, 6), (10, 22), (5, 13)))
    grid = Grid.axial((9, 40, 40), (2.0, 0.5, 0.5))
    crop = labels[1:7, 8:25, 3:20]
    assert measure_node(crop, grid, offset=(1, 8, 3)) == measure_node(labels, grid)


def test_the_volume_is_the_voxel_count_times_the_voxel() -> None:
    node = measured(np.ones((10, 10, 10), np.bool_), (3.0, 0.7, 0.7))
    assert node.volume_mm3 == pytest.approx(1470)
    assert node.centroid == (4.5, 4.5, 4.5)
    assert node.bounding_box == (0, 0, 0, 10, 10, 10)
    assert "CUT_OFF" in node.flags


def test_two_pieces_of_one_label_are_one_fragmented_node() -> None:
    labels = np.zeros((3, 20, 20), np.uint16)
    labels[1, 2:5, 2:5] = 4
    labels[1, 10:16, 10:18] = 4
    node = measure_all(labels, Grid.axial((3, 20, 20)))[4]
    assert node.fragmented
    assert node.voxels == 57
    assert node.region_id == 2
    assert node.lad_mm == region_axes(rectangle(6, 8), 1, 1).lad_mm
    assert node.longest_any_plane_mm > node.lad_mm


@pytest.mark.parametrize("share", [0.0, 0.01, 0.9])
def test_boxes_are_those_of_the_labels_present_however_many_voxels_have_one(share: float) -> None:
    random = np.random.default_rng(3)
    labels = random.integers(2, 9, (6, 30, 40)).astype(np.uint16)
    labels[random.random(labels.shape) >= share] = 0
    labels[labels == 5] = 0
    for turned in (labels, labels[::-1].transpose(2, 0, 1)):
        expected = enumerate(ndimage.find_objects(np.ascontiguousarray(turned)), 1)
        assert label_boxes(turned) == {n: box for n, box in expected if box is not None}


def test_measuring_ends_before_the_next_node_where_nobody_wants_it_any_more() -> None:
    labels = boxes((4, 20, 20), *(((1, 3), (2, 6), (first, first + 4)) for first in (1, 7, 13)))
    asked = []

    def go_on() -> None:
        asked.append(1)
        if len(asked) == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        measure_all(labels, Grid.axial((4, 20, 20)), go_on=go_on)
    assert len(asked) == 2


def test_a_single_voxel_is_measured_and_called_not_measurable() -> None:
    mask = np.zeros((3, 3, 3), np.bool_)
    mask[1, 1, 1] = True
    node = measured(mask)
    assert not node.measurable
    assert (node.sad_mm, node.lad_mm, node.longest_any_plane_mm) == (1, 1, 1)
    assert node.flags == ()


def test_equal_regions_are_settled_by_the_lower_slice() -> None:
    mask = np.zeros((5, 12, 12), np.bool_)
    mask[1:4, 2:8, 3:9] = True
    assert measured(mask).slice_index == 1


def test_of_two_equally_long_regions_the_one_with_the_larger_short_axis_counts() -> None:
    mask = np.zeros((2, 20, 20), np.bool_)
    mask[0, 5, 2:12] = True
    mask[1, 2:12, 5] = True
    mask[1, 6, 5:7] = True
    node = measured(mask)
    assert node.slice_index == 1
    assert node.sad_mm > 1


def test_a_necrotic_centre_left_out_does_not_change_the_axes() -> None:
    solid = disc(8)[None]
    hollow = solid & ~disc(5)[None]
    assert measured(hollow).sad_mm == measured(solid).sad_mm


def test_a_node_with_drawn_out_tips_is_flagged_where_the_ellipse_disagrees() -> None:
    mask = disc(5)[None].copy()
    mask[0, 30, 15:46] = True
    mask[0, 20:41, 30] = True
    node = measured(mask)
    assert "ELLIPSE_DISAGREES" in node.flags
    assert node.sad_mm > 20 > 14 > node.sad_ellipse_mm
    assert measured(disc(5)[None]).flags == ("CUT_OFF",)


def test_a_row_with_a_gap_is_two_components() -> None:
    assert components(np.array([[[1, 0, 1]]], np.bool_)).max() == 2


def test_a_coronal_series_is_flagged_as_not_axial() -> None:
    grid = Grid((1, 3, 3), (1, 1, 1), (0, 0, 0), (1, 0, 0), (0, 0, -1), ("1.2",), "")
    node = measure_node(np.ones((1, 3, 3), np.bool_), grid)
    assert node.plane == "coronal"
    assert "NOT_AXIAL" in node.flags


def test_the_mean_of_the_image_is_taken_under_the_node_only() -> None:
    mask = np.zeros((3, 4, 4), np.bool_)
    mask[1, 1:3, 1:3] = True
    image = np.where(mask, 40, -100).astype(np.int16)
    node = measure_node(mask, Grid.axial((3, 4, 4)), image_hu=image)
    assert node.mean_hu == 40


def test_every_label_present_is_measured_and_an_empty_map_gives_none() -> None:
    labels = boxes((4, 30, 30), ((1, 2), (1, 5), (1, 5)), ((1, 3), (10, 20), (10, 20)))
    labels[labels == 1] = 9
    grid = Grid.axial((4, 30, 30))
    assert sorted(measure_all(labels, grid)) == [2, 9]
    assert measure_all(np.zeros_like(labels), grid) == {}


def test_wrong_input_is_refused_with_the_cure() -> None:
    grid = Grid.axial((2, 4, 4))
    with pytest.raises(NoSuchNode, match="Draw it again"):
        measure_node(np.zeros((2, 4, 4), np.bool_), grid)
    with pytest.raises(ValueError, match="outside the grid"):
        measure_node(np.ones((2, 4, 4), np.bool_), grid, offset=(1, 0, 0))
    with pytest.raises(ValueError, match="same box"):
        measure_node(np.ones((2, 4, 4), np.bool_), grid, image_hu=np.zeros((2, 4, 5)))
    with pytest.raises(ValueError, match="same series"):
        measure_all(np.ones((2, 4, 5), np.uint16), grid)


@pytest.mark.parametrize(
    ("sad_mm", "group", "recist"),
    [
        (0.0, "lt5", "non_pathological"),
        (4.9999, "lt5", "non_pathological"),
        (5.0, "5-9", "non_pathological"),
        (9.9999, "5-9", "non_pathological"),
        (10.0, "10-14", "non_target"),
        (14.9999, "10-14", "non_target"),
        (15.0, "ge15", "target"),
        (57.9, "ge15", "target"),
    ],
)
def test_size_groups_are_half_open(sad_mm: float, group: str, recist: str) -> None:
    assert size_group(sad_mm) == group
    assert recist_class(sad_mm) == recist


@pytest.mark.parametrize(
    ("value_mm", "text"),
    [
        (7.34, "7.3"),
        (9.96, "9.96"),
        (9.998, "9.99"),
        (10.0, "10.00"),
        (10.1, "10.10"),
        (10.11, "10.1"),
        (4.45, "4.45"),
        (14.9999, "14.99"),
        (4.7, "4.7"),
    ],
)
def test_a_length_near_a_threshold_shows_two_decimals_and_never_crosses_it(
    value_mm: float, text: str
) -> None:
    assert show_mm(value_mm) == text


@given(st.floats(0, 60))
def test_the_text_shown_is_never_in_another_size_group(value_mm: float) -> None:
    assert size_group(float(show_mm(value_mm))) == size_group(value_mm)


@examples(60, deadline=None)
@given(
    hnp.arrays(np.bool_, hnp.array_shapes(min_dims=3, max_dims=3, max_side=7)),
    st.tuples(*[st.sampled_from([0.5, 0.7, 1.0, 2.5])] * 3),
)
def test_short_axis_long_axis_and_longest_diameter_ascend(
    mask: Mask, spacing_mm: tuple[float, float, float]
) -> None:
    if not mask.any():
        return
    node = measured(mask, spacing_mm)
    assert 0 < node.sad_mm <= node.lad_mm + 1e-9
    assert node.lad_mm <= node.longest_any_plane_mm + 1e-9
    assert node.sad_mm <= node.sad_max_over_slices_mm + 1e-9


def as_specified(region: Mask, row_mm: float, column_mm: float) -> tuple[float, float]:
    """Long and short axis word for word: marching squares, convex hull, chords at vertices."""
    padded = np.pad(region, 1).astype(float)
    contours = find_contours(padded, 0.5, fully_connected="high")
    points = np.concatenate(contours) * (row_mm, column_mm)
    hull = points[ConvexHull(points).vertices]
    distances = np.linalg.norm(hull[:, None] - hull[None, :], axis=2)
    longest = float(distances.max())
    best = 0.0
    for i, j in np.argwhere(np.triu(distances >= longest - 1e-9)):
        along = (hull[j] - hull[i]) / longest
        across = np.array([-along[1], along[0]])
        for vertex in hull:
            level = vertex @ along
            crossings = []
            for start, end in zip(hull, np.roll(hull, -1, 0), strict=True):
                low, high = start @ along - level, end @ along - level
                if abs(low) < 1e-12:
                    crossings.append(start @ across)
                elif low * high < 0:
                    crossings.append((start + (end - start) * low / (low - high)) @ across)
            best = max(best, max(crossings) - min(crossings))
    return longest, float(best)


@examples(80, deadline=None)
@given(
    hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)),
    st.tuples(*[st.sampled_from([0.5, 0.7, 1.0, 2.0])] * 2),
)
def test_axes_are_those_of_the_specification_word_for_word(
    region: Mask, spacing_mm: tuple[float, float]
) -> None:
    if not region.any():
        return
    axes = region_axes(region, *spacing_mm)
    assert (axes.lad_mm, axes.sad_mm) == pytest.approx(as_specified(region, *spacing_mm))


@examples(40, deadline=None)
@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6)))
def test_the_longest_diameter_is_that_of_the_marching_cubes_hull(mask: Mask) -> None:
    if not mask.any():
        return
    spacing_mm = (2.5, 0.7, 0.6)
    vertices = marching_cubes(np.pad(mask, 1).astype(np.float32), 0.5, spacing=spacing_mm)[0]
    longest = float(pdist(vertices.astype(float)).max())
    assert measured(mask, spacing_mm).longest_any_plane_mm == pytest.approx(longest, rel=1e-5)


def test_measures_are_json() -> None:
    node = measured(np.ones((1, 3, 3), np.bool_))
    data = json.loads(json.dumps(node.to_json()))
    assert data["sad_mm"] == node.sad_mm
    assert data["lad_points_mm"] == [list(point) for point in node.lad_points_mm]
    assert data["size_group"] == "lt5"
    assert data["recist_class"] == "non_pathological"
    assert data["sad_shown"] == "3.6"
