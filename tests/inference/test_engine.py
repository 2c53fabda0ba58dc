"""The engine with networks whose answer is known."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backend.jobs.model_rules import InputRule, Normalisation, OutputRule
from fixtures.models.nnunet_training import phantom_of
from inference import engine
from inference.device import Step
from inference.engine import Plan
from inference.pipeline import SegmentationCancelled
from inference.resampling import cubic_matrix

OUTPUT = OutputRule(labels={1: "lymph node"}, nodes=(1,))


class Brightness:
    """Calls node what is brighter than 70 HU; keeps what it was shown."""

    device = "cpu"

    def __init__(self, rule: InputRule, output: OutputRule = OUTPUT) -> None:
        self.plan = Plan(rule, output)
        self.shown: list[NDArray[np.float32]] = []

    def batch(self, step: Step) -> int:
        return 2

    def forward(self, image: NDArray[np.float32], step: Step) -> NDArray[np.float32]:
        self.shown += list(image)
        logit = (image[:, None] - 70) / 5
        if self.plan.output.activation == "softmax":
            return np.concatenate([np.zeros_like(logit), logit], axis=1)
        return logit

    def provenance(self) -> dict[str, Any]:
        return {}


def run(net: Brightness, cancelled: bool = False) -> Any:
    made = phantom_of(3)
    return engine.segment(
        made.image,
        made.spacing_mm,
        net,
        progress=lambda *_: None,
        cancelled=lambda: cancelled,
    )


@pytest.mark.parametrize("crop", [True, False])
@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_bright_balls_come_back_as_they_are(crop: bool, activation: Any) -> None:
    output = OutputRule({1: "lymph node"}, (1,), activation=activation, min_short_axis_mm=3.0)
    made = phantom_of(3)

    found = run(Brightness(InputRule(crop=crop), output))

    assert len(found.nodes) == len(made.nodes)
    wrong = (found.labels > 0) != (made.labels > 0)
    assert wrong.sum() < 0.02 * (made.labels > 0).sum()
    assert [node.label for node in found.nodes] == list(range(1, len(made.nodes) + 1))


AXES = ["".join(a) for o in permutations(("SI", "PA", "LR")) for a in product(*o)]


@pytest.mark.parametrize("axes", AXES)
def test_a_network_is_shown_its_own_axes_and_its_answer_turned_back(axes: str) -> None:
    net = Brightness(InputRule(axes=axes, crop=False))
    plain = Brightness(InputRule(crop=False))

    assert (run(net).labels == run(plain).labels).all()
    (seen,), (canonical,) = net.shown, plain.shown
    place = axes.index(next(a for a in axes if a in "SI"))
    top = seen.take(-1 if axes[place] == "S" else 0, axis=place)
    assert sorted(top.ravel()) == sorted(canonical[-1].ravel())


def test_windows_answer_as_one_shot_does() -> None:
    whole = run(Brightness(InputRule(crop=False)))
    net = Brightness(InputRule(crop=False, patch=(16, 32, 32), overlap=0.5))

    windowed = run(net)

    assert {image.shape for image in net.shown} == {(16, 32, 32)}
    assert len(net.shown) > 8
    assert (windowed.labels == whole.labels).all()


def test_an_image_smaller_than_a_window_is_shown_in_the_middle_of_it() -> None:
    net = Brightness(InputRule(crop=False, patch=(64, 96, 96)))

    found = run(net)

    assert net.shown[0].shape == (64, 96, 96)
    assert found.nodes


def test_the_image_is_shown_in_the_networks_own_numbers() -> None:
    window = (-100.0, 300.0)
    for how, low, high in (
        (Normalisation(to=(0.0, 1.0)), 0.0, 1.0),
        (Normalisation(mean_std=(100.0, 50.0)), -4.0, 4.0),
        (None, -100.0, 300.0),
    ):
        net = Brightness(InputRule(crop=False, window_hu=window, normalise=how))
        run(net)
        assert net.shown[0].min() == pytest.approx(low)
        assert net.shown[0].max() < high


def test_a_network_that_names_its_instances_is_taken_at_its_word() -> None:
    class Numbers(Brightness):
        def forward(self, image: NDArray[np.float32], step: Step) -> NDArray[np.float32]:
            answer = np.zeros_like(image)[:, None]
            answer[0, 0, 10:14, 30:40, 30:35] = 1
            answer[0, 0, 10:14, 30:40, 35:40] = 2
            return answer

    rule = OutputRule({1: "lymph node"}, (1,), kind="instances")

    found = run(Numbers(InputRule(crop=False), rule))

    assert len(found.nodes) == 2
    assert sorted(np.bincount(found.labels.ravel())[1:]) == [200, 200]


def test_an_answer_with_other_channels_than_described_is_an_error_that_names_the_cure() -> None:
    rule = OutputRule({1: "a", 2: "b"}, (1, 2))

    with pytest.raises(ValueError, match=r"answers 1 channels.*needs 2\. Correct output"):
        run(Brightness(InputRule(crop=False), rule))


def test_a_cancelled_run_stops() -> None:
    with pytest.raises(SegmentationCancelled):
        run(Brightness(InputRule()), cancelled=True)


@pytest.mark.parametrize(("inputs", "outputs"), [(40, 31), (31, 40), (7, 7), (2, 9)])
def test_cubic_weights_are_those_of_the_resize_that_nnunet_uses(inputs: int, outputs: int) -> None:
    from skimage.transform import resize

    line = np.random.default_rng(1).normal(size=(inputs, 1))
    theirs = resize(line, (outputs, 1), 3, mode="edge", anti_aliasing=False, clip=False)

    assert np.abs(cubic_matrix(inputs, outputs) @ line - theirs).max() < 1e-5
