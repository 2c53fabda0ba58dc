"""The pure parts of a report: written numbers, pictures, charts, differences."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from backend.imaging.grid import Grid
from backend.reports import pictures, shown
from backend.reports.agreement import bland_altman
from backend.reports.charts import Spot, bland_altman_chart, node_map, sensitivity_chart
from backend.reports.differences import MOST, differences
from backend.reports.templatetags.navigation import places_for


@pytest.mark.parametrize(
    ("value", "text"),
    [(9.96, "9.96"), (9.998, "9.99"), (10.02, "10.02"), (7.44, "7.4"), (None, "–")],
)
def test_a_length_never_crosses_a_threshold_in_print(value: float | None, text: str):
    assert shown.length(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.399, "0.399"), (0.4, "0.40"), (0.3991, "0.399"), (1.0, "1.00")]
)
def test_a_share_below_the_threshold_never_prints_as_the_threshold(value: float, text: str):
    assert shown.share(value, 0.4) == text


def test_durations_times_and_changes():
    assert (shown.seconds(4.21), shown.seconds(200.4)) == ("4.2 s", "3 min 20 s")
    assert shown.when("2026-03-04T05:06:07.123Z") == "2026-03-04 05:06:07 UTC"
    assert shown.change(6.0, 7.42) == "6.0 → 7.4"
    assert shown.change(None, 7.42) == "– → 7.4"
    assert shown.change(7.42, 7.42) == "7.4"
    assert [shown.volume(v) for v in (9.0, 496.2, 12345.6)] == ["0.01", "0.50", "12.3"]
    assert shown.axes(12.14, 7.33) == "12.1 × 7.3"
    assert shown.changes({"voxels": 1, "decision": 9}) == "9 decisions, 1 stroke"


def picture_of(mask: np.ndarray, spacing: tuple[float, float, float]) -> Image.Image:
    grid = Grid.axial((1, *mask.shape), spacing)
    png = pictures.node_picture(
        np.full(mask.shape, 60, np.int16),
        grid,
        centre=(20.0, 20.0),
        signed=mask,
    )
    assert png == pictures.node_picture(
        np.full(mask.shape, 60, np.int16),
        grid,
        centre=(20.0, 20.0),
        signed=mask,
    )
    return Image.open(io.BytesIO(png))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 0.5, 1.0)])
def test_an_outline_lies_on_the_edges_of_its_voxels(spacing: tuple[float, float, float]):
    mask = np.zeros((41, 41), np.bool_)
    mask[18:23, 16:25] = True
    picture = np.asarray(picture_of(mask, spacing)).astype(int)
    assert picture.shape == (pictures.SIDE_PX, pictures.SIDE_PX, 3)
    line = (picture == pictures.SIGNED_COLOUR).all(axis=2)
    rows, columns = np.nonzero(line)
    scale = pictures.SIDE_PX / pictures.CROP_MM
    height, width = 5 * spacing[1] * scale, 9 * spacing[2] * scale
    assert rows.max() - rows.min() == pytest.approx(height, abs=3)
    assert columns.max() - columns.min() == pytest.approx(width, abs=3)
    assert (rows.max() + rows.min()) / 2 == pytest.approx(pictures.SIDE_PX / 2, abs=2)


def test_a_crop_at_the_border_of_the_image_is_filled_with_air():
    mask = np.zeros((21, 21), np.bool_)
    mask[0, 0] = True
    picture = np.asarray(picture_of(mask, (1.0, 1.0, 1.0))).astype(int)
    assert picture[-20, -20].max() == 0


def test_charts_are_the_same_svg_again_and_keep_to_their_frame():
    spots = [
        Spot("1", "kept", -40, 10, 8),
        Spot("2", "added", 30, 60, 5),
        Spot("3", "rejected", 0, 0, 4),
    ]
    chart = node_map(spots, x_range_mm=(-100, 100), z_range_mm=(-50, 150))
    assert chart == node_map(spots, x_range_mm=(-100, 100), z_range_mm=(-50, 150))
    root = ET.fromstring(chart)  # noqa: S314
    width, height = (float(n) for n in root.attrib["viewBox"].split()[2:])
    space = "{http://www.w3.org/2000/svg}"
    circles = root.findall(f"{space}circle")
    assert len(circles) == 2
    assert len(root.findall(f"{space}path")) == 1
    for circle in circles:
        assert 0 < float(circle.attrib["cx"]) < width
        assert 0 < float(circle.attrib["cy"]) < height
    right, left = (float(c.attrib["cx"]) for c in sorted(circles, key=lambda c: c.attrib["cx"]))
    assert right < left  # The patient's right is on the reader's left.
    ET.fromstring(sensitivity_chart([("1", 8.0, 0.9), ("2", 4.0, 0.0)]))  # noqa: S314
    ET.fromstring(sensitivity_chart([]))  # noqa: S314


def test_limits_of_agreement_are_those_of_the_published_example():
    a, b = [10.2, 11.5, 8.9, 15.3, 22.1, 7.4], [10.0, 12.1, 9.2, 14.6, 21.0, 7.9]
    found = bland_altman([x - y for x, y in zip(a, b, strict=True)])
    assert found
    assert (found.bias, found.sd) == pytest.approx((0.1, 0.6899275), rel=1e-6)
    assert (found.low, found.high) == pytest.approx((-1.2522580, 1.4522580), rel=1e-6)
    assert bland_altman([0.3]) is None
    points = [("1/1", "edited", 10.0, 0.5), ("2/2", "untouched", 8.0, 0.0)]
    ET.fromstring(bland_altman_chart(points, (found.low, found.bias, found.high)))  # noqa: S314
    ET.fromstring(bland_altman_chart([], None))  # noqa: S314


def test_text_in_charts_is_escaped():
    chart = node_map([Spot("<b>", "kept", 0, 0, 5)], x_range_mm=(-1, 1), z_range_mm=(-1, 1))
    assert "<b>" not in chart


def test_differences_are_named_by_path():
    was = {"a": [1, {"b": 2}], "c": 3}
    now = {"a": [1, {"b": 5}], "d": 3}
    assert differences(was, now) == [
        "a[1].b: was 2, is 5",
        "c: only in the stored one",
        "d: only in the new one",
    ]
    assert differences(was, was) == []
    assert len(differences(list(range(99)), list(range(1, 100)))) == MOST


@pytest.mark.parametrize(
    ("roles", "names"),
    [
        ({"reader"}, ["Worklist"]),
        ({"coordinator"}, ["Cases", "Archive", "Releases", "Runs", "Models"]),
        ({"abstractor"}, ["Evidence"]),
        (set(), []),
    ],
)
def test_the_navigation_names_only_what_a_role_may_open(roles: set[str], names: list[str]):
    places = places_for(roles, "/cases/")
    assert [place.name for place in places] == names
    assert [place.name for place in places if place.current] == [n for n in names if n == "Cases"]
