"""The foveal-style network in OpenVINO, built from the weights file: no torch, no converter.

Batch normalisation is folded into the convolutions while the graph is built. Clipping, scaling and
the sigmoid are part of the graph: Hounsfield units in, node probability out.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as ops
from safetensors.numpy import load_file

from inference.model_folder import ModelDescription
from inference.pipeline import SegmentationCancelled, never

Weights: TypeAlias = Mapping[str, NDArray[np.float32]]
Shape: TypeAlias = tuple[int, int, int]
Precision: TypeAlias = Literal["f32", "bf16"]

LOOK_MILLISECONDS = 50
"""So often a run that goes on is asked whether it was cancelled."""

MULTIPLE = 16
"""Every side of the network's input must be a multiple of this many voxels."""

BATCH_NORM_EPSILON = 1e-5
BF16_CPU_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})
CPU_DESCRIPTION = Path("/proc/cpuinfo")


def best_precision(cpu_description: Path = CPU_DESCRIPTION) -> Precision:
    """Return bf16 where the processor computes in it, else f32 (bf16 would then be emulated)."""
    try:
        text = cpu_description.read_text()
    except OSError:
        return "f32"
    flags = re.search(r"^flags\s*:\s*(.*)$", text, re.MULTILINE)
    return "bf16" if flags and BF16_CPU_FLAGS & set(flags[1].split()) else "f32"


def _constant(array: Any) -> Any:
    return ops.constant(np.ascontiguousarray(array, dtype=np.float32))


def _per_channel(values: NDArray[np.float32]) -> Any:
    return _constant(values.reshape(1, -1, 1, 1, 1))


def _convolution(x: Any, kernel: NDArray[np.float32], bias: NDArray[np.float32]) -> Any:
    """Return the stride-1 convolution that keeps the size, kernel (out, in, d, h, w)."""
    padding = [kernel.shape[2] // 2] * 3
    ones = [1, 1, 1]
    y = ops.convolution(x, _constant(kernel), ones, padding, padding, ones)
    return ops.add(y, _per_channel(bias))


def _block(x: Any, weights: Weights, name: str) -> Any:
    """Return convolution, batch normalisation and ReLU as one convolution and a ReLU."""
    gamma, beta = weights[f"{name}.norm.weight"], weights[f"{name}.norm.bias"]
    mean, variance = weights[f"{name}.norm.running_mean"], weights[f"{name}.norm.running_var"]
    factor = gamma / np.sqrt(variance + BATCH_NORM_EPSILON)
    kernel = weights[f"{name}.conv.weight"] * factor[:, None, None, None, None]
    return ops.relu(_convolution(x, kernel, beta - mean * factor))


def _average(x: Any, size: int) -> Any:
    sides, none = [size] * 3, [0, 0, 0]
    return ops.avg_pool(x, sides, none, none, sides, exclude_pad=True)


def _doubled(x: Any) -> Any:
    """Return x with every voxel repeated 2 x 2 x 2."""
    return ops.interpolate(
        x,
        ops.constant(np.array([2.0, 2.0, 2.0], np.float32)),
        mode="nearest",
        shape_calculation_mode="scales",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
        axes=ops.constant(np.array([2, 3, 4], np.int64)),
    )


def _branch(x: Any, weights: Weights, level: int) -> Any:
    depth = 0
    while f"branches.{level}.{depth}.conv.weight" in weights:
        x = _block(x, weights, f"branches.{level}.{depth}")
        depth += 1
    return x


def build_graph(
    weights: Weights, shape: Shape, window_hu: tuple[float, float], scale_hu: float
) -> ov.Model:
    """Return the network for one input shape: HU (1, 1, *shape) to probability, same shape."""
    image = ops.parameter([1, 1, *shape], np.float32, name="hu")
    x = ops.multiply(ops.clamp(image, *window_hu), _constant([1 / scale_hu]))
    return ov.Model([ops.result(ops.sigmoid(logits(x, weights)))], [image], "foveal")


def logits(x: Any, weights: Weights) -> Any:
    """Return what maps a normalised input (1, channels, *shape) to logits (1, 1, *shape)."""
    views = [ops.space_to_depth(x, "depth_first", 2), _average(x, 4)]
    levels = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("branches."))
    while len(views) < levels:
        views.append(_average(views[-1], 2))
    features = _branch(views[-1], weights, levels - 1)
    for level in reversed(range(levels - 1)):
        coarse = _doubled(_block(features, weights, f"lateral.{level}"))
        joined = ops.add(_branch(views[level], weights, level), coarse)
        features = _block(joined, weights, f"joint.{level}")
    folded = _convolution(features, weights["head.weight"], weights["head.bias"])
    return ops.depth_to_space(folded, "depth_first", 2)


class FovealOpenVINO:
    """The network ready to run; keeps the graph compiled for the last input shape."""

    def __init__(
        self,
        model: ModelDescription,
        *,
        precision: Precision | None = None,
        threads: int | None = None,
    ) -> None:
        """Load and check the weights; ``precision`` None means the best the processor has."""
        self.model = model
        self.precision: Precision = precision or best_precision()
        self.threads = threads
        self.weights = load_file(model.file("weights.safetensors"))
        self._core = ov.Core()
        self._shape: Shape | None = None
        self._request: Any = None
        self._threads_used: int | None = None

    def compile_for(self, shape: Shape) -> None:
        """Compile the graph for one input shape (about 0.1 s); nothing where it is compiled."""
        if shape == self._shape:
            return
        graph = build_graph(self.weights, shape, self.model.window_hu, self.model.scale_hu)
        settings: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "PERFORMANCE_HINT": "LATENCY",
        }
        if self.threads:
            settings["INFERENCE_NUM_THREADS"] = self.threads
        compiled = self._core.compile_model(graph, "CPU", settings)
        self._threads_used = int(compiled.get_property("INFERENCE_NUM_THREADS"))
        self._request = compiled.create_infer_request()
        self._shape = shape

    def probability(
        self, image_hu: NDArray[np.float32], cancelled: Callable[[], bool] = never
    ) -> NDArray[np.float32]:
        """Return the node probability (slices, rows, columns) of a 1 mm image in HU.

        Raises `SegmentationCancelled` within one layer of the network after `cancelled` said so.
        """
        depth, height, width = image_hu.shape
        shape = tuple(n + (-n) % MULTIPLE for n in image_hu.shape)
        self.compile_for((shape[0], shape[1], shape[2]))
        padded = np.full(shape, self.model.window_hu[0], np.float32)
        padded[:depth, :height, :width] = image_hu
        asked = self._request
        asked.start_async({0: padded[None, None]}, share_inputs=True)
        while not asked.wait_for(LOOK_MILLISECONDS):
            if cancelled():
                asked.cancel()
                with contextlib.suppress(RuntimeError):
                    asked.wait()
                raise SegmentationCancelled
        # The next run writes into the same memory.
        found: NDArray[np.float32] = asked.get_output_tensor(0).data[0, 0, :depth, :height, :width]
        return found.copy()

    def provenance(self) -> dict[str, Any]:
        """Return which weights run where and how."""
        return {
            "model": self.model.model_id,
            "version": self.model.version,
            "sha256": self.model.sha256["weights.safetensors"],
            "runtime": f"openvino {ov.get_version()}",
            "device": "CPU",
            "precision": self.precision,
            "threads": self.threads or self._threads_used,
        }
