"""A training that began with a model's weights becomes that model's next version."""

import json

import numpy as np
import pytest
import torch

from fixtures.phantom import GENERATOR_VERSION
from inference.export import CURVES, export
from inference.foveal import FovealNet
from inference.foveal_openvino import FovealOpenVINO
from inference.model_folder import DEFAULT_MODEL, read_model, sha256_of


@pytest.fixture
def run(tmp_path):
    """What a training leaves: weights, record and curves."""
    torch.manual_seed(5)
    folder = tmp_path / "run"
    folder.mkdir()
    torch.save({"average": FovealNet().state_dict()}, folder / "checkpoint.pt")
    record = {"steps": 7, "training_seeds": [1, 2], "validation_seeds": [3]}
    (folder / "record.json").write_text(json.dumps(record))
    for curve in CURVES:
        (folder / f"{curve}.csv").write_text("step,seconds,loss\n7,60,0.5\n")
    return folder


def test_the_phases_before_stay_on_record_each_with_what_it_ran_on(run, tmp_path):
    before = json.loads((DEFAULT_MODEL / "model.json").read_text())["training"]
    folder = tmp_path / "next"
    export(
        [run], folder, version="9.9.9", threshold=0.6, commands=["train"], code="abc",
        after=DEFAULT_MODEL,
    )  # fmt: skip
    model = read_model(folder)
    training = model.content["training"]
    assert (model.version, model.threshold, model.second_look) == ("9.9.9", 0.6, None)
    assert training["commands"] == [*before["commands"], "train"]
    *earlier, new = training["phases"]
    assert [phase["steps"] for phase in earlier] == [phase["steps"] for phase in before["phases"]]
    for phase, was in zip(earlier, before["phases"], strict=True):
        assert phase["code"] == was.get("code", before["code"])
        made = was.get("generator_version", before["generator_version"])
        assert phase["generator_version"] == made
    assert (new["steps"], new["code"]) == (7, "abc")
    assert new["generator_version"] == training["generator_version"] == GENERATOR_VERSION
    number = len(training["phases"])
    for curve in CURVES:
        assert (folder / f"{curve}-{number}.csv").read_bytes() == (
            run / f"{curve}.csv"
        ).read_bytes()
    assert sha256_of(folder / "loss-1.csv") == sha256_of(DEFAULT_MODEL / "loss-1.csv")
    assert set(model.sha256) == {path.name for path in folder.iterdir()} - {"model.json"}


def test_what_is_exported_runs(run, tmp_path):
    export([run], tmp_path / "next", version="1", threshold=0.5, commands=[], code="abc")
    net = FovealOpenVINO(read_model(tmp_path / "next"), threads=1)
    probability = net.probability(np.zeros((16, 32, 32), np.float32))
    assert ((probability > 0) & (probability < 1)).all()
