"""Which loader reads which kind of model folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from backend.jobs.manifest import read_manifest
from backend.jobs.model_description import ModelDamaged
from backend.jobs.model_rules import Manifest
from inference.adapters import Loading
from inference.engine import Network

CURES = {
    "torch": "pip install torch==2.13.0",
    "monai": "pip install monai==1.6.1",
    "dynamic_network_architectures": "pip install --no-deps --requirement requirements-nnunet.txt",
}


def load_network(folder: Path, loading: Loading) -> Network:
    """The network of a model folder; raises `ModelDamaged` with the cure."""
    manifest = read_manifest(json.loads((folder / "model.json").read_text()))
    try:
        return _loader(manifest.kind)(folder, manifest, loading)
    except ModuleNotFoundError as missing:
        package = (missing.name or "").split(".")[0]
        if package not in CURES:
            raise
        raise ModelDamaged(
            f"This worker cannot run models of kind {manifest.kind}: {package} is not installed. "
            f"Install it there: {CURES[package]}"
        ) from None


def import_runtime(kind: str) -> None:
    """Import what the kind needs, before anything of a model is read."""
    if kind in ("torchscript", "monai-bundle", "nnunet"):
        _loader(kind)
    if kind == "monai-bundle":
        import monai.bundle
        import monai.networks.nets  # noqa: F401


def _loader(kind: str) -> Callable[[Path, Manifest, Loading], Network]:
    if kind == "torchscript":
        from inference.runtimes.torchscript import load_torchscript

        return load_torchscript
    if kind == "monai-bundle":
        from inference.runtimes.monai_bundle import load_bundle

        return load_bundle
    from inference.runtimes.nnunet import load_nnunet

    return load_nnunet
