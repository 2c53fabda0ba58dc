"""A model as a folder: ``model.json``, the files it names with their digests, and a card."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.second_look import SecondLook

DEFAULT_MODEL = Path(__file__).parent / "models" / "foveal-ln-ct"
"""The model that comes with the application."""


class DamagedModel(ValueError):
    """A file of the model is missing or altered. Install the model folder again."""

    def __init__(self, path: Path) -> None:
        """Name the file."""
        super().__init__(
            f"{path.name} is missing or is not the file that model.json names. "
            "Install the model folder again."
        )


@dataclass(frozen=True)
class ModelDescription:
    """What ``model.json`` says, as far as inference needs it; ``content`` is all of it."""

    folder: Path
    model_id: str
    name: str
    version: str
    spacing_mm: tuple[float, float, float]
    window_hu: tuple[float, float]
    scale_hu: float
    threshold: float
    min_short_axis_mm: float
    second_look: SecondLook | None
    sha256: dict[str, str]
    content: dict[str, Any]
    drawn_threshold: float | None = None
    """Large nodes are drawn on to this probability, where it is below ``threshold``."""
    mirrored: bool = False
    """Whether the network is asked of the mirror image too, and the mean is its answer."""

    def file(self, name: str) -> Path:
        """Return the path of one of the model's files after checking its digest."""
        path = self.folder / name
        if not path.is_file() or sha256_of(path) != self.sha256.get(name):
            raise DamagedModel(path)
        return path


def sha256_of(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_model(folder: Path = DEFAULT_MODEL) -> ModelDescription:
    """Read a model folder's description; its files are checked when they are opened."""
    content = json.loads((folder / "model.json").read_text())
    working = content["input"]
    z, y, x = working["spacing_mm"]
    low, high = working["window_hu"]
    second = content["output"].get("second_look")
    return ModelDescription(
        folder=folder,
        model_id=content["id"],
        name=content["name"],
        version=content["version"],
        spacing_mm=(z, y, x),
        window_hu=(low, high),
        scale_hu=working["scale_hu"],
        threshold=content["output"]["threshold"],
        min_short_axis_mm=content["output"]["min_short_axis_mm"],
        second_look=SecondLook.from_json(second) if second else None,
        sha256=content["files"],
        content=content,
        drawn_threshold=content["output"].get("drawn_threshold"),
        mirrored=bool(working.get("mirrored")),
    )
