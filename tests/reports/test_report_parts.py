"""What a report must not let its reader misread: outlines, names, thresholds, blanks."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backend.imaging.grid import Grid
from backend.reports import blocks, pictures
from backend.reports.agreement import Impressions, Pair, impressions_of
from backend.reports.ai_sections import left_out_of
from backend.reports.chart_labels import Circle, placed
from backend.reports.charts import Spot, bland_altman_chart, node_map, sensitivity_chart
from backend.reports.consensus_sections import node_table
from backend.reports.evaluation import Evaluation, evaluate_truth
from backend.reports.metric_rows import metrics_of
from backend.reports.summary_sections import at_threshold

GRID = Grid.axial((6, 40, 60), (2.0, 1.0, 1.0))


def box(labels: Any, number: int, *, x: int, wide: int, tall: int = 10) -> None:
    labels[1:5, 10 : 10 + tall, x : x + wide] = number


def evaluation(truth: Any, ai: Any, ignored: Any = None) -> Evaluation:
    from backend.imaging.nodes import measure_all

    return evaluate_truth(
        ai, truth, GRID, ai_measures=measure_all(ai, GRID), same_node={}, ignored=ignored
    )


def empty() -> Any:
    return np.zeros(GRID.shape, np.uint16)


def test_both_outlines_show_where_they_are_the_same():
    mask = np.zeros((40, 60), np.bool_)
    mask[15:25, 20:32] = True
    png = pictures.node_picture(
        np.full(mask.shape, 60, np.int16), GRID, centre=(20, 26), signed=mask, proposed=mask
    )
    picture = np.asarray(Image.open(io.BytesIO(png))).astype(int)
    solid = (picture == pictures.SIGNED_COLOUR).all(axis=2)
    dotted = (picture == pictures.AI_COLOUR).all(axis=2)
    around = 2 * (10 + 12) * pictures.SIDE_PX / pictures.CROP_MM * pictures.LINE_PX
    assert solid.sum() > 0.9 * around, "the solid line is whole"
    assert dotted.sum() > 0.4 * around, "and the other is seen beside it"
    (top, bottom), (left, right) = ((a.min(), a.max()) for a in np.nonzero(dotted))
    (s_top, s_bottom), (s_left, s_right) = ((a.min(), a.max()) for a in np.nonzero(solid))
    assert top < s_top
    assert left < s_left
    assert bottom > s_bottom
    assert right > s_right


def test_names_on_the_map_cover_neither_marks_nor_each_other():
    circles = [Circle(200, 150, 40), Circle(205, 152, 22), Circle(260, 150, 15), Circle(390, 20, 9)]
    names = ["8", "7", "R1 11", "3"]
    labels = placed(names, circles, (0, 0, 400, 300))
    boxes = [
        (label.x - 4 * len(name), label.y - 10, label.x + 4 * len(name), label.y + 2)
        for name, label in zip(names, labels, strict=True)
    ]
    for a, b in combinations(boxes, 2):
        assert min(a[2], b[2]) <= max(a[0], b[0]) or min(a[3], b[3]) <= max(a[1], b[1])
    for left, top, right, bottom in boxes:
        for circle in circles:
            x = min(max(circle.x, left), right)
            y = min(max(circle.y, top), bottom)
            assert (x - circle.x) ** 2 + (y - circle.y) ** 2 >= (circle.radius - 2) ** 2
        assert left >= 0
        assert right <= 400
    assert labels[1].far, "a name that finds no room has a line to its mark"
    assert not labels[3].far


def test_charts_say_what_both_axes_are():
    wide = {"x_range_mm": (-100.0, 100.0), "z_range_mm": (-50.0, 150.0)}
    spots = [Spot("7", "added", 0, 0, 16), Spot("8", "kept", 1, 1, 22)]
    charts = {
        "z in mm": node_map(spots, **wide),  # type: ignore[arg-type]
        "share of the node’s voxels that the AI had proposed": sensitivity_chart([]),
        "short axis in mm, second reader − first": bland_altman_chart([], None),
    }
    for words, chart in charts.items():
        assert any(words in text for text in ET.fromstring(chart).itertext())  # noqa: S314


def pair(one: str, two: str) -> Pair:
    return Pair(1, 1, "edited", 0.9, 8.0, 9.0, one, two)


def test_what_nobody_said_is_no_agreement():
    said = [pair("metastatic", "non_metastatic"), *[pair("", "")] * 7]
    assert impressions_of(said) == Impressions(0, 1, 0, 7, (7, 1, 0))
    said = [pair("metastatic", "metastatic"), pair("", "metastatic"), pair("indeterminate", "")]
    assert impressions_of(said) == Impressions(1, 1, 2, 0, (1, 1, 1))
    assert impressions_of([]) == Impressions(0, 0, 0, 0, (0, 0, 0))


@pytest.mark.parametrize(
    ("covered", "sentence"),
    [
        (
            8,
            "Node 2 counts as found with 0.40 of its voxels proposed, at the threshold of 0.4: "
            "were it the other way round, recall would be 1 of 2 (0.50).",
        ),
        (10, ""),
        (6, ""),
    ],
)
def test_a_node_found_by_a_hair_is_named_with_what_hangs_on_it(covered: int, sentence: str):
    truth, ai = empty(), empty()
    for labels in (truth, ai):
        box(labels, 1, x=5, wide=10)
    box(truth, 2, x=30, wide=20)
    box(ai, 2, x=30, wide=covered)
    found = evaluation(truth, ai)
    from backend.reports.node_rows import at_threshold as near

    rows = [
        {
            "name": f"node {node.label}",
            "localised": node.localised,
            "sensitivity_shown": f"{node.sensitivity:.2f}",
            "at_threshold": near(node, found),
        }
        for node in found.detection.truth
    ]
    told: Any = SimpleNamespace(evaluation=found)
    assert at_threshold(told, rows) == sentence


def test_every_offered_proposal_is_accounted_for_beside_precision():
    truth, ai, ignored = empty(), empty(), empty()
    for labels in (truth, ai):
        box(labels, 1, x=5, wide=10)
    box(ai, 2, x=30, wide=10)
    box(ignored, 1, x=30, wide=10)
    ai[3, 30, 50] = 3
    found = evaluation(truth, ai, ignored)
    version = {"discrepancies": [{"cluster": 6, "resolution": "indeterminate"}]}
    cluster = {"number": 6, "first": {"nodes": [{"node": "b"}]}, "second": {"nodes": []}}
    measured: Any = SimpleNamespace(
        consensus=SimpleNamespace(evaluation=found),
        version=version,
        ai_numbers={"a": 1, "b": 2, "c": 3},
    )
    left_out = left_out_of({"comparison": {"clusters": [cluster]}}, measured)
    assert left_out == {"excluded as indeterminate": 1}
    rows = {row["id"]: row for row in metrics_of(found, has_ai=True, left_out=left_out)}
    assert rows["precision"]["value"] == 1.0
    assert rows["precision"]["detail"] == (
        "1 of 1 counted: 3 offered, 1 below 4.5 mm, 1 excluded as indeterminate"
    )


def row(number: int, site: str, status: str) -> dict[str, Any]:
    words = dict.fromkeys(
        ("was", "axes_shown", "volume_shown", "origin_shown", "basis_shown", "labelled_by"), "x"
    )
    name = {"name": f"node {number}", "uuid": str(number), "label_shown": status}
    return words | name | {"site_shown": site, "status": status}


@pytest.mark.parametrize(("site", "there"), [("–", False), ("R IIA", True)])
def test_a_column_of_which_nothing_is_known_is_left_out(site: str, there: bool):
    table = node_table([row(1, "–", "non_metastatic"), row(2, site, "metastatic")])
    assert ("Site" in [column["text"] for column in table["head"]]) is there
    assert [line["strong"] for line in table["rows"]] == [False, True]
    assert {len(line["cells"]) for line in table["rows"]} == {len(table["head"])}
    assert len(table["widths"]) == len(table["head"])


def test_what_matters_most_among_facts_is_marked():
    told = blocks.facts(("Offered", "10"), ("Rejected", "1", True), None)
    assert [item["strong"] for item in told["items"]] == [False, True]
