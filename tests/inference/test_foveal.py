"""The network in torch and in OpenVINO is one network."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from inference.export import describe, trainable_weights
from inference.foveal import FovealNet, fold, fused, unfold
from inference.foveal_openvino import FovealOpenVINO, best_precision
from inference.model_folder import DamagedModel, read_model
from inference.pipeline import SegmentationCancelled

SHAPE = (32, 48, 32)


@pytest.fixture
def random_net():
    torch.manual_seed(3)
    net = FovealNet()
    with torch.no_grad():
        for name, buffer in net.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    return net.eval()


@pytest.fixture
def random_model(random_net, tmp_path):
    save_file(trainable_weights(random_net), tmp_path / "weights.safetensors")
    describe(tmp_path, version="0", training={}, threshold=0.5)
    return read_model(tmp_path)


def torch_probability(net, image_hu):
    x = torch.from_numpy(np.clip(image_hu, -250, 350) / 200)[None, None]
    with torch.no_grad():
        return torch.sigmoid(net(x))[0, 0].numpy()


def random_image(shape=SHAPE):
    return np.random.default_rng(5).normal(0, 200, shape).astype(np.float32)


def test_unfold_undoes_fold():
    image = torch.randn(1, 1, 4, 6, 8)
    assert torch.equal(unfold(fold(image)), image)


def test_folding_away_the_normalisation_changes_nothing(random_net):
    image = random_image()
    difference = torch_probability(fused(random_net), image) - torch_probability(random_net, image)
    assert np.abs(difference).max() < 1e-5


def test_openvino_computes_what_torch_computes(random_net, random_model):
    image = random_image()
    net = FovealOpenVINO(random_model, precision="f32")
    ours = net.probability(image)
    assert np.abs(ours - torch_probability(random_net, image)).max() < 1e-4
    assert net.provenance()["threads"] >= 1, "how many it took, where it was not told how many"


def test_a_shape_that_is_no_multiple_of_sixteen_is_padded_with_air(random_net, random_model):
    image = random_image((20, 33, 17))
    padded = np.full((32, 48, 32), -1000, np.float32)
    padded[:20, :33, :17] = image
    ours = FovealOpenVINO(random_model, precision="f32").probability(image)
    assert ours.shape == image.shape
    assert np.abs(ours - torch_probability(random_net, padded)[:20, :33, :17]).max() < 1e-4


def test_the_same_input_gives_the_same_bits_twice(random_model):
    net = FovealOpenVINO(random_model)
    image = random_image()
    assert np.array_equal(net.probability(image), net.probability(image))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("fpu sse avx512_bf16", "bf16"), ("fpu amx_bf16", "bf16"), ("fpu avx512f avx2", "f32")],
)
def test_bf16_is_used_only_where_the_processor_has_it(tmp_path, flags, expected):
    description = tmp_path / "cpuinfo"
    description.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t: none\n")
    assert best_precision(description) == expected


def test_altered_weights_are_refused(random_model):
    (random_model.folder / "weights.safetensors").write_bytes(b"something else")
    with pytest.raises(DamagedModel, match="Install the model folder again"):
        FovealOpenVINO(random_model)


def test_a_network_that_is_cancelled_midway_stops_and_answers_the_next_image(random_model):
    image = np.random.default_rng(3).normal(40, 60, (160, 160, 160)).astype(np.float32)
    net = FovealOpenVINO(random_model, threads=1)
    expected = net.probability(image)
    asked = []

    with pytest.raises(SegmentationCancelled, match="Start it again"):
        net.probability(image, lambda: asked.append(1) or True)

    assert asked == [1]
    assert np.array_equal(net.probability(image), expected)
