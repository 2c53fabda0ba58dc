"""A model so simple that its answer is known: every voxel above a threshold is a node.

`python -m tests.jobs.threshold` is a real inference worker that can run it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.imaging.grid import Grid, Vector
from backend.imaging.nodes import components
from backend.jobs.protocol import volume_header
from inference.__main__ import main
from inference.adapters import Cancelled, Loading, Progress
from inference.judging import NodeProbability
from inference.pipeline import Segmentation

THRESHOLD_HU = 200
SHAPE = (24, 64, 64)
CENTRES = ((6, 20, 20), (12, 40, 30), (17, 20, 45))


def phantom() -> tuple[Grid, NDArray[np.int16]]:
    """A little volume in HU with three bright balls of radius 4 mm."""
    grid = Grid.axial(SHAPE, (1.5, 1.0, 1.0))
    z, y, x = np.indices(SHAPE)
    volume = np.full(SHAPE, 40, np.int16)
    for cz, cy, cx in CENTRES:
        inside = ((z - cz) * 1.5) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 <= 16
        volume[inside] = 300
    return grid, volume


def volume_bytes() -> bytes:
    """The phantom as the archive would send it: stored values are HU + 1024."""
    grid, volume = phantom()
    header = volume_header(grid.to_json(), [(1.0, -1024.0)] * SHAPE[0], {"modality": "CT"})
    return header + (volume + 1024).astype("<i2").tobytes()


def expected_labels() -> NDArray[np.uint16]:
    """What a threshold finds in the phantom."""
    return components(phantom()[1] > THRESHOLD_HU)


def write_model(root: Path, name: str = "threshold-test") -> Path:
    """A model folder with its hashes."""
    import hashlib

    folder = root / name
    folder.mkdir(parents=True)
    content = json.dumps({"threshold_hu": THRESHOLD_HU, "for": name}).encode()
    (folder / "threshold.json").write_bytes(content)
    manifest = {
        "id": name,
        "name": name,
        "version": "1",
        "kind": "threshold",
        "notice": "for tests",
        "weights": "threshold.json",
        "files": {"threshold.json": hashlib.sha256(content).hexdigest()},
    }
    (folder / "model.json").write_text(json.dumps(manifest))
    return folder


class ThresholdAdapter:
    """Thresholds, in the stages of a real model."""

    def __init__(self, folder: Path, loading: Loading) -> None:
        self.level = json.loads((folder / "threshold.json").read_text())["threshold_hu"]

    def segment(
        self,
        volume_hu: NDArray[np.int16],
        spacing_mm: Vector,
        *,
        progress: Progress,
        cancelled: Cancelled,
    ) -> Segmentation:
        progress("preprocess", 0.5)
        if volume_hu.min() < -2000:
            raise ValueError("There is no body in this series.")
        for step in range(4):
            progress("infer", step / 4)
            if cancelled():
                raise RuntimeError("cancelled")
        labels = components(volume_hu > self.level)
        progress("postprocess", 0.5)
        nodes = [NodeProbability(n, 0.9, 1.0, 8.0, 300.0) for n in range(1, labels.max() + 1)]
        return Segmentation(labels, nodes, {}, {"threshold_hu": self.level})

    def facts(self) -> dict[str, Any]:
        return {"device": "CPU", "precision": "int16", "threads": 1}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], {"threshold": ThresholdAdapter}))
