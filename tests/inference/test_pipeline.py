"""From a native volume to candidates on the same grid, with a network whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest

from fixtures.small import SmallNode, small_phantom
from inference import pipeline
from inference.body import NoBody, find_body
from inference.model_folder import ModelDescription
from inference.pipeline import SegmentationCancelled, segment


class BrightnessNet:
    """Calls node what is as bright as the small phantom's nodes."""

    def __init__(self, tmp_path, threshold=0.5, min_short_axis_mm=4.5, drawn_threshold=None):
        self.model = ModelDescription(
            folder=tmp_path,
            model_id="brightness",
            name="Brightness",
            version="1",
            spacing_mm=(1.0, 1.0, 1.0),
            window_hu=(-250.0, 350.0),
            scale_hu=200.0,
            threshold=threshold,
            min_short_axis_mm=min_short_axis_mm,
            second_look=None,
            sha256={},
            content={},
            drawn_threshold=drawn_threshold,
        )
        self.shapes = []

    def probability(self, image_hu, cancelled):
        self.shapes.append(image_hu.shape)
        return (1 / (1 + np.exp(np.clip((70 - image_hu) / 5, -30, 30)))).astype(np.float32)

    def provenance(self):
        return {"model": "brightness"}


@pytest.fixture
def net(tmp_path):
    return BrightnessNet(tmp_path)


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


BALLS = (
    SmallNode((0.5, 0.5, 0.3), (8.0, 6.0, 6.0)),
    SmallNode((0.5, 0.45, 0.7), (9.0, 7.0, 5.0)),
)


@pytest.mark.parametrize(
    ("shape", "spacing_mm"),
    [
        ((24, 64, 64), (2.0, 1.0, 1.0)),
        ((40, 90, 100), (1.25, 0.7, 0.65)),
        ((16, 50, 64), (3, 1.3, 1)),
    ],
)
def test_nodes_come_back_on_the_native_grid(net, shape, spacing_mm):
    phantom = small_phantom(shape=shape, spacing_mm=spacing_mm, nodes=BALLS)
    found = segment(phantom.image, phantom.spacing_mm, net)
    assert found.labels.shape == shape
    assert found.labels.dtype == np.uint16
    assert [node.label for node in found.nodes] == [1, 2]
    for truth in (1, 2):
        match = np.bincount(found.labels[phantom.labels == truth]).argmax()
        assert match > 0
        assert dice(found.labels == match, phantom.labels == truth) > 0.85


def test_each_node_has_its_probability_density_and_short_axis(net):
    found = segment(*_image_and_spacing(small_phantom(nodes=BALLS)), net)
    for node in found.nodes:
        assert net.model.threshold < node.mean <= node.highest <= 1
        assert 80 < node.mean_hu < 100
    assert sorted(node.short_axis_mm for node in found.nodes) == pytest.approx([10, 12], abs=1.5)
    assert found.nodes[0].mean >= found.nodes[1].mean


def test_a_candidate_below_the_smallest_short_axis_is_left_out(net):
    nodes = [SmallNode((0.5, 0.5, 0.3), (6.0, 1.8, 1.8)), BALLS[1]]
    found = segment(*_image_and_spacing(small_phantom(nodes=nodes)), net)
    assert len(found.nodes) == 1


def test_a_large_node_is_drawn_on_to_what_the_network_is_less_sure_of(tmp_path):
    """Both nodes have a dim half; what is dim and touches none stays outside."""
    large = SmallNode((0.5, 0.5, 0.35), (9.0, 9.0, 9.0))
    small = SmallNode((0.5, 0.5, 0.75), (5.0, 3.5, 3.5))
    lonely = SmallNode((0.5, 0.15, 0.6), (4.0, 4.0, 4.0))
    phantom = small_phantom(
        shape=(40, 64, 80), spacing_mm=(1.0, 1.0, 1.0), nodes=(large, small, lonely)
    )
    image = phantom.image.copy()
    dim = np.zeros(image.shape, bool)
    dim[23:] = True
    image[(phantom.labels > 0) & dim] = 66
    image[phantom.labels == 3] = 66
    as_others = segment(image, phantom.spacing_mm, BrightnessNet(tmp_path)).labels
    drawn = segment(image, phantom.spacing_mm, BrightnessNet(tmp_path, drawn_threshold=0.2)).labels

    def covered(labels, node):
        return (labels[(phantom.labels == node) & dim] > 0).mean()

    assert covered(as_others, 1) < 0.3
    assert covered(drawn, 1) > 0.9
    assert covered(drawn, 2) == covered(as_others, 2) < 0.5
    assert not drawn[phantom.labels == 3].any()
    assert drawn.max() == as_others.max() == 2


