"""The training loop: patches, loss, schedule, averaged weights, validation, checkpoints."""

from __future__ import annotations

import copy
import csv
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage as ndi
from torch import Tensor

from inference.foveal import FovealNet
from inference.scoring import ScanScore, summarise

from .measuring import (
    SMALLEST_MM,
    channels_last,
    loss_of,
    normalise,
    predict,
    score_probability,
    worth,
)
from .sampling import PatchSampler
from .volumes import Volume, read_volume, written_seeds

FINAL_THRESHOLDS = (0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8)

WATCHED_PATCHES = 8
"""Patches of the validation volumes on which the loss is watched."""

TOLD = (
    *("scans", "nodes", "recall", "recall_5mm", "recall_10mm", "recall_15mm"),
    *("false_positives", "dice"),
)
"""The figures that go with a point of the validation curve."""

Told: TypeAlias = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Plan:
    """Everything a training run is determined by, apart from the speed of the machine.

    ``minutes`` and ``validate_minutes`` are processor time of all threads.
    """

    minutes: float
    seed: int = 0
    batch: int = 4
    patch: tuple[int, int, int] = (48, 64, 64)
    peak_rate: float = 3e-3
    weight_decay: float = 1e-4
    warm_up_steps: int = 50
    positive_weight: float = 3.0
    averaging: float = 0.997
    mine_every: int = 40
    validate_minutes: float = 5.0
    threads: int = 2


