"""`python -m inference.benchmark [--device cuda]`: the network's share of a run, as JSON.

One process: native array → native label, the network alone, peak memory; on a GPU also memory by
window and precision, label agreement with the processor, and throughput of two models at once.
`manage.py benchmark inference` joins it with what goes over HTTP and with the peers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixtures.phantom import Phantom, generate
from fixtures.phantom_dicom import write_series
from inference.body import find_body
from inference.device import NoSuchDevice, probe
from inference.meters import Stopwatch, peak_memory_bytes
from inference.model_folder import ModelDescription, read_model
from inference.pipeline import Network, segment
from inference.resampling import resample, resampled_shape

SEED = 60_001
SHAPE, SPACING_MM = (250, 512, 512), (1.5, 0.6, 0.6)
SMALL_MM = (60.0, 120.0, 130.0)
REPEATS = 5
GPU_BATCHES = (1, 4)
AIR_HU = -1000


def large_phantom(seed: int = SEED) -> Phantom:
    """A phantom of 512 × 512 × 250: the generator's neck, mirrored onto itself, in air."""
    made = generate(seed, SPACING_MM, contrast=True)
    image, labels = (np.concatenate([a, a[::-1]])[: SHAPE[0]] for a in (made.image, made.labels))
    margin = [(0, 0), *((0, n - m) for n, m in zip(SHAPE[1:], image.shape[1:], strict=True))]
    return replace(
        made,
        image=np.pad(image, margin, constant_values=AIR_HU),
        labels=np.pad(labels, margin),
    )


def write_studies(folder: Path, count: int, *, small: bool) -> None:
    """Write the phantom as studies of so many patients, a folder each.

    Each lies a voxel further than the one before, so that no two have the same images or masks.
    """
    phantom = generate(SEED, SPACING_MM, SMALL_MM, contrast=True) if small else large_phantom()
    for number in range(count):
        moved = replace(
            phantom,
            image=np.roll(phantom.image, number, axis=2),
            labels=np.roll(phantom.labels, number, axis=2),
        )
        write_series(moved, folder / f"{number:02}", patient_id=f"BENCH-{number}")


def measure(device: str) -> dict[str, Any]:
    """What the embedded model takes on a device; raises `NoSuchDevice`."""
    place = probe(device)
    model = read_model()
    phantom = large_phantom()
    net: Any = _network(model, place)
    Stopwatch()  # The peak counts from here.
    cold = _timed(lambda: segment(phantom.image, phantom.spacing_mm, net))
    found: list[Any] = []
    whole = [
        _timed(lambda: found.append(segment(phantom.image, phantom.spacing_mm, net)))
        for _ in range(REPEATS)
    ]
    peak = peak_memory_bytes()
    image = _working(phantom, model)
    alone = [_timed(lambda: net.probability(image)) for _ in range(REPEATS)]
    watch = Stopwatch()
    segment(phantom.image, phantom.spacing_mm, net)
    whole_cpu, watch = watch.processor_seconds(), Stopwatch()
    net.probability(image)
    report: dict[str, Any] = {
        "device": place,
        "facts": net.provenance(),
        "working_voxels": image.size,
        "native_to_label_cold_s": round(cold, 3),
        "native_to_label_s": _spread(whole),
        "network_s": _spread(alone),
        "stages_s": found[-1].timings_s,
        "nodes": len(found[-1].nodes),
        # Processor seconds stay true on a busy machine.
        "native_to_label_cpu_s": whole_cpu,
        "network_cpu_s": watch.processor_seconds(),
        "peak_memory_bytes": peak,
    }
    if place == "cuda":
        report["gpu"] = _gpu(model, phantom, image, found[-1].labels)
    return report


def _network(model: ModelDescription, place: str) -> Network:
    if place == "cuda":
        from inference.foveal_torch import FovealTorch

        return FovealTorch(model)
    from inference.foveal_openvino import FovealOpenVINO

    return FovealOpenVINO(model)


def _working(phantom: Phantom, model: ModelDescription) -> NDArray[np.float32]:
    """The phantom's body on the network's grid."""
    crop = phantom.image[find_body(phantom.image, phantom.spacing_mm).box]
    shape = resampled_shape(crop.shape, phantom.spacing_mm, model.spacing_mm)
    return resample(crop, phantom.spacing_mm, shape, model.spacing_mm)


def _gpu(
    model: ModelDescription,
    phantom: Phantom,
    image: NDArray[np.float32],
    labels: NDArray[np.uint16],
) -> dict[str, Any]:
    """What only a GPU has: memory by window and precision, agreement, two models at once."""
    import torch

    from inference.device import Step
    from inference.foveal_openvino import FovealOpenVINO
    from inference.foveal_torch import TILES, FovealTorch

    rows = []
    low, high = model.window_hu
    shown = (np.clip(image, low, high) / model.scale_hu).astype(np.float32)
    sides = [(-n) % 16 for n in shown.shape]
    shown = np.pad(shown, [(0, n) for n in sides])
    for precision in ("f32", "bf16", "fp16"):
        net = FovealTorch(model, precision=precision)
        for tile in (None, *TILES):
            window = (tile, tile, tile) if tile else None
            step = Step("cuda", precision, window)
            for net.batch in GPU_BATCHES:
                at_once = net.windows_at_once(step)
                if at_once < net.batch:
                    continue
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
                net.in_step(shown, step)
                seconds = [_timed(partial(net.in_step, shown, step)) for _ in range(3)]
                row = {**step.to_json(), "windows_at_once": at_once, "seconds": min(seconds)}
                rows.append({**row, "peak_gpu_memory_bytes": torch.cuda.max_memory_allocated()})
    cpu = segment(phantom.image, phantom.spacing_mm, FovealOpenVINO(model)).labels > 0
    gpu = labels > 0
    pair = [FovealTorch(model), FovealTorch(model)]
    works = [partial(_volumes, net, image) for net in pair]
    one = _timed(works[0])
    both = _timed(lambda: _at_once(works))
    return {
        "name": torch.cuda.get_device_name(),
        "by_window_and_precision": rows,
        "dice_with_processor": float(2 * (cpu & gpu).sum() / max(1, cpu.sum() + gpu.sum())),
        "volumes_per_s_one_model": round(4 / one, 3),
        "volumes_per_s_two_models": round(8 / both, 3),
    }


def _volumes(net: Network, image: NDArray[np.float32]) -> None:
    """Four volumes, one after another."""
    for _ in range(4):
        net.probability(image)


def _at_once(works: Sequence[Callable[[], object]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _spread(seconds: list[float]) -> dict[str, float]:
    return {
        "best": round(min(seconds), 3),
        "median": round(statistics.median(seconds), 3),
        "worst": round(max(seconds), 3),
    }


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m inference.benchmark", description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--write", type=Path, help="only write the studies as DICOM, to a folder")
    parser.add_argument("--count", type=int, default=1, help="so many of them")
    parser.add_argument("--small", action="store_true", help="of 40 slices each")
    chosen = parser.parse_args()
    if chosen.write:
        write_studies(chosen.write, chosen.count, small=chosen.small)
    else:
        try:
            found = measure(chosen.device)
        except NoSuchDevice as missing:
            sys.exit(str(missing))
        json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
