"""What a worker would put for the phantom."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np

from backend.imaging.grid import Grid
from backend.imaging.masks import PackedMask, pack_mask
from backend.imaging.nodes import measure_all
from backend.jobs.models import Run
from tests.jobs.threshold import expected_labels, phantom


def packed_mask(grid: Grid | None = None) -> bytes:
    grid = grid or phantom()[0]
    labels = expected_labels() if grid.shape == phantom()[0].shape else np.ones(grid.shape, "u2")
    numbers = [int(n) for n in np.unique(labels) if n]
    nodes = {number: str(uuid.UUID(int=number, version=4)) for number in numbers}
    return pack_mask(PackedMask.of_volume(labels, grid.geometry_hash, nodes))


def result(run: Run, mask: str) -> dict[str, Any]:
    grid, volume = phantom()
    measures = measure_all(expected_labels(), grid, image_hu=volume)
    return {
        "mask": mask,
        "nodes": [
            {
                "label": number,
                "uuid": str(uuid.UUID(int=number, version=4)),
                "score": 0.9,
                "measures": measured.to_json(),
            }
            for number, measured in measures.items()
        ],
        "provenance": {
            "model": {
                "name": run.model.name,
                "version": run.model.version,
                "sha256": run.model.sha256,
                "description": run.model.description,
            },
            "input": {},
            "device": "CPU",
            "precision": "int16",
            "threads": 1,
            "timings": {"fetch": 0.1, "infer": 0.2},
            "wall_seconds": 0.5,
        },
    }
