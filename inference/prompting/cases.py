"""Phantoms to learn clicks from: `python -m inference.prompting.cases FOLDER` writes some.

They are in other spacings than those of `inference.training.volumes`, whose folders can be read as
well. None of them may be one that the default model was trained on, whose opinion of those is too
good, or one of the benchmark.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from fixtures.phantom import generate
from inference.training.volumes import write_phantom

SEEN_MM = 45.0
PREPARED_SEEDS = range(41_000, 41_096)
PREPARED_SPACINGS_MM = ((1.5, 0.8, 0.8), (1.0, 1.0, 1.0), (2.5, 0.7, 0.7))


@dataclass(frozen=True)
class Case:
    """One phantom: image, instance map, spacing, and the nodes to click (label, short axis)."""

    seed: int
    image: NDArray[np.int16]
    labels: NDArray[Any]
    spacing_mm: tuple[float, float, float]
    nodes: tuple[tuple[int, float], ...]

    def around(self, label: int) -> Case | None:
        """The part of the phantom that a prompt on this node can see; None where no voxel is."""
        found = ndi.find_objects((self.labels == label).astype(np.uint8))
        if not found:
            return None
        window = tuple(
            slice(max(0, int(part.start - SEEN_MM / s)), int(part.stop + SEEN_MM / s))
            for part, s in zip(found[0], self.spacing_mm, strict=True)
        )
        return replace(self, image=self.image[window], labels=self.labels[window])


def prepare(folder: Path) -> None:
    """Write the phantoms of `PREPARED_SEEDS`: spacings in turn, more metastases on odd seeds."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(PREPARED_SEEDS):
        if (folder / f"{seed}.json").exists():
            continue
        spacing_mm = PREPARED_SPACINGS_MM[number % len(PREPARED_SPACINGS_MM)]
        odd = number % 2
        phantom = (
            generate(seed, spacing_mm, metastatic_share=0.4) if odd else generate(seed, spacing_mm)
        )
        write_phantom(folder, phantom)


def read_cases(folder: Path) -> Iterator[Case]:
    """The phantoms of a folder, as `inference.training.volumes` or `prepare` wrote them."""
    for described in sorted(folder.glob("*.json")):
        content = json.loads(described.read_text())
        seed = int(described.stem)
        spacing = content.get("spacing_mm", [1.0, 1.0, 1.0])
        yield Case(
            seed,
            np.load(folder / f"{seed}.image.npy", mmap_mode="r"),
            np.load(folder / f"{seed}.labels.npy", mmap_mode="r"),
            (spacing[0], spacing[1], spacing[2]),
            tuple((n["label"], n["short_axis_mm"]) for n in content["nodes"]),
        )


def apart(cases: Sequence[Case], seeds: Collection[int]) -> tuple[list[Case], list[Case]]:
    """The cases to learn from, and those of `seeds`, on which choices are made.

    Raises:
        ValueError: a seed is no case's.
    """
    if missing := sorted(set(seeds) - {case.seed for case in cases}):
        raise ValueError(
            f"No phantom here has the seeds {missing}. Write them, or set apart others."
        )
    return (
        [case for case in cases if case.seed not in seeds],
        [case for case in cases if case.seed in seeds],
    )


if __name__ == "__main__":
    prepare(Path(sys.argv[1]))
