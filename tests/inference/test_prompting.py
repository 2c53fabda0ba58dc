"""A click finds the node that was clicked, and no more: phantoms with exactly known voxels."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.imaging.grid import Grid
from backend.imaging.masks import diff_patch, parse_patch
from backend.jobs.protocol import PROPOSED_NODE
from fixtures.phantom import Phantom
from fixtures.small import SmallNode, small_phantom
from inference.foveal_openvino import FovealOpenVINO
from inference.model_folder import DEFAULT_MODEL, read_model
from inference.prompting import click_net
from inference.prompting.answering import answer
from inference.prompting.benchmark import NECROTIC_SEEDS, REPORT_SEEDS
from inference.prompting.click_net import FACTS, ClickNetworkDamaged, read_click_net
from inference.prompting.perceptron import PerceptronDamaged, read_perceptron
from inference.prompting.proposal import (
    NoClick,
    Prompt,
    Proposal,
    Unsure,
    propose,
    shipped_judge,
)
from inference.prompting.simulation import correction, dice, placed
from inference.volume_cache import VolumeCache

DESCRIBED = json.loads((DEFAULT_MODEL / "model.json").read_text())
SHAPE, SPACING = (32, 96, 96), (1.5, 0.8, 0.8)
BALL = SmallNode((0.5, 0.5, 0.5), (6.0, 6.0, 6.0))


@pytest.fixture(autouse=True, params=["click network", "click perceptron"])
def judge(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[str]:
    """Who answers: the network, and where its weights are damaged the perceptron."""
    if request.param == "click perceptron":
        torn = tmp_path / "click.safetensors"
        torn.write_bytes(click_net.WEIGHTS.read_bytes()[:5000])
        monkeypatch.setattr(click_net, "WEIGHTS", torn)
    shipped_judge.cache_clear()
    yield request.param
    shipped_judge.cache_clear()


def in_fat(nodes: tuple[SmallNode, ...], seed: int = 3) -> Phantom:
    """Nodes in fat, as they lie in a neck: all that is no node is at -90 HU."""
    made = small_phantom(seed, SHAPE, SPACING, nodes)
    image = made.image.copy()
    body = (made.labels == 0) & (image > -500)
    image[body] -= 135
    return dataclasses.replace(made, image=image)


def clicked(
    phantom: Phantom, *clicks: tuple[tuple[int, int, int], bool], **more: object
) -> tuple[Proposal, np.ndarray]:
    found = propose(phantom.image, phantom.spacing_mm, Prompt(tuple(clicks)), **more)
    return found, placed(found, phantom.image.shape)


def middle(phantom: Phantom, label: int = 1) -> tuple[int, int, int]:
    z, y, x = (round(float(c)) for c in np.argwhere(phantom.labels == label).mean(axis=0))
    return z, y, x


def test_a_ball_in_fat_is_found_with_one_click_wherever_it_is_clicked() -> None:
    phantom = in_fat((BALL,))
    truth = phantom.labels == 1
    z, y, x = middle(phantom)
    for at in ((z, y, x), (z + 2, y, x), (z, y - 4, x), (z, y, x + 4)):
        found, mask = clicked(phantom, (at, True))
        assert dice(mask, truth) > 0.8
        assert found.confidence > 0.7


def test_a_click_into_a_necrotic_centre_finds_the_node_with_its_rim(judge: str) -> None:
    node = SmallNode((0.5, 0.5, 0.5), (11.0, 11.0, 11.0), metastatic=True, necrotic=True)
    phantom = in_fat((node,))
    truth = phantom.labels == 1
    z, y, x = middle(phantom)
    core = truth & (phantom.image < 50)
    _, mask = clicked(phantom, ((z, y, x), True), network=FovealOpenVINO(read_model(), threads=1))
    reached = {"click network": (0.95, 0.9), "click perceptron": (0.3, 0.45)}[judge]
    assert (mask & core).sum() > reached[0] * core.sum()
    assert dice(mask, truth) > reached[1]


def test_a_click_beside_carves_what_does_not_belong() -> None:
    pair = (
        SmallNode((0.5, 0.5, 0.42), (6.0, 6.0, 6.0)),
        SmallNode((0.5, 0.5, 0.565), (6.0, 6.0, 6.0)),
    )
    phantom = in_fat(pair)
    first, second = middle(phantom, 1), middle(phantom, 2)
    truth = phantom.labels == 1
    _, both = clicked(phantom, (first, True), (second, True))
    _, one = clicked(phantom, (first, True), (second, False))
    assert both[second]
    assert not one[second]
    assert dice(one, truth) > dice(both, truth)
    assert dice(one, truth) > 0.7


def test_voxels_of_another_node_are_never_proposed() -> None:
    phantom = in_fat((BALL,))
    z, y, x = middle(phantom)
    taken = np.zeros(SHAPE, np.bool_)
    taken[:, :, x + 2 :] = phantom.labels[:, :, x + 2 :] == 1
    found, mask = clicked(phantom, ((z, y, x - 3), True), taken=((0, 0, 0), taken))
    assert mask.any()
    assert not (mask & taken).any()
    assert Unsure.NEIGHBOUR in found.unsure


@pytest.mark.parametrize("at", [(16, 2, 2), (16, 48, 20)])
def test_where_there_is_no_soft_tissue_nothing_much_is_proposed(at: tuple[int, int, int]) -> None:
    phantom = in_fat((BALL,))
    found, mask = clicked(phantom, (at, True))
    assert mask.sum() <= 8
    assert found.confidence < 0.6


def test_a_box_is_never_left() -> None:
    phantom = in_fat((BALL,))
    z, y, x = middle(phantom)
    box = ((z - 2, y - 3, x - 3), (z + 2, y + 3, x + 3))
    found = propose(phantom.image, SPACING, Prompt((((z, y, x), True),), box))
    mask = placed(found, SHAPE)
    inside = mask[z - 2 : z + 3, y - 3 : y + 4, x - 3 : x + 4]
    assert mask.sum() == inside.sum() > 0


def test_a_node_is_refined_around_the_click_and_kept_elsewhere() -> None:
    node = SmallNode((0.5, 0.5, 0.5), (6.0, 6.0, 20.0))
    phantom = in_fat((node,))
    truth = phantom.labels == 1
    z, y, x = middle(phantom)
    before = truth.copy()
    before[:, :, : x - 10] = False
    before[z, y + 12, x] = True  # The reader's own, far from the click: it stays out of reach.
    _, mask = clicked(
        phantom, ((z, y, x), True), ((z, y, x - 14), True), before=((0, 0, 0), before)
    )
    assert mask[z, y, x - 14]
    away = slice(x + 8, None)
    assert dice(mask[:, :, away], truth[:, :, away]) > 0.85


def test_a_node_cut_by_the_end_of_the_scan_says_so() -> None:
    phantom = in_fat((SmallNode((0.0, 0.5, 0.5), (8.0, 6.0, 6.0)),))
    found, mask = clicked(phantom, ((1, 48, 48), True))
    assert mask[0].any()
    assert Unsure.END_OF_SCAN in found.unsure


def test_corrections_lead_to_the_node() -> None:
    phantom = in_fat((SmallNode((0.5, 0.5, 0.5), (5.0, 7.0, 12.0)),))
    truth = phantom.labels == 1
    clicks = [(middle(phantom), True)]
    scores = []
    for _ in range(4):
        _, mask = clicked(phantom, *clicks)
        scores.append(dice(mask, truth))
        wrong = correction(truth, mask, SPACING)
        if wrong is None:
            break
        clicks.append(wrong)
    assert max(scores) > 0.85
    assert scores[-1] >= scores[0] - 0.02


def test_the_same_clicks_give_the_same_proposal_with_and_without_memory() -> None:
    phantom = in_fat((BALL,))
    z, y, x = middle(phantom)
    clicks = (((z, y, x), True), ((z, y, x + 6), True), ((z, y + 9, x), False))
    memory: dict[Prompt, Proposal] = {}
    for count in (1, 2, 3):
        remembered = clicked(phantom, *clicks[:count], earlier=memory)[1]
        fresh = clicked(phantom, *clicks[:count])[1]
        assert (remembered == fresh).all()


def test_a_prompt_without_a_click_in_the_node_says_what_it_needs() -> None:
    phantom = in_fat((BALL,))
    with pytest.raises(NoClick, match="at least one click"):
        clicked(phantom, ((1, 1, 1), False))


@pytest.mark.parametrize("flip", [(1, 1, 1), (-1, -1, 1), (1, -1, -1), (-1, 1, -1)])
def test_however_a_series_lies_the_answer_is_the_same_node(flip: tuple[int, int, int]) -> None:
    phantom = in_fat((BALL,))
    z, y, x = middle(phantom)
    steps = tuple(slice(None, None, sign) for sign in flip)
    sides = [n - 1 - i if s < 0 else i for n, i, s in zip(SHAPE, (z, y, x), flip, strict=True)]
    straight = Grid.axial(SHAPE, SPACING)
    content = straight.to_json()
    content.pop("geometry_hash")
    content["row_direction"] = [float(flip[2]), 0.0, 0.0]
    content["column_direction"] = [0.0, float(flip[1]), 0.0]
    grid = Grid.from_json(content)
    asked = {"clicks": [{"at": sides, "within": True}], "box": None}

    result, _ = answer(np.ascontiguousarray(phantom.image[steps]), grid, asked, None)

    patch = parse_patch({"nodes": [PROPOSED_NODE], "slices": result["slices"]}, SHAPE)
    mask = np.zeros(SHAPE, np.bool_)
    for part in patch.slices:
        r0, c0, r1, c1 = part.box
        flat = np.zeros((r1 - r0) * (c1 - c0), np.bool_)
        for offset, length, _ in part.runs:
            flat[offset : offset + length] = True
        mask[part.index, r0:r1, c0:c1] = flat.reshape(r1 - r0, c1 - c0)
    assert result["voxels"] == mask.sum()
    expected = clicked(phantom, ((z, y, x), True))[1]
    assert dice(mask[steps], expected) > 0.97


def test_the_nodes_around_arrive_as_a_patch() -> None:
    phantom = in_fat((BALL,))
    z, y, x = middle(phantom)
    other = "00000000-0000-4000-8000-000000000001"
    around = np.zeros(SHAPE, np.uint16)
    around[:, :, x + 2 :][phantom.labels[:, :, x + 2 :] == 1] = 1
    patch = diff_patch(np.zeros_like(around), around, {1: other, 2: PROPOSED_NODE}).to_json()
    asked = {"clicks": [{"at": [z, y, x - 3], "within": True}], "box": None, "around": patch}
    result, _ = answer(phantom.image, Grid.axial(SHAPE, SPACING), asked, None)
    assert "neighbour" in result["unsure"]
    assert all(part["box"][3] <= x + 2 for part in result["slices"])


def test_no_phantom_of_the_report_was_used_to_fit_or_to_choose() -> None:
    network, perceptron = json.loads(FACTS.read_text()), read_perceptron().facts
    for facts, chosen in ((network, "chosen_on"), (perceptron, "threshold_chosen_on")):
        used = {*facts["fitted_on"], *facts[chosen]}
        assert len(used) > 10
        assert not used & {*REPORT_SEEDS, *NECROTIC_SEEDS}
        assert not used & _learned(DESCRIBED), "the default model's opinion of those is too good"


def _learned(part: Any) -> set[int]:
    """Every seed that a phase of the default model's training names."""
    if isinstance(part, dict):
        own = set(part.get("training_seeds", []))
        return own.union(*(_learned(value) for value in part.values()))
    return set().union(*(_learned(one) for one in part)) if isinstance(part, list) else set()


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    (tmp_path / "weights.json").write_text('{"features": ["nothing"]}')
    with pytest.raises(PerceptronDamaged, match="Install the application again"):
        read_perceptron(tmp_path / "weights.json")
    for content in (b"", b"torn", click_net.FACTS.read_bytes()):
        (tmp_path / "torn.safetensors").write_bytes(content)
        with pytest.raises(ClickNetworkDamaged, match="Install the application again"):
            read_click_net(tmp_path / "torn.safetensors")