def test_bone_is_no_node(net):
    phantom = small_phantom(nodes=BALLS)
    image = phantom.image.copy()
    image[phantom.labels == 1] = 700
    found = segment(image, phantom.spacing_mm, net)
    assert len(found.nodes) == 1
    assert not (found.labels[phantom.labels == 1] > 0).any()


def test_a_couch_beside_the_body_is_outside_the_box_and_no_node(net):
    phantom = small_phantom(shape=(24, 96, 64), nodes=())
    image = phantom.image.copy()
    image[:, 94:96, :] = 90
    body = find_body(image, phantom.spacing_mm)
    assert not segment(image, phantom.spacing_mm, net).nodes
    assert (body.depth_mm[:, -1] == 0).all()


def test_windows_give_what_one_shot_gives(net, monkeypatch):
    phantom = small_phantom(shape=(48, 64, 64), spacing_mm=(2.0, 1.0, 1.0), nodes=BALLS)
    whole = segment(phantom.image, phantom.spacing_mm, net)
    assert whole.provenance["windows"] == 1
    monkeypatch.setattr(pipeline, "LARGEST_SHOT_VOXELS", 60_000)
    monkeypatch.setattr(pipeline, "WINDOW_MARGIN", 8)
    windowed = segment(phantom.image, phantom.spacing_mm, net)
    assert windowed.provenance["windows"] > 4
    assert max(np.prod(shape) for shape in net.shapes[1:]) <= 60_000
    assert np.array_equal(windowed.labels, whole.labels)


def test_a_model_may_be_asked_of_the_mirror_image_too(net, monkeypatch):
    image = np.random.default_rng(1).normal(60, 20, (6, 7, 8)).astype(np.float32)
    alone = pipeline.probability_of(net, image)
    plain = net.probability

    def surer_of_one_side(hu, cancelled):
        return plain(hu, cancelled) * np.linspace(0.5, 1, hu.shape[2], dtype=np.float32)

    monkeypatch.setattr(net, "probability", surer_of_one_side)
    assert not np.allclose(pipeline.probability_of(net, image), alone * 0.75, atol=0.01)
    net.model = replace(net.model, mirrored=True)
    np.testing.assert_allclose(pipeline.probability_of(net, image), alone * 0.75, atol=1e-6)
    phantom = small_phantom(shape=(24, 64, 64), nodes=BALLS)
    assert segment(phantom.image, phantom.spacing_mm, net).provenance["mirrored"] is True


def test_progress_rises_to_one_and_every_stage_is_timed(net):
    told = []
    found = segment(
        *_image_and_spacing(small_phantom()), net, progress=lambda s, f: told.append((s, f))
    )
    assert [stage for stage, _ in told] == ["body", "resample", "network", "nodes", "done"]
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert set(found.timings_s) == {"body", "resample", "network", "nodes"}


def test_a_cancelled_run_stops_before_the_network(net):
    with pytest.raises(SegmentationCancelled, match="Start it again"):
        segment(*_image_and_spacing(small_phantom()), net, cancelled=lambda: True)
    assert not net.shapes


def test_it_is_asked_at_every_node_whether_the_run_was_cancelled(net):
    asked = []

    def cancelled():
        asked.append(bool(net.shapes))
        return asked.count(True) == 6

    # Of two nodes: the stage, each as a candidate, each on its way back, then the first judged.
    with pytest.raises(SegmentationCancelled):
        segment(*_image_and_spacing(small_phantom(nodes=BALLS)), net, cancelled=cancelled)
    assert asked.count(True) == 6


def test_air_alone_is_an_error_that_says_what_to_check(net):
    with pytest.raises(NoBody, match="rescale"):
        segment(np.full((10, 40, 40), -1000, np.int16), (2.0, 1.0, 1.0), net)


def test_an_image_without_nodes_gives_an_empty_map(net):
    found = segment(*_image_and_spacing(small_phantom(nodes=())), net)
    assert not found.nodes
    assert not found.labels.any()


def _image_and_spacing(phantom):
    return phantom.image, phantom.spacing_mm
