"""A torch module as the engine wants it: windows in, logits out, on the device of a step."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from backend.jobs.model_description import ModelDamaged
from inference.adapters import Loading
from inference.device import Step, precision_of, probe
from inference.engine import Plan

GPU_WINDOWS = 4
PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


class TorchNetwork:
    """One module, or several whose logits are averaged (the folds of an nnU-Net)."""

    def __init__(
        self, modules: Sequence[Any], plan: Plan, loading: Loading, about: dict[str, Any]
    ) -> None:
        self.plan, self.about = plan, about
        self.device = probe(loading.device)
        if loading.threads:
            torch.set_num_threads(loading.threads)
        self.threads = torch.get_num_threads()
        self._modules = [module.eval() for module in modules]
        self._lies_on = "cpu"

    def batch(self, step: Step) -> int:
        """Several windows at once on a GPU, one on a processor."""
        return GPU_WINDOWS if step.device == "cuda" else 1

    def forward(self, image: NDArray[np.float32], step: Step) -> NDArray[np.float32]:
        """Logits (windows, channels, d, h, w) of windows (windows, d, h, w)."""
        if self._lies_on != step.device:
            for module in self._modules:
                module.to(step.device)
            self._lies_on = step.device
        tensor = torch.from_numpy(np.ascontiguousarray(image))[:, None]
        if step.device == "cuda":
            tensor = tensor.pin_memory().to("cuda", non_blocking=True)
        kind = PRECISIONS.get(step.precision)
        total: Any = None
        with (
            torch.inference_mode(),
            torch.autocast(step.device, dtype=kind, enabled=kind is not None),
        ):
            for module in self._modules:
                answer = module(tensor)
                if isinstance(answer, list | tuple):
                    answer = answer[0]
                total = answer if total is None else total + answer
        logits: NDArray[np.float32] = (total.float() / len(self._modules)).cpu().numpy()
        if (
            logits.ndim != 5
            or logits.shape[0] != image.shape[0]
            or logits.shape[2:] != image.shape[1:]
        ):
            raise ValueError(
                f"The network answers {logits.shape} to {image.shape}; expected one map of the "
                "same size for each label. Correct input.multiple or input.patch in model.json."
            )
        return logits

    def provenance(self) -> dict[str, Any]:
        """Device, precision, threads, runtime, and what the loader adds."""
        return {
            "runtime": f"torch {torch.__version__}",
            "device": self.device.upper(),
            "precision": precision_of(self.device),
            "threads": self.threads,
            **self.about,
        }


def load_weights(path: Path, allowed: Iterable[Any] = ()) -> Any:
    """What a checkpoint holds, read without running what it says; raises `ModelDamaged`."""
    try:
        with torch.serialization.safe_globals(list(allowed)):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as refused:
        raise ModelDamaged(
            f"{path.name} holds more than weights: reading it would run code "
            f"({_named(str(refused))}). It was not run. Ask the model's maker for weights alone."
        ) from None
    except (RuntimeError, EOFError, ValueError) as broken:
        raise ModelDamaged(f"{path.name} cannot be read ({broken}). Install it again.") from None


def _named(message: str) -> str:
    """The function a checkpoint asks for, out of torch's long message."""
    for start in ("Unsupported global: GLOBAL ", "Trying to load unsupported GLOBAL "):
        _, found, rest = message.partition(start)
        if found:
            return rest.split()[0].strip("`,.")
    return message.strip().splitlines()[-1][:120]


def put_weights(module: Any, state: Any, path: Path) -> None:
    """Load a state dict, every key of it; raises `ModelDamaged` where it is another network's."""
    try:
        module.load_state_dict(state, strict=True)
    except (RuntimeError, TypeError, AttributeError) as wrong:
        first = " ".join(str(wrong).split())[:200]
        raise ModelDamaged(
            f"{path.name} does not hold this network's weights ({first}). Install the weights that "
            "belong to its configuration."
        ) from None
