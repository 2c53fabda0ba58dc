"""A training from fetched cases: on the network's grid, told as it goes, resumed, described."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from backend.imaging.grid import Grid
from backend.imaging.masks import PackedMask, pack_mask
from backend.jobs.protocol import volume_header
from backend.jobs.training import training_fault
from fixtures.small import SmallNode, small_phantom
from inference.foveal import FovealNet
from inference.model_folder import DEFAULT_MODEL, read_model
from inference.training import from_release
from inference.training.cases import read_fetched, write_for_training
from inference.training.measuring import loss_of, without_ignored
from inference.training.volumes import read_volume

SHAPE, SPACING = (24, 50, 60), (2.0, 0.9, 0.9)
CASES = {"a": "train", "b": "validation", "c": "locked_test"}


def write_case(raw: Path, case: str, seed: int, *, ignored: bool = False) -> None:
    """A phantom's case as the training lane fetches it; its stack runs from head to feet."""
    raw.mkdir(exist_ok=True)
    nodes = [SmallNode((0.5, 0.4, 0.4), (8.0, 8.0, 8.0)), SmallNode((0.5, 0.7, 0.7), (6, 6, 6))]
    made = small_phantom(seed, SHAPE, SPACING, nodes)
    grid = Grid.axial(SHAPE, SPACING)
    header = volume_header(grid.to_json(), [(1.0, 0.0)] * SHAPE[0], {})
    (raw / f"{case}.volume").write_bytes(header + made.image.astype("<i2").tobytes())
    labels = made.labels.astype(np.uint16) * 3  # Numbers with gaps, as editing leaves them.
    uuids = {int(n): str(uuid.uuid4()) for n in np.unique(labels) if n}
    packed = PackedMask.of_volume(labels, grid.geometry_hash, uuids)
    (raw / f"{case}.mask").write_bytes(pack_mask(packed))
    if ignored:
        left = np.zeros(SHAPE, np.uint16)
        left[10:14, 5:12, 5:12] = 1
        packed = PackedMask.of_volume(left, grid.geometry_hash, {1: str(uuid.uuid4())})
        (raw / f"{case}.ignored").write_bytes(pack_mask(packed))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What the training lane leaves for the training's process."""
    for number, case in enumerate(CASES):
        write_case(tmp_path / "raw", case, number, ignored=case == "a")
    plan = {
        "plan": {"minutes": 0.04, "threads": 1, "seed": 3},
        "cases": [{"case": case, "split": split} for case, split in CASES.items()],
        "manifest": json.loads((DEFAULT_MODEL / "model.json").read_text()),
        "parent": str(DEFAULT_MODEL),
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    return tmp_path


def told(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_case_comes_to_the_networks_grid_with_its_nodes_and_at_least_a_patch(folder: Path):
    raw, out = folder / "raw", folder / "train"
    fetched = read_fetched(raw, "a")
    assert set(np.unique(fetched.labels)) == {0, 1, 2}

    write_for_training(raw, "a", out, 1, (64, 64, 64))

    volume = read_volume(out, 1)
    assert volume.image.shape == volume.labels.shape == (64, 64, 64)
    assert [node["label"] for node in volume.nodes] == [1, 2]
    for node, before in zip(volume.nodes, fetched.nodes, strict=True):
        z, y, x = (int(c) for c in node["centre_mm"])
        assert volume.labels[z, y, x] == node["label"]
        assert node["short_axis_mm"] == pytest.approx(before["short_axis_mm"], abs=1.5)
    assert volume.ignored is not None
    assert volume.ignored.sum() == pytest.approx(4 * 7 * 7 * 2 * 0.81, rel=0.25)
    write_case(raw, "odd", 9)
    shutil.copy(raw / "odd.mask", raw / "a.mask")
    other = Grid.axial((24, 50, 61), SPACING)
    packed = PackedMask.of_volume(np.zeros(other.shape, np.uint16), other.geometry_hash, {})
    (raw / "a.mask").write_bytes(pack_mask(packed))
    with pytest.raises(ValueError, match="grid of its images"):
        read_fetched(raw, "a")


def test_what_readers_left_undecided_counts_neither_way():
    truth = torch.zeros(1, 1, 4, 4, 4)
    truth[..., 0] = -1
    truth[..., 3] = 1
    logits = torch.randn(truth.shape)
    before = loss_of(logits, truth, 3.0)
    logits[..., 0] = 50.0
    assert torch.equal(loss_of(logits, truth, 3.0), before)
    predicted = np.zeros((2, 4, 4), np.uint16)
    predicted[0, 0], predicted[1, 3] = 1, 2
    ignored = np.zeros(predicted.shape, bool)
    ignored[0, 0, :3] = True
    assert set(np.unique(without_ignored(predicted, ignored))) == {0, 1}
    assert without_ignored(predicted, ignored)[1, 3].all()


@pytest.mark.deep
def test_a_training_tells_its_points_and_ends_with_a_model_that_runs(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    (folder / "raw" / "c.volume").rename(folder / "c.volume")  # Not fetched while it trains.
    result = from_release.train(folder)
    said = told(capsys)

    assert training_fault(result) == ""
    assert (result["started_from"], result["people"]) == ("parent", 2)
    assert result["steps"] > 0
    points = [one["point"] for one in said if "point" in one]
    assert points[0] == {"curve": "resumed", "step": 0}
    assert {point["curve"] for point in points[1:]} == {"training", "validation"}
    assert all(np.isfinite(point["loss"]) for point in points[1:])
    assert [p["figures"]["nodes"] for p in points if p["curve"] == "validation"][-1] == 2
    described = read_model(folder / "model")
    parent = read_model(DEFAULT_MODEL)
    assert described.threshold == result["output"]["threshold"]
    assert "second_look" in described.content["output"]
    assert described.content["output"] == {
        **parent.content["output"],
        **result["output"],
    }
    assert described.sha256 != parent.sha256
    (folder / "c.volume").rename(folder / "raw" / "c.volume")
    figures = from_release.evaluate(folder)
    assert (figures["scans"], figures["nodes"]) == (1, 2)

    again = from_release.train(folder)
    points = [one["point"] for one in told(capsys) if "point" in one]
    assert points[0] == {"curve": "resumed", "step": result["steps"]}
    assert again["steps"] == result["steps"], "the budget was spent before"


def test_without_the_parents_weights_it_begins_from_nothing_and_has_no_second_look(folder: Path):
    plan = json.loads((folder / "plan.json").read_text())
    plan["parent"] = None
    plan["cases"] = [{"case": "a", "split": "train"}]
    plan["plan"]["minutes"] = 0.005
    (folder / "plan.json").write_text(json.dumps(plan))

    result = from_release.train(folder)

    assert (result["started_from"], result["validation"]) == ("nothing", {})
    assert result["output"]["threshold"] == read_model(DEFAULT_MODEL).threshold
    assert read_model(folder / "model").second_look is None
    assert from_release.evaluate(folder) == {}


def test_the_weights_of_another_network_are_refused(folder: Path):
    from inference.training.trainer import Plan, Trainer

    from_release.write_for_training(folder / "raw", "a", folder / "train", 1, from_release.PATCH)
    trainer = Trainer(Plan(0.01), folder / "train", folder / "none", folder / "out")
    weights = FovealNet().state_dict()
    weights.pop("head.weight")
    with pytest.raises(ValueError, match="another network"):
        trainer.start_from_weights(weights)