def test_the_answer_says_who_proposed_it(judge: str) -> None:
    phantom = in_fat((BALL,))
    asked = {"clicks": [{"at": list(middle(phantom)), "within": True}], "box": None}
    result, _ = answer(phantom.image, Grid.axial(SHAPE, SPACING), asked, None)
    assert result["voxels"] > 100
    assert result["provenance"]["algorithm"]["name"] == judge
    assert len(result["provenance"]["algorithm"]["weights_sha256"]) == 64


def test_the_cache_keeps_the_newest_series_within_its_limit(tmp_path: Path) -> None:
    grid = Grid.axial((4, 8, 8), (1.0, 1.0, 1.0))
    header = {"grid": grid.to_json()}
    volume = np.arange(256, dtype=np.int16).reshape(4, 8, 8)
    cache = VolumeCache(tmp_path / "kept", limit_bytes=1500)
    for name in ("1.1", "1.2", "1.3"):
        cache.keep(name, grid.geometry_hash, header, volume)
    assert cache.find("1.1", grid.geometry_hash) is None
    assert cache.find("1.3", "another geometry") is None
    found = cache.find("1.3", grid.geometry_hash)
    assert found is not None
    assert (found[1] == volume).all()
    assert len(list((tmp_path / "kept").glob("*.npy"))) == 2
    next((tmp_path / "kept").glob("*.npy")).write_bytes(b"torn")
    assert [cache.find(n, grid.geometry_hash) for n in ("1.2", "1.3")].count(None) == 1
