"""The model that comes with the application: complete, unaltered, and of some use."""

import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest

from fixtures.phantom import generate
from inference.export import INTENDED_USE
from inference.foveal_openvino import FovealOpenVINO
from inference.model_folder import DEFAULT_MODEL, read_model, sha256_of
from inference.pipeline import segment
from inference.scoring import score_scan

LARGEST_WEIGHTS_BYTES = 10 * 1024 * 1024


@pytest.fixture(scope="module")
def model():
    return read_model()


@pytest.fixture(scope="module")
def net(model):
    return FovealOpenVINO(model)


def test_every_file_is_the_one_that_model_json_names(model):
    present = {path.name for path in DEFAULT_MODEL.iterdir()} - {"model.json"}
    assert present == set(model.sha256)
    for name, digest in model.sha256.items():
        assert sha256_of(DEFAULT_MODEL / name) == digest


def test_the_weights_are_small_enough_for_the_repository(model):
    assert model.file("weights.safetensors").stat().st_size <= LARGEST_WEIGHTS_BYTES


def test_the_model_says_what_it_is_not_for(model):
    assert model.content["intended_use"] == INTENDED_USE
    assert "not for diagnosis" in (DEFAULT_MODEL / "CARD.md").read_text()


def test_the_description_tells_how_the_weights_were_made(model):
    training = model.content["training"]
    assert training["commands"]
    assert training["code"]
    assert training["generator_version"]
    used = {seed for phase in training["phases"] for seed in phase["training_seeds"]}
    assert used
    assert not used & set(training["validation_seeds"])


def test_it_finds_nodes_in_an_unseen_phantom(net):
    phantom = generate(10_100, size_mm=(80.0, 150.0, 160.0), contrast=True, slice_mm=1.5)
    found = segment(phantom.image, phantom.spacing_mm, net)
    score = score_scan(found.labels, phantom.labels, [asdict(node) for node in phantom.nodes])
    large = [node for node in score.nodes if node.short_axis_mm >= 5]
    assert large
    assert sum(node.localised for node in large) >= 0.3 * len(large)
    assert score.false_positives <= 20


def test_the_same_scan_gives_the_same_labels_twice(net):
    phantom = generate(10_101, size_mm=(30.0, 130.0, 140.0), contrast=True)
    first, second = (segment(phantom.image, phantom.spacing_mm, net) for _ in range(2))
    assert np.array_equal(first.labels, second.labels)


def test_a_worker_needs_neither_torch_nor_django():
    program = (
        "import sys; import inference.pipeline, inference.foveal_openvino; "
        "print(sorted({'torch', 'django'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
