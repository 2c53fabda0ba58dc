"""TorchScript: one file that is its own network; everything else stands in model.json."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from backend.jobs.model_description import ModelDamaged
from backend.jobs.model_rules import Manifest
from inference.adapters import Loading
from inference.engine import Plan
from inference.runtimes.torch_network import TorchNetwork


def load_torchscript(folder: Path, manifest: Manifest, loading: Loading) -> TorchNetwork:
    """The network of a TorchScript file; raises `ModelDamaged`."""
    path = folder / str(manifest.weights)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.jit is deprecated, its files are not.
            module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
    except RuntimeError as broken:
        first = str(broken).strip().splitlines()[0]
        raise ModelDamaged(
            f"{path.name} is no TorchScript file ({first}). Export it again."
        ) from None
    return TorchNetwork([module], Plan(manifest.input, manifest.output), loading, {})
