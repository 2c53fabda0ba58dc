"""From a training checkpoint to a model folder: weights, ``model.json``, card and curves.

``python -m inference.export RUN [RUN ...] --version 1.2.0 --threshold 0.5`` writes the folder of
the default model; with ``--after FOLDER`` the phases that made that model's weights, and their
curves, stay in the record before the new ones. The weights keep their batch normalisation (so that
training can go on from them); the OpenVINO graph folds it away when it is built.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from fixtures.phantom import GENERATOR_VERSION
from inference.foveal import Architecture, FovealNet
from inference.model_folder import DEFAULT_MODEL, sha256_of

INTENDED_USE = "demonstration model, trained on synthetic phantoms, not for diagnosis"
MIN_SHORT_AXIS_MM = 4.5
CURVES = ("loss", "validation", "validation_loss")
"""What a training leaves as CSV; the last is missing of phases from before it was watched."""


def trainable_weights(net: FovealNet) -> dict[str, Tensor]:
    """Return the network's weights and running statistics by name, as float32."""
    return {
        name: value.detach().float().contiguous()
        for name, value in net.state_dict().items()
        if value.dtype.is_floating_point
    }


def describe(
    folder: Path,
    *,
    version: str,
    training: dict[str, Any],
    threshold: float,
    second_look: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Write ``model.json`` for the files that lie in the folder and return its content."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and p.name != "model.json")
    content: dict[str, Any] = {
        "id": "foveal-ln-ct",
        "name": "Concord foveal LN-CT",
        "version": version,
        "kind": "foveal",
        "licence": "same as the application; synthetic training data, no patient data",
        "intended_use": INTENDED_USE,
        "modality": "CT",
        "region": "head and neck, shoulders to skull base",
        "architecture": asdict(Architecture()),
        "input": {
            "axes": "(slices, rows, columns), caudal to cranial, anterior to posterior, "
            "right to left",
            "unit": "HU",
            "spacing_mm": [1.0, 1.0, 1.0],
            "window_hu": [-250.0, 350.0],
            "scale_hu": 200.0,
            "mirrored": True,
        },
        "output": {
            "labels": {"1": "lymph node"},
            "activation": "sigmoid",
            "threshold": threshold,
            "connectivity": 26,
            "min_short_axis_mm": MIN_SHORT_AXIS_MM,
            "second_look": second_look,
        },
        "training": training,
        "files": {path.name: sha256_of(path) for path in files},
    }
    (folder / "model.json").write_text(json.dumps(content, indent=2) + "\n")
    return content


def export(
    runs: Sequence[Path],
    folder: Path,
    *,
    version: str,
    threshold: float,
    commands: Sequence[str],
    code: str,
    after: Path | None = None,
) -> dict[str, Any]:
    """Write the model folder from finished training runs and return ``model.json``'s content.

    Args:
        runs: the folders of the training's phases, in order; the last one's weights are taken.
        folder: the model folder; its card must be there already to be listed.
        version: of the model that is written.
        threshold: probability above which a voxel is node, chosen on validation phantoms.
        commands: the command lines that trained the phases, in order.
        code: the revision of the training code.
        after: the model folder whose weights the first of the runs began with.
    """
    before = json.loads((after / "model.json").read_text())["training"] if after else {}
    earlier = [
        _made_with(p, before.get("generator_version"), before.get("code"))
        for p in before.get("phases", [])
    ]
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, len(earlier) + 1):
        for curve in CURVES:
            kept = after and after / f"{curve}-{number}.csv"
            if kept and kept.exists() and kept.resolve() != (folder / kept.name).resolve():
                shutil.copyfile(kept, folder / kept.name)
    net = FovealNet()
    net.load_state_dict(torch.load(runs[-1] / "checkpoint.pt", weights_only=True)["average"])
    save_file(trainable_weights(net), folder / "weights.safetensors")
    records = [json.loads((run / "record.json").read_text()) for run in runs]
    phases = [_made_with(record, GENERATOR_VERSION, code) for record in records]
    for number, run in enumerate(runs, len(earlier) + 1):
        for curve in CURVES:
            if (run / f"{curve}.csv").exists():
                shutil.copyfile(run / f"{curve}.csv", folder / f"{curve}-{number}.csv")
    training = {
        "commands": [*before.get("commands", []), *commands],
        "code": code,
        "generator_version": GENERATOR_VERSION,
        "python": platform.python_version(),
        "validation_seeds": phases[-1]["validation_seeds"],
        "phases": [*earlier, *phases],
    }
    return describe(folder, version=version, training=training, threshold=threshold)


def _made_with(phase: dict[str, Any], generator: str | None, code: str | None) -> dict[str, Any]:
    """Return a phase that says itself what it ran on: the next one may run on something newer."""
    return {"generator_version": generator, "code": code, **phase}


def main() -> None:
    """Export the runs named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m inference.export", description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="OUT folders of the phases, in order")
    parser.add_argument("--folder", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--version", required=True, help="of the model that is written")
    parser.add_argument("--threshold", type=float, required=True)
    parser.add_argument("--command", action="append", default=[], help="how a phase was trained")
    parser.add_argument("--code", default="unknown", help="revision of the training code")
    parser.add_argument("--after", type=Path, help="model folder whose weights it began with")
    chosen = parser.parse_args()
    export(
        chosen.runs,
        chosen.folder,
        version=chosen.version,
        threshold=chosen.threshold,
        commands=chosen.command,
        code=chosen.code,
        after=chosen.after,
    )


if __name__ == "__main__":
    main()
