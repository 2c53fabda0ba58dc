"""``python -m inference.training.from_release FOLDER``: train the next version of a model.

FOLDER holds ``plan.json`` (settings, cases with their split, the parent's model.json and, where
they are at hand, its weights) and ``raw/`` with the fetched cases (`inference.training.cases`). It
is left with ``out/`` (checkpoint, curves) and ``model/`` (weights and model.json). Begun again, it
goes on from its checkpoint. ``--evaluate`` measures the finished model on the people held out,
through the worker's pipeline. What happens is told on standard output, a JSON object a line:
``stage`` and ``fraction``, ``point`` (of a curve), ``result``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import threading
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file, save_file

from backend.version import VERSION
from inference.body import NoBody
from inference.export import trainable_weights
from inference.foveal_openvino import FovealOpenVINO
from inference.model_folder import read_model, sha256_of
from inference.pipeline import segment
from inference.scoring import ScanScore, score_scan, summarise

from .cases import Fetched, read_fetched, write_for_training
from .measuring import without_ignored, worth
from .trainer import Plan, Trainer

PATCH = (48, 64, 64)
BATCH = 2
PEAK_RATE = {"parent": 1e-3, "nothing": 3e-3}
"""Weights that know nodes already are moved more gently."""

LOWEST_PRIORITY = 19
"""A training gives way to everything else on its machine."""

VALIDATIONS = 12
"""How often the validation people are looked at in the course of a training."""

MOST_STEPS_UNTOLD = 40
EITHER_SIDE = (0.8, 1.0, 1.25)
"""Voxel thresholds to choose from, as multiples of the parent's."""


def tell(**said: Any) -> None:
    """Say something to who started this process."""
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def plan_of(settings: dict[str, Any], began: str) -> Plan:
    """Return the plan of a training of so many minutes; a short one is told in more detail."""
    minutes = float(settings["minutes"])
    return Plan(
        minutes=minutes,
        seed=int(settings["seed"]),
        batch=BATCH,
        patch=PATCH,
        peak_rate=PEAK_RATE[began],
        mine_every=int(np.clip(2 * minutes, 2, MOST_STEPS_UNTOLD)),
        validate_minutes=minutes / VALIDATIONS,
        threads=int(settings["threads"]),
    )


def train(folder: Path) -> dict[str, Any]:
    """Prepare, train, choose the threshold, write ``model/``; return the run's result."""
    asked = json.loads((folder / "plan.json").read_text())
    raw, out = folder / "raw", folder / "out"
    cases = [one for one in asked["cases"] if one["split"] in ("train", "validation")]
    for number, one in enumerate(cases, 1):
        tell(stage="prepare", fraction=(number - 1) / len(cases))
        write_for_training(raw, one["case"], folder / one["split"], number, PATCH)
    (folder / "validation").mkdir(exist_ok=True)
    parent = Path(asked["parent"]) if asked["parent"] else None
    began = "parent" if parent else "nothing"
    plan = plan_of(asked["plan"], began)

    def told(point: dict[str, Any]) -> None:
        tell(point=point)
        tell(stage="train", fraction=point["seconds"] / (60 * plan.minutes))

    trainer = Trainer(plan, folder / "train", folder / "validation", out, told)
    if (out / "checkpoint.pt").exists():
        trainer.resume()
    elif parent is not None:
        trainer.start_from_weights(load_file(parent / "weights.safetensors"))
    tell(point={"curve": "resumed", "step": trainer.step})
    tell(stage="train", fraction=trainer.spent_s / (60 * plan.minutes))
    trainer.run()
    model = folder / "model"
    model.mkdir(exist_ok=True)
    save_file(trainable_weights(trainer.average), model / "weights.safetensors")
    looks: list[dict[str, Any]] = [{}, {"second_look": None}] if parent else [{"second_look": None}]
    watched = [one["case"] for one in cases if one["split"] == "validation"]
    output, validation = _choose(model, asked["manifest"], looks, raw, watched, plan.threads)
    _describe(model, asked["manifest"], output)
    return {
        "output": output,
        "validation": validation,
        "held_out": {},
        "people": len(cases),
        "steps": trainer.step,
        "seconds": round(trainer.spent_s, 1),
        "started_from": began,
        "software": {
            "concord": VERSION,
            "python": platform.python_version(),
            "torch": version("torch"),
        },
    }


def _choose(
    model: Path,
    manifest: dict[str, Any],
    looks: Sequence[dict[str, Any]],
    raw: Path,
    watched: Sequence[str],
    threads: int,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what of model.json's output is best on the validation people, and the figures there.

    The first of ``looks`` (the parent's second look, where its weights were the beginning) and
    the parent's threshold are taken where nobody is to choose by, and where nothing is better.
    """
    usual = float(manifest["output"]["threshold"])
    if not watched:
        return {**looks[0], "threshold": usual}, {}
    fetched = [read_fetched(raw, case) for case in watched]
    best: dict[str, Any] = {}
    figures: dict[str, Any] = {}
    for look in looks:
        for share in sorted(EITHER_SIDE, key=lambda share: abs(share - 1)):
            threshold = round(float(np.clip(share * usual, 0.05, 0.95)), 4)
            output = {**look, "threshold": threshold}
            _describe(model, manifest, output)
            measured = measure(model, fetched, threads)
            if not best or worth(measured) > worth(figures):
                best, figures = output, measured
    return best, figures


def measure(model: Path, cases: Sequence[Fetched], threads: int) -> dict[str, Any]:
    """Return the figures of a model folder on cases, through the worker's own pipeline."""
    net = FovealOpenVINO(read_model(model), threads=threads)
    return summarise([_score(net, case) for case in cases])


def _score(net: FovealOpenVINO, case: Fetched) -> ScanScore:
    try:
        found = segment(case.image, case.spacing_mm, net).labels
    except NoBody:
        found = np.zeros(case.image.shape, np.uint16)
    if case.ignored is not None:
        found = without_ignored(found, case.ignored)
    return score_scan(found, case.labels, case.nodes, case.spacing_mm)


def evaluate(folder: Path) -> dict[str, Any]:
    """Return the figures of ``model/`` on the people held out; {} where nobody is."""
    asked = json.loads((folder / "plan.json").read_text())
    held = [one["case"] for one in asked["cases"] if one["split"] == "locked_test"]
    net = FovealOpenVINO(read_model(folder / "model"), threads=int(asked["plan"]["threads"]))
    scores = []
    for number, case in enumerate(held):
        tell(stage="evaluate", fraction=number / len(held))
        scores.append(_score(net, read_fetched(folder / "raw", case)))
    return summarise(scores) if scores else {}


def _describe(model: Path, manifest: dict[str, Any], output: dict[str, Any]) -> None:
    """Write model.json for the weights as they are now."""
    files = {"weights.safetensors": sha256_of(model / "weights.safetensors")}
    content = {**manifest, "output": {**manifest["output"], **output}, "files": files}
    (model / "model.json").write_text(json.dumps(content))


def _end_with_worker() -> None:
    """Wait for the end of standard input: who started this process is gone, so it goes too."""
    while os.read(0, 1 << 16):
        pass
    os._exit(1)


def main(arguments: Sequence[str]) -> None:
    """Train, or evaluate, as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m inference.training.from_release")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--evaluate", action="store_true")
    chosen = parser.parse_args(arguments)
    os.nice(LOWEST_PRIORITY)
    threading.Thread(target=_end_with_worker, daemon=True).start()
    tell(result=evaluate(chosen.folder) if chosen.evaluate else train(chosen.folder))


if __name__ == "__main__":
    main(sys.argv[1:])
