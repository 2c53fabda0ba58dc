"""``python -m inference train LN-CT``: train the default model on phantoms, for a given time.

``python -m inference.training`` is the same. The phantoms are generated in a process of their own
while training already runs. OUT holds ``checkpoint.pt`` (go on from it with ``--resume``, or begin
another run from it, or from a model's folder, with ``--start-from``), ``loss.csv`` and
``validation.csv`` (the curves) and, in the end, ``record.json`` (plan, seeds, steps).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_file

from fixtures.freeze import RESERVED_SEEDS
from inference.foveal import MULTIPLE

from .trainer import Plan, Trainer
from .volumes import main as write_volumes
from .volumes import written_seeds

TRAINING_SEEDS = (400_000, 160)
VALIDATION_SEEDS = (21_000, 5)
"""First seed and number of phantoms; the seeds of `fixtures.freeze` are never used here."""

FIRST_VOLUMES = 4
"""Training starts when this many volumes exist."""


MODELS = ("LN-CT",)
"""What can be trained: the default model, lymph nodes in CT."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m inference train", description=__doc__)
    parser.add_argument("model", nargs="?", choices=MODELS, default=MODELS[0])
    parser.add_argument("--data", type=Path, required=True, help="folder for the phantoms")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint and curves")
    parser.add_argument("--minutes", type=float, default=25.0, help="training time, of all threads")
    parser.add_argument("--first-seed", type=int, default=TRAINING_SEEDS[0])
    parser.add_argument("--volumes", type=int, default=TRAINING_SEEDS[1])
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and sampling")
    parser.add_argument("--patch", type=int, nargs=3, default=(48, 64, 64), help="multiples of 16")
    parser.add_argument("--batch", type=int, default=4, help="patches per step")
    parser.add_argument("--peak-rate", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--start-from",
        type=Path,
        help="checkpoint.pt, or folder of a model, whose weights to begin with",
    )
    parser.add_argument("--resume", action="store_true", help="go on from OUT/checkpoint.pt")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Generate what is missing, train, and leave checkpoint, curves and record in OUT."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    asked = range(chosen.first_seed, chosen.first_seed + chosen.volumes)
    if set(asked) & set(RESERVED_SEEDS):
        parser.error(
            f"seeds {RESERVED_SEEDS.start} to {RESERVED_SEEDS.stop - 1} belong to frozen "
            "test sets: choose another --first-seed"
        )
    if any(side % MULTIPLE for side in chosen.patch):
        parser.error(f"every side of --patch must be a multiple of {MULTIPLE}")
    if chosen.resume and not (chosen.out / "checkpoint.pt").exists():
        parser.error(f"{chosen.out} holds no checkpoint.pt: leave out --resume to begin")
    training, validation = chosen.data / "train", chosen.data / "validation"
    write_volumes([str(validation), str(VALIDATION_SEEDS[0]), str(VALIDATION_SEEDS[1])])
    write_volumes([str(training), str(chosen.first_seed), str(min(FIRST_VOLUMES, chosen.volumes))])
    generator = None
    if len(written_seeds(training)) < chosen.volumes:
        command = [sys.executable, "-m", "inference.training.volumes", str(training)]
        generator = subprocess.Popen([*command, str(chosen.first_seed), str(chosen.volumes)])
    plan = Plan(
        minutes=chosen.minutes,
        seed=chosen.seed,
        batch=chosen.batch,
        patch=(chosen.patch[0], chosen.patch[1], chosen.patch[2]),
        peak_rate=chosen.peak_rate,
        threads=chosen.threads,
    )
    trainer = Trainer(plan, training, validation, chosen.out)
    if chosen.start_from and chosen.start_from.is_dir():
        trainer.start_from_weights(load_file(chosen.start_from / "weights.safetensors"))
    elif chosen.start_from:
        trainer.start_from(chosen.start_from)
    if chosen.resume:
        trainer.resume()
    try:
        trainer.run()
    finally:
        if generator is not None:
            generator.terminate()
            generator.wait()


if __name__ == "__main__":
    main()
