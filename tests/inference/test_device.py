"""The ladder: where memory ends, the next step; where something else is wrong, no step helps."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fixtures.small import short_neck_phantom
from inference import device
from inference.device import Ladder, NoSuchDevice, Step, is_out_of_memory, precision_of, probe
from inference.foveal import MULTIPLE
from inference.foveal_openvino import FovealOpenVINO
from inference.foveal_torch import FovealTorch, windows_of
from inference.model_folder import read_model
from inference.resampling import resample

WHOLE = Step("cpu", "f32", None)
TILE = Step("cpu", "f32", (96, 96, 96))


def test_a_gpu_goes_from_everything_at_once_to_windows_to_the_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(device, "precision_of", lambda place: "bf16" if place == "cuda" else "f32")

    steps = device.steps_for("cuda", (200, 300, 300), None, 16)

    assert [(step.device, step.window and step.window[0]) for step in steps] == [
        *(("cuda", side) for side in (None, 160, 128, 96, 64)),
        *(("cpu", side) for side in (160, 128, 96, 64)),
    ]
    assert {step.precision for step in steps if step.device == "cpu"} == {"f32"}
    steps = device.steps_for("cuda", (200, 300, 300), None, 16, (256, 192))
    assert [(step.device, step.window) for step in steps[:3]] == [
        ("cuda", None),
        ("cuda", (200, 256, 256)),
        ("cuda", (192, 192, 192)),
    ]


def test_a_networks_own_patch_is_the_first_step_and_sides_stay_whole_multiples() -> None:
    steps = device.steps_for("cpu", (200, 300, 300), (40, 144, 144), 24)

    assert [step.window for step in steps] == [
        (40, 144, 144),
        (40, 120, 120),
        (40, 96, 96),
        (40, 48, 48),
    ]


def test_only_a_lack_of_memory_leads_on_and_each_step_is_kept() -> None:
    """The processor's real allocator refuses the first; nothing is feigned."""

    def attempt(step: Step) -> str:
        if step == WHOLE:
            torch.empty(1 << 60, dtype=torch.uint8)
        return "done"

    ladder = Ladder([WHOLE, TILE])

    assert ladder.climb_down(attempt) == ("done", TILE)
    (fallen,) = ladder.fallen
    assert fallen["window"] is None
    assert "memory" in fallen["why"]


def test_any_other_error_is_not_taken_for_a_lack_of_memory() -> None:
    ladder = Ladder([WHOLE, TILE])

    with pytest.raises(RuntimeError, match="size of tensor"):
        ladder.climb_down(lambda step: torch.zeros(2) + torch.zeros(3))

    assert not ladder.fallen


def test_the_last_steps_lack_of_memory_is_raised() -> None:
    with pytest.raises(RuntimeError) as short:
        Ladder([WHOLE]).climb_down(lambda step: torch.empty(1 << 60, dtype=torch.uint8))

    assert is_out_of_memory(short.value)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("CUDA error: device-side assert triggered"))


def test_without_a_gpu_the_processor_is_used_and_demanding_one_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(device, "NVIDIA", tmp_path / "nvidiactl")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    assert probe("auto") == probe("cpu") == "cpu"
    assert precision_of("cpu") == "f32"
    with pytest.raises(NoSuchDevice, match=r"no device cuda here.*--device cpu"):
        probe("cuda")


def test_the_embedded_network_answers_the_same_in_torch_as_on_openvino() -> None:
    model = read_model()
    image = np.random.default_rng(2).normal(40, 60, (40, 64, 56)).astype(np.float32)

    ours = FovealTorch(model, device="cpu", precision="f32").probability(image)

    theirs = FovealOpenVINO(model, precision="f32", threads=1).probability(image)
    assert np.abs(ours - theirs).max() < 2e-3


def test_windows_answer_as_the_whole_image_one_by_one_and_several_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    neck = short_neck_phantom()
    hu = resample(neck.image, neck.spacing_mm, (110, 192, 200), (1.0, 1.0, 1.0))
    image = (np.clip(hu[30:62, :, 4:196], -250, 350) / 200).astype(np.float32)
    net = FovealTorch(read_model(), device="cpu", precision="f32")
    whole = net.in_step(image, Step("cpu", "f32", None))
    step = Step("cpu", "f32", (32, 160, 160))

    single = net.in_step(image, step)
    monkeypatch.setattr(net, "windows_at_once", lambda step: 3)
    several = net.in_step(image, step)

    np.testing.assert_allclose(several, single, atol=1e-5)
    np.testing.assert_allclose(single, whole, atol=1e-4)
    assert (whole > 0.5).sum() > 1000


@pytest.mark.parametrize("side", [16, 32, 64, 96, 128, 192])
def test_windows_fill_the_image_and_none_is_larger_than_asked_for(side: int) -> None:
    shape = (176, 208, 48)
    window = (side, side, min(side, 48))
    filled = np.zeros(shape, int)

    for alike in windows_of(shape, window).values():
        for outer, inside, target in alike:
            sides = [part.stop - part.start for part in outer]
            assert all(a <= b for a, b in zip(sides, window, strict=True))
            assert all(n % MULTIPLE == 0 for n in sides)
            assert filled[outer][inside].shape == filled[target].shape
            filled[target] += 1

    assert (filled == 1).all()


def test_a_gpu_benchmark_without_a_gpu_ends_with_one_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "benchmark", "inference", "--device", "cuda"],
        capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 1
    assert "There is no device cuda here that torch can use. Use `--device cpu`" in done.stderr
    assert "Traceback" not in done.stderr
