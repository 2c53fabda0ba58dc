"""Training volumes: phantoms written once to a folder, read back as memory maps.

``python -m inference.training.volumes FOLDER FIRST_SEED COUNT`` fills a folder; the trainer may
start as soon as the first volumes are there and takes up new ones as they appear.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fixtures.phantom import Phantom, generate


@dataclass(frozen=True)
class Volume:
    """One 1 mm volume: int16 HU, uint8 instance map (slices, rows, columns), its node list.

    ``ignored`` is where readers left undecided whether there is a node; no phantom has that.
    """

    seed: int
    image: NDArray[np.int16]
    labels: NDArray[np.uint8]
    nodes: list[dict[str, Any]]
    settings: dict[str, Any]
    ignored: NDArray[np.bool_] | None = None


def write_volume(folder: Path, seed: int) -> None:
    """Generate the phantom of this seed; the JSON file is written last and marks it complete."""
    if not (folder / f"{seed}.json").exists():
        write_phantom(folder, generate(seed))


def write_phantom(folder: Path, phantom: Phantom) -> None:
    """Write a phantom that is there already, its JSON file last."""
    seed = phantom.seed
    if len(phantom.nodes) > 255:
        raise ValueError(f"Phantom {seed} has more than 255 nodes; labels are stored as uint8.")
    np.save(folder / f"{seed}.image.npy", phantom.image)
    np.save(folder / f"{seed}.labels.npy", phantom.labels.astype(np.uint8))
    content = {
        "nodes": [asdict(node) for node in phantom.nodes],
        "settings": phantom.settings,
        "spacing_mm": phantom.spacing_mm,
    }
    (folder / f"{seed}.json").write_text(json.dumps(content))


def read_volume(folder: Path, seed: int) -> Volume:
    """Open a written volume; the arrays stay on disk until they are touched."""
    content = json.loads((folder / f"{seed}.json").read_text())
    ignored = folder / f"{seed}.ignored.npy"
    return Volume(
        seed=seed,
        image=np.load(folder / f"{seed}.image.npy", mmap_mode="r"),
        labels=np.load(folder / f"{seed}.labels.npy", mmap_mode="r"),
        nodes=content["nodes"],
        settings=content["settings"],
        ignored=np.load(ignored, mmap_mode="r") if ignored.exists() else None,
    )


def written_seeds(folder: Path) -> list[int]:
    """Return the seeds of the complete volumes in the folder, ascending."""
    return sorted(int(path.stem) for path in folder.glob("*.json"))


def main(arguments: list[str]) -> None:
    """Write COUNT volumes from FIRST_SEED on into FOLDER."""
    folder, first, count = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + count):
        write_volume(folder, seed)


if __name__ == "__main__":
    main(sys.argv[1:])
