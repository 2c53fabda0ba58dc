"""Phantom nodes in one real CT: planted the same every time, found or not, and drawn."""

import json

import numpy as np
import pytest

from inference.body import find_body
from inference.reality import (
    HEAD_AND_NECK,
    PLANTED_NODES,
    check,
    native_depth,
    overlay,
    where_it_lies,
)


@pytest.mark.deep
def test_the_shipped_model_finds_planted_nodes_in_a_real_ct_and_says_where_the_others_lie(
    test_data, tmp_path
):
    scan = test_data / "headneck_ct" / "cerr_head_neck_ex1.zip"
    result = check(scan, tmp_path / "out")
    assert result["planted"] == PLANTED_NODES
    assert result["found"] >= 6
    assert result["other_candidates"] == len(result["others"]) <= 20
    written = json.loads((tmp_path / "out" / "reality.json").read_text())
    assert written["planted"] == PLANTED_NODES
    assert (tmp_path / "out" / "reality.png").stat().st_size > 10_000


def block():
    """A body of soft tissue with air around it, 60 x 120 x 120 voxels of 1 mm."""
    image = np.full((60, 120, 120), -1000, np.int16)
    image[:, 20:100, 20:100] = 40
    return image


def test_a_candidate_outside_in_bone_or_in_air_is_told_apart():
    image = block()
    image[20:30, 40:50, 40:50] = 700
    image[20:30, 60:70, 60:70] = -900
    body = find_body(image, (1.0, 1.0, 1.0))

    def lies(z, y, x):
        mask = np.zeros(image.shape, bool)
        mask[z : z + 6, y : y + 6, x : x + 6] = True
        return where_it_lies(mask, image, body, HEAD_AND_NECK)

    assert lies(22, 42, 42) == "bone"
    assert lies(22, 62, 62) == "air"
    assert lies(22, 108, 60) == "table"
    assert lies(40, 60, 60) == "soft tissue"


def test_depth_on_the_native_grid_grows_inwards():
    image = block()
    depth = native_depth(find_body(image, (1.0, 1.0, 1.0)), image.shape)
    assert depth.shape == image.shape
    assert depth[30, 60, 60] > depth[30, 60, 30] > depth[30, 60, 10] == 0


def test_an_overlay_outlines_and_leaves_the_inside_grey():
    hu = np.zeros((20, 20), np.int16)
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    picture = overlay(hu, mask, np.zeros_like(mask), np.zeros_like(mask))
    assert tuple(picture[5, 5]) == (60, 220, 90)
    assert len(set(picture[10, 10])) == 1
