"""Localisation, false positives and Dice have known answers."""

import numpy as np

from inference.scoring import score_scan, summarise


def node(label, short_axis_mm=6.0, metastatic=False, necrotic=False):
    return {
        "label": label,
        "short_axis_mm": short_axis_mm,
        "metastatic": metastatic,
        "necrotic": necrotic,
    }


def line(*values):
    return np.array(values, np.uint16).reshape(1, 1, -1)


def test_four_tenths_of_the_voxels_localise_a_node_and_less_do_not():
    truth = line(1, 1, 1, 1, 1, 0, 2, 2, 2, 2, 2)
    predicted = line(1, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0)
    score = score_scan(predicted, truth, [node(1), node(2)])
    assert [n.localised for n in score.nodes] == [True, False]


def test_a_prediction_that_only_grazes_a_missed_node_counts_as_false():
    truth = line(1, 1, 1, 1, 1, 1, 0, 0)
    predicted = line(1, 0, 0, 0, 0, 0, 0, 2)
    score = score_scan(predicted, truth, [node(1)])
    assert score.false_positives == 2
    assert score.true_positives == 0
    assert score.dice is None


def test_two_pieces_localise_one_node_together():
    truth = line(1, 1, 1, 1, 1, 0)
    predicted = line(1, 0, 0, 0, 2, 0)
    score = score_scan(predicted, truth, [node(1)])
    assert score.nodes[0].localised
    assert score.true_positives == 2
    assert score.false_positives == 0


def test_dice_leaves_out_misses_and_false_alarms():
    truth = line(1, 1, 0, 2, 2, 2, 0, 0)
    predicted = line(1, 1, 0, 0, 0, 0, 0, 2)
    assert score_scan(predicted, truth, [node(1), node(2)]).dice == 1.0


def test_the_summary_pools_nodes_and_averages_false_positives():
    truth, nodes = line(1, 1, 0, 2, 2, 0), [node(1, 4.0), node(2, 12.0, metastatic=True)]
    scores = [
        score_scan(line(1, 1, 0, 0, 0, 0), truth, nodes),
        score_scan(line(0, 0, 0, 1, 1, 2), truth, nodes),
    ]
    total = summarise(scores)
    assert total["recall"] == 0.5
    assert total["recall_5mm"] == 0.5
    assert total["recall_10mm"] == 0.5
    assert total["recall_15mm"] is None
    assert total["false_positives"] == 0.5


def ball(centre, radius):
    z, y, x = np.mgrid[0:30, 0:40, 0:40]
    return (z - centre[0]) ** 2 + (y - centre[1]) ** 2 + (x - centre[2]) ** 2 <= radius**2


def test_the_surface_distance_is_each_nodes_own_and_nodes_that_touch_share_no_surface():
    truth = np.zeros((30, 40, 40), np.uint16)
    truth[ball((15, 15, 12), 6)] = 1
    truth[ball((15, 15, 24), 6)] = 2
    predicted = (ball((15, 15, 12), 7) | ball((15, 15, 24), 6)).astype(np.uint16)
    score = score_scan(predicted, truth, [node(1), node(2)], (1.0, 1.0, 1.0))
    first, second = (n.surface_mm for n in score.nodes)
    assert 0.7 < first < 1.2
    assert second < 0.2
    assert summarise([score])["surface_mm"] == (first + second) / 2


def test_surface_distances_are_in_millimetres_of_the_grid():
    truth = np.zeros((30, 40, 40), np.uint16)
    truth[ball((15, 15, 12), 6)] = 1
    predicted = ball((15, 15, 12), 7).astype(np.uint16)
    single, double = (
        score_scan(predicted, truth, [node(1)], (s, s, s)).nodes[0].surface_mm for s in (1.0, 2.0)
    )
    assert double == 2 * single


def test_without_a_spacing_no_surface_is_measured():
    score = score_scan(line(1, 1), line(1, 1), [node(1)])
    assert score.nodes[0].surface_mm is None
    assert summarise([score])["surface_mm"] is None