def learning_rate(plan: Plan, step: int, elapsed_share: float) -> float:
    """Return the rate: a short warm-up, then a cosine over the run's budget."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, elapsed_share)))
    return plan.peak_rate * min(1.0, (step + 1) / plan.warm_up_steps) * (cosine + 0.005)


def _silent(point: dict[str, Any]) -> None:
    """Tell nobody."""


class Trainer:
    """One training run, which can be resumed from its own checkpoint or start from another's.

    ``told`` is called with every point of the curves: curve, step, seconds, loss, figures.
    """

    def __init__(
        self, plan: Plan, volumes: Path, validation: Path, out: Path, told: Told = _silent
    ) -> None:
        self.plan = plan
        self.out = out
        self.told = told
        out.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(plan.seed)
        torch.set_num_threads(plan.threads)
        self.sampler = PatchSampler(volumes, plan.seed, plan.patch)
        self.validation = [read_volume(validation, s) for s in written_seeds(validation)]
        self.net = channels_last(FovealNet())
        self.average = copy.deepcopy(self.net)
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), lr=plan.peak_rate, weight_decay=plan.weight_decay
        )
        self.step = 0
        self.spent_s = 0.0
        self.smooth_loss: float | None = None
        self._watched: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        if self.validation:
            watcher = PatchSampler(validation, plan.seed, plan.patch)
            self._watched = [watcher.patch(augmented=False) for _ in range(WATCHED_PATCHES)]

    def start_from(self, checkpoint: Path) -> None:
        """Take over weights only, for a new schedule."""
        state = torch.load(checkpoint, weights_only=True)
        self.net.load_state_dict(state["average"])
        self.average.load_state_dict(state["average"])

    def start_from_weights(self, weights: dict[str, Tensor]) -> None:
        """Take over the weights of a model folder (`inference.export.trainable_weights`)."""
        for net in (self.net, self.average):
            missing, unknown = net.load_state_dict(weights, strict=False)
            if unknown or any(not name.endswith("num_batches_tracked") for name in missing):
                raise ValueError(f"These are the weights of another network: {missing} {unknown}.")

    def resume(self) -> None:
        """Go on where this run's checkpoint stopped."""
        state = torch.load(self.out / "checkpoint.pt", weights_only=True)
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.spent_s = state["step"], state["spent_s"]
        self.smooth_loss = state.get("smooth_loss")  # Older checkpoints have none.
        for curve in ("loss", "validation", "validation_loss"):
            _cut(self.out / f"{curve}.csv", self.step)

    def save(self) -> None:
        """Write the checkpoint; a crash while writing leaves the one before."""
        state = {
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "spent_s": self.spent_s,
            "smooth_loss": self.smooth_loss,
        }
        partial = self.out / "checkpoint.partial"
        torch.save(state, partial)
        partial.replace(self.out / "checkpoint.pt")

    def run(self) -> None:
        """Train until the budget of processor time is spent, then validate and save.

        Processor time, not the clock: a run that is stopped for a while or shares its cores keeps
        its schedule.
        """
        budget_s = self.plan.minutes * 60
        started = time.process_time() - self.spent_s
        next_validation_s = self.spent_s + self.plan.validate_minutes * 60
        while self.spent_s < budget_s:
            self._one_step(self.spent_s / budget_s)
            self.spent_s = time.process_time() - started
            if self.step % self.plan.mine_every == 0:
                self.sampler.refresh()
                self._mine()
                self._log_step()
            if self.spent_s > next_validation_s:
                self._validate(self.validation[:3], (0.5, 0.6))
                self.save()
                self._write_record()
                next_validation_s = self.spent_s + self.plan.validate_minutes * 60
        self.save()
        self._write_record()
        self._validate(self.validation, FINAL_THRESHOLDS)

    def _one_step(self, elapsed_share: float) -> None:
        plan = self.plan
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(plan, self.step, elapsed_share)
        patches = [self.sampler.patch() for _ in range(plan.batch)]
        image = torch.from_numpy(np.stack([p[0] for p in patches]))[:, None]
        truth = torch.from_numpy(np.stack([p[1] for p in patches]))[:, None]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = self.net(normalise(image).contiguous(memory_format=torch.channels_last_3d))
        loss = loss_of(logits.float(), truth, plan.positive_weight)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimiser.step()
        self.step += 1
        self._update_average()
        value = loss.item()
        before = self.smooth_loss
        self.smooth_loss = value if before is None else 0.98 * before + 0.02 * value

    def _update_average(self) -> None:
        """Move the averaged weights and running statistics towards the current ones."""
        keep = min(self.plan.averaging, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            current = self.net.state_dict()
            for name, value in self.average.state_dict().items():
                if value.dtype.is_floating_point:
                    value.lerp_(current[name], 1 - keep)
                else:
                    value.copy_(current[name])

    def _mine(self) -> None:
        """Look at one volume and remember where the network is wrong."""
        volume = self.sampler.any_volume()
        probability = predict(self.net, np.asarray(volume.image))
        score, predicted = score_probability(probability, volume, 0.5)
        points: list[tuple[int, int, int]] = []
        boxes = ndi.find_objects(predicted)
        for label in score.false_labels:
            z, y, x = ((part.start + part.stop) // 2 for part in boxes[label - 1])
            points.append((z, y, x))
        for scored, node in zip(score.nodes, volume.nodes, strict=True):
            if not scored.localised and scored.short_axis_mm >= SMALLEST_MM:
                z, y, x = (int(c) for c in node["centre_mm"])
                points.append((z, y, x))
        self.sampler.remember(volume.seed, points)

    def _log_step(self) -> None:
        row = {
            "step": self.step,
            "seconds": round(self.spent_s, 1),
            "loss": round(self.smooth_loss or 0.0, 4),
            "rate": f"{self.optimiser.param_groups[0]['lr']:.2e}",
            "volumes": len(self.sampler.entries),
        }
        _append(self.out / "loss.csv", row)
        point = {"curve": "training", "step": self.step, "seconds": row["seconds"]}
        self.told({**point, "loss": row["loss"]})

    def _validate(self, volumes: list[Volume], thresholds: Sequence[float]) -> None:
        """Add one row per threshold: the averaged weights on phantoms never trained on."""
        scores: dict[float, list[ScanScore]] = {threshold: [] for threshold in thresholds}
        if not volumes:
            return
        loss = self._validation_loss()
        for volume in volumes:
            probability = predict(self.average, np.asarray(volume.image))
            for threshold in thresholds:
                scores[threshold].append(score_probability(probability, volume, threshold)[0])
        for threshold in thresholds:
            row: dict[str, Any] = {
                "step": self.step,
                "seconds": round(self.spent_s, 1),
                "threshold": threshold,
            }
            for name, value in summarise(scores[threshold]).items():
                row[name] = None if value is None else round(value, 4)
            _append(self.out / "validation.csv", row)
        spent = round(self.spent_s, 1)
        _append(
            self.out / "validation_loss.csv", {"step": self.step, "seconds": spent, "loss": loss}
        )
        best = max(scores, key=lambda t: worth(summarise(scores[t])))
        figures = {
            name: None if value is None else round(value, 4)
            for name, value in summarise(scores[best]).items()
            if name in TOLD
        }
        point = {"curve": "validation", "step": self.step, "seconds": spent, "loss": loss}
        self.told({**point, "figures": {"threshold": best, **figures}})

    def _validation_loss(self) -> float:
        """Return the loss of the averaged weights on patches that stay the same to the end."""
        self.average.eval()
        losses = []
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            for image, truth in self._watched:
                shown = normalise(torch.from_numpy(image)[None, None])
                logits = self.average(shown.contiguous(memory_format=torch.channels_last_3d))
                wanted = torch.from_numpy(truth)[None, None]
                losses.append(loss_of(logits.float(), wanted, self.plan.positive_weight).item())
        self.average.train()
        return round(float(np.mean(losses)), 4)

    def _write_record(self) -> None:
        record = {
            "plan": asdict(self.plan),
            "steps": self.step,
            "seconds": round(self.spent_s, 1),
            "training_seeds": list(self.sampler.entries),
            "validation_seeds": [volume.seed for volume in self.validation],
            "torch": torch.__version__,
        }
        (self.out / "record.json").write_text(json.dumps(record, indent=2))


def _cut(path: Path, step: int) -> None:
    """Leave out of a CSV file what was written after the checkpoint of that step."""
    if not path.exists():
        return
    head, *rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join([head, *(row for row in rows if int(row.split(",")[0]) <= step)]))


def _append(path: Path, row: dict[str, Any]) -> None:
    """Add a row to a CSV file, with a header where the file is new."""
    fresh = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(row))
        if fresh:
            writer.writeheader()
        writer.writerow(row)
