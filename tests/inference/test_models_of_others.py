"""TorchScript, MONAI bundle and nnU-Net, each a tiny trained network, through the sandbox."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from backend.jobs.model_description import ModelDamaged, read_model_folder
from fixtures.models.nnunet_training import phantom_of
from inference.adapters import LOADERS, Loading
from inference.gauge import Gauge
from inference.meters import Stopwatch
from inference.pipeline import Segmentation
from inference.sandbox.host import SandboxedAdapter
from tests.inference.foreign import BUNDLE, NNUNET, TORCHSCRIPT, copied, described, with_network

LARGEST_BYTES = 300_000


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def segmented(adapter: SandboxedAdapter, seed: int = 900) -> Segmentation:
    made = phantom_of(seed)
    return adapter.segment(
        made.image, made.spacing_mm, progress=lambda *_: None, cancelled=lambda: False
    )


@pytest.fixture
def opened() -> Iterator[list[SandboxedAdapter]]:
    """Adapters whose processes are ended after the test."""
    held: list[SandboxedAdapter] = []
    yield held
    for adapter in held:
        adapter.close()


@pytest.mark.parametrize("folder", [TORCHSCRIPT, BUNDLE, NNUNET], ids=lambda f: f.name)
def test_a_tiny_model_of_each_kind_finds_the_nodes_of_an_unseen_phantom(
    folder: Path, opened: list[SandboxedAdapter]
) -> None:
    found = read_model_folder(folder)
    adapter = LOADERS[found.kind](folder, Loading(threads=1, device="cpu"))
    assert isinstance(adapter, SandboxedAdapter)
    opened.append(adapter)
    told: list[str] = []
    made = phantom_of(900)

    result = adapter.segment(
        made.image,
        made.spacing_mm,
        progress=lambda stage, share: told.append(stage),
        cancelled=lambda: False,
    )

    assert result.labels.shape == made.image.shape
    assert len(result.nodes) == len(made.nodes)
    assert dice(result.labels > 0, made.labels > 0) > 0.8
    assert list(dict.fromkeys(told)) == ["preprocess", "infer", "postprocess"]
    facts = adapter.facts()
    assert facts["device"] == "CPU"
    assert "seccomp" in " ".join(facts["sandbox"])
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < LARGEST_BYTES


def test_an_nnunet_is_run_as_nnunet_itself_runs_it(opened: list[SandboxedAdapter]) -> None:
    """Beside the weights lies what nnunetv2 2.8.1 predicted for the same phantom."""
    kept = np.load(NNUNET / "expected.npz")
    shape = tuple(kept["shape"])
    theirs = np.unpackbits(kept["labels"])[: int(np.prod(shape))].reshape(shape).astype(bool)
    opened.append(SandboxedAdapter(NNUNET, Loading(threads=1, device="cpu")))

    ours = segmented(opened[0], int(kept["seed"])).labels > 0

    assert theirs.sum() > 1000
    assert dice(ours, theirs) > 0.999


def test_the_process_stays_warm_between_runs_and_its_answer_the_same(
    opened: list[SandboxedAdapter],
) -> None:
    opened.append(SandboxedAdapter(TORCHSCRIPT, Loading(threads=1, device="cpu")))
    first = segmented(opened[0])
    pid = opened[0].pid

    second = segmented(opened[0])

    assert opened[0].pid == pid is not None
    assert (first.labels == second.labels).all()


def test_what_the_models_process_takes_is_counted_with_the_workers(
    opened: list[SandboxedAdapter],
) -> None:
    opened.append(SandboxedAdapter(TORCHSCRIPT, Loading(threads=1, device="cpu")))
    gauge, watch, own = Gauge(), Stopwatch(), time.process_time()
    alone = gauge.read()["memory_bytes"]
    segmented(opened[0])

    with_it = watch.processor_seconds()
    assert with_it - (time.process_time() - own) > 0.1, "it loads torch and a network"
    assert gauge.read()["memory_bytes"] - alone > 50 << 20

    opened[0].close()
    assert watch.processor_seconds() >= with_it, "what it took stays taken"


@pytest.mark.parametrize(
    ("source", "change", "said"),
    [
        (TORCHSCRIPT, lambda s: s.update(spacng=1), "spacng is not known. Remove it"),
        (TORCHSCRIPT, lambda s: s["input"].update(pach=[1]), "input.pach is not known"),
        (NNUNET, lambda s: s["input"].update(spacing_mm=[1, 1, 1]), "input.spacing_mm contradicts"),
    ],
)
def test_a_description_that_is_not_sound_is_refused_before_anything_runs(
    source: Path, change: object, said: str, tmp_path: Path
) -> None:
    folder = copied(source, tmp_path)
    described(folder, change)  # type: ignore[arg-type]

    with pytest.raises(ModelDamaged, match=said):
        SandboxedAdapter(folder, Loading(threads=1))


def test_a_bundle_and_its_description_must_not_contradict_each_other(
    tmp_path: Path, opened: list[SandboxedAdapter]
) -> None:
    folder = copied(BUNDLE, tmp_path)
    described(folder, lambda s: s["input"].update(spacing_mm=[3, 3, 3]))
    opened.append(SandboxedAdapter(folder, Loading(threads=1, device="cpu")))

    with pytest.raises(ModelDamaged, match=r"input.spacing_mm \(3.0, 3.0, 3.0\) contradicts"):
        segmented(opened[0])


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ("$print(1)", "is an expression that would run code"),
        ({"_target_": "os.system", "command": "true"}, "names os.system, which is not among"),
        ({"_target_": "monai.bundle.run"}, "names monai.bundle.run, which is not among"),
        ({"_target_": "SegResNet", "init_filters": "$1+1"}, "network_def::init_filters is an expr"),
        ({"_target_": "SegResNet", "_mode_": "debug"}, "network_def::_mode_ is not among"),
    ],
)
def test_of_a_bundle_only_plain_values_and_known_networks_are_read(
    network: object, said: str, tmp_path: Path, opened: list[SandboxedAdapter]
) -> None:
    folder = with_network(tmp_path, network)
    opened.append(SandboxedAdapter(folder, Loading(threads=1, device="cpu")))

    with pytest.raises(ModelDamaged, match=said):
        segmented(opened[0])


def test_a_trusted_bundles_expressions_are_built_by_monai_within_the_walls(
    tmp_path: Path, opened: list[SandboxedAdapter]
) -> None:
    config = {"_target_": "SegResNet", "spatial_dims": "$1 + 2", "in_channels": 1}
    config |= {"out_channels": 2, "init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1]}
    folder = with_network(tmp_path, config)
    opened.append(SandboxedAdapter(folder, Loading(threads=1, trusted=True, device="cpu")))

    assert segmented(opened[0]).nodes
    assert opened[0].facts()["trusted"] is True
