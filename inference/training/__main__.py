"""``python -m inference.training``: train the default model on phantoms, for a given time.

The phantoms are generated in a process of their own while training already runs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from .trainer import Plan, Trainer
from .volumes import main as write_volumes
from .volumes import written_seeds

TRAINING_SEEDS = (100_000, 140)
VALIDATION_SEEDS = (20_000, 6)
"""First seed and number of phantoms. Benchmark seeds (10 000 and up) are never used here."""

FIRST_VOLUMES = 8
"""Training starts when this many volumes exist."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m inference.training", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder for the phantoms")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint and curves")
    parser.add_argument("--minutes", type=float, default=25.0, help="training time, wall clock")
    parser.add_argument("--first-seed", type=int, default=TRAINING_SEEDS[0])
    parser.add_argument("--volumes", type=int, default=TRAINING_SEEDS[1])
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and sampling")
    parser.add_argument("--patch", type=int, nargs=3, default=(48, 64, 64), help="multiples of 16")
    parser.add_argument("--batch", type=int, default=4, help="patches per step")
    parser.add_argument("--peak-rate", type=float, default=3e-3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--start-from", type=Path, help="checkpoint whose weights to begin with")
    parser.add_argument("--resume", action="store_true", help="go on from OUT/checkpoint.pt")
    return parser.parse_args()


def main() -> None:
    """Generate what is missing, train, and leave checkpoint, curves and record in OUT."""
    chosen = _arguments()
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
    if chosen.start_from:
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
