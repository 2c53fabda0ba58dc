"""An nnU-Net v2 results folder: plans.json, dataset.json, fold_*/checkpoint_final.pth.

The network is built by nnU-Net's own package of architectures; nnunetv2 itself is not needed, so
neither is what it brings along. The checkpoint is read as weights alone. Preprocessing follows the
plans: axes, spacing, cubic splines, normalisation, windows. Mirroring at test time is off.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from dynamic_network_architectures.architectures import unet
from numpy._core import multiarray
from torch import nn

from backend.jobs.model_description import ModelDamaged
from backend.jobs.model_rules import InputRule, Manifest, Normalisation
from inference.adapters import Loading
from inference.engine import CANONICAL, Plan
from inference.runtimes.torch_network import TorchNetwork, load_weights, put_weights

CHECKPOINT = "checkpoint_final.pth"
NETWORKS = {
    f"dynamic_network_architectures.architectures.unet.{name}": getattr(unet, name)
    for name in ("PlainConvUNet", "ResidualEncoderUNet", "ResidualUNet")
    if hasattr(unet, name)
}
PARTS = {
    f"torch.nn.modules.{module}.{name}": getattr(nn, name)
    for module, name in (
        *(("conv", "Conv3d"), ("instancenorm", "InstanceNorm3d"), ("batchnorm", "BatchNorm3d")),
        *(("activation", "LeakyReLU"), ("activation", "ReLU"), ("dropout", "Dropout3d")),
    )
}
PARTS |= {f"torch.nn.{path.rpartition('.')[2]}": part for path, part in PARTS.items()}
# nnU-Net's checkpoints carry its logged losses: numbers of NumPy, which are data.
NUMBERS = (
    *(np.dtype, np.ndarray, multiarray.scalar, multiarray._reconstruct),
    *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "u1", "?")),
)


def load_nnunet(folder: Path, manifest: Manifest, loading: Loading) -> TorchNetwork:
    """The network of a results folder; raises `ModelDamaged`."""
    plans, dataset = (_json(folder, name) for name in ("plans.json", "dataset.json"))
    paths = sorted(folder.glob(f"fold_*/{CHECKPOINT}"))
    if not paths:
        raise ModelDamaged(f"{folder.name} has no fold_*/{CHECKPOINT}. Copy a trained fold there.")
    checkpoints = [load_weights(path, NUMBERS) for path in paths]
    try:
        configuration = str(checkpoints[0]["init_args"]["configuration"])
        chosen = _configuration(plans, configuration)
        labels = _labels(dataset)
        modules = [_network(chosen, dataset, labels) for _ in paths]
        plan = _plan(plans, chosen, labels, manifest)
    except (KeyError, TypeError) as missing:
        raise ModelDamaged(
            f"The plans of {folder.name} lack {missing}. Train it with nnU-Net 2.4 or later, or "
            "copy plans.json and dataset.json of the results folder again."
        ) from None
    for module, checkpoint, path in zip(modules, checkpoints, paths, strict=True):
        put_weights(module, checkpoint["network_weights"], path)
    about = {
        "configuration": configuration,
        "folds": [path.parent.name for path in paths],
        "mirroring": False,
    }
    return TorchNetwork(modules, plan, loading, about)


def _json(folder: Path, name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / name).read_text())
    except (OSError, ValueError) as error:
        raise ModelDamaged(f"{name} of {folder.name} cannot be read ({error}).") from None
    return found


def _configuration(plans: dict[str, Any], name: str) -> dict[str, Any]:
    """A configuration with what it inherits."""
    chosen = dict(plans["configurations"][name])
    while parent := chosen.pop("inherits_from", None):
        chosen = {**plans["configurations"][parent], **chosen}
    if len(chosen["patch_size"]) != 3:
        raise ModelDamaged(f"The configuration {name} is two-dimensional. Install a 3-D one.")
    return chosen


def _labels(dataset: dict[str, Any]) -> dict[int, str]:
    """Number → name, without background."""
    if len(dataset["channel_names"]) != 1:
        raise ModelDamaged(
            "The nnU-Net wants several images. Install one that was trained on CT alone."
        )
    labels = dataset["labels"]
    if any(isinstance(number, list) for number in labels.values()):
        raise ModelDamaged(
            "The nnU-Net was trained on regions that overlap. Install one trained on labels."
        )
    return {int(n): name for name, n in labels.items() if int(n) and name != "ignore"}


def _network(chosen: dict[str, Any], dataset: dict[str, Any], labels: dict[int, str]) -> Any:
    asked = chosen["architecture"]
    name = asked["network_class_name"]
    if name not in NETWORKS:
        raise ModelDamaged(
            f"plans.json names the network {name}, which is not among those that may be built: "
            f"{', '.join(sorted(NETWORKS))}."
        )
    arguments = dict(asked["arch_kwargs"])
    for key in asked["_kw_requires_import"]:
        wanted = arguments[key]
        if wanted is not None and wanted not in PARTS:
            raise ModelDamaged(f"plans.json: {key} names {wanted}, which may not be built.")
        arguments[key] = PARTS.get(wanted)
    return NETWORKS[name](
        input_channels=1, num_classes=len(labels) + 1, deep_supervision=False, **arguments
    )


def _plan(
    plans: dict[str, Any], chosen: dict[str, Any], labels: dict[int, str], manifest: Manifest
) -> Plan:
    strides = np.prod(np.array(chosen["architecture"]["arch_kwargs"]["strides"]), axis=0)
    z, y, x = chosen["spacing"]
    d, h, w = chosen["patch_size"]
    window, normalise = _normalisation(plans, chosen)
    rule = InputRule(
        axes="".join(CANONICAL[axis] for axis in plans["transpose_forward"]),
        spacing_mm=(float(z), float(y), float(x)),
        window_hu=window,
        normalise=normalise,
        patch=(int(d), int(h), int(w)),
        overlap=manifest.input.overlap,
        multiple=int(strides.max()),
        crop=manifest.input.crop,
    )
    nodes = manifest.output.nodes or tuple(sorted(labels))
    if not set(nodes) <= set(labels):
        raise ModelDamaged(f"model.json: output.nodes {nodes} are not labels of dataset.json.")
    output = replace(manifest.output, labels=labels, nodes=nodes, activation="softmax")
    return Plan(rule, output, interpolation="cubic")


def _normalisation(
    plans: dict[str, Any], chosen: dict[str, Any]
) -> tuple[tuple[float, float] | None, Normalisation | None]:
    (scheme,) = chosen["normalization_schemes"]
    if any(chosen.get("use_mask_for_norm", [])):
        raise ModelDamaged(
            "The nnU-Net normalises inside a mask, as for brain MR. Install a CT one."
        )
    if scheme == "CTNormalization":
        known = plans["foreground_intensity_properties_per_channel"]["0"]
        window = (float(known["percentile_00_5"]), float(known["percentile_99_5"]))
        return window, Normalisation(mean_std=(float(known["mean"]), float(known["std"])))
    if scheme == "ZScoreNormalization":
        return None, Normalisation(zscore=True)
    if scheme == "NoNormalization":
        return None, None
    raise ModelDamaged(f"The nnU-Net's normalisation {scheme} is not known here.")
