"""``python -m inference.model_pictures BENCHMARK.json --out FOLDER``: the card's pictures.

Of the frozen phantoms of a ``manage.py benchmark model``, the best, the median and the worst one
(by the share of nodes of 5 mm and more that were found, then by false positives), each as a row of
slices with truth, findings and false alarms outlined; the curves of the model's training; and, with
``--scan``, the real CT with planted nodes. (A picture of a scan is shipped only where its licence
lets that be done.)
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from fixtures.phantom import Phantom, generate
from inference.body import find_body
from inference.foveal_openvino import FovealOpenVINO
from inference.model_folder import DEFAULT_MODEL, read_model
from inference.pipeline import segment
from inference.reality import check, few_colours, overlay
from inference.scoring import score_scan

SLICES = 5
ENLARGED = 2
MARGIN = 10

LOSSES = {"loss": "loss in training", "validation_loss": "loss on validation phantoms"}
RECALLS = {
    "recall_5mm": "recall, 5 mm and more",
    "recall_10mm": "10 mm and more",
    "recall_15mm": "15 mm and more",
    "recall_necrotic": "necrotic",
}
COLOURS = ((150, 190, 255), (255, 170, 60), (90, 200, 140), (230, 90, 160))
GROUND, GRID, SOFT = (16, 18, 22), (52, 56, 64), (165, 171, 180)
PLOT, EDGE = (520, 360), 48
"""Sides of one of the two plots, and the room for its axes, in pixels."""


def chosen_seeds(scans: list[dict[str, Any]]) -> dict[str, int]:
    """Return the seeds of the best, the median and the worst scan."""
    order = sorted(scans, key=lambda s: (s["recall_5mm"] or 0, -s["false_positives"]))
    picked = {"best": order[-1], "median": order[len(order) // 2], "worst": order[0]}
    return {name: int(scan["seed"]) for name, scan in picked.items()}


def shown_slices(phantom: Phantom, found: NDArray[np.uint16]) -> list[int]:
    """Return the slices with the largest area of nodes and findings, some way apart."""
    area = ((phantom.labels > 0) | (found > 0)).sum(axis=(1, 2)).astype(float)
    slices: list[int] = []
    while len(slices) < SLICES and area.max() > 0:
        z = int(area.argmax())
        slices.append(z)
        area[max(0, z - MARGIN) : z + MARGIN + 1] = 0
    return sorted(slices)


def picture(seed: int, net: FovealOpenVINO) -> Image.Image:
    """Return the phantom of this seed as a row of slices: truth green, found blue, false red."""
    phantom = generate(seed)
    found = segment(phantom.image, phantom.spacing_mm, net).labels
    nodes = [vars(node) for node in phantom.nodes]
    false = np.isin(found, score_scan(found, phantom.labels, nodes).false_labels)
    _, rows, columns = find_body(phantom.image, phantom.spacing_mm).box

    def shown(plane: NDArray[Any]) -> NDArray[Any]:
        """The body alone, enlarged, so that an outline hides no more than half a voxel."""
        return plane[rows, columns].repeat(ENLARGED, 0).repeat(ENLARGED, 1)

    tiles = [
        overlay(
            shown(phantom.image[z]),
            shown(phantom.labels[z] > 0),
            shown(found[z] > 0),
            shown(false[z]),
        )
        for z in shown_slices(phantom, found)
    ]
    return few_colours(Image.fromarray(np.concatenate(tiles, axis=1)))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def read_curves(folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Return losses and validation recall over the minutes of all phases of a model's training."""
    names = (*LOSSES, *RECALLS)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    done = 0.0
    for path in sorted(folder.glob("loss-*.csv")):
        loss = _points(path, "loss", done)
        found["loss"] += loss
        watched = folder / path.name.replace("loss", "validation_loss")
        if watched.exists():
            found["validation_loss"] += _points(watched, "loss", done)
        validation = _rows(folder / path.name.replace("loss", "validation"))
        # One threshold on the same phantoms throughout: at its end a phase looks at more of both.
        told = Counter((row["threshold"], row["scans"]) for row in validation).most_common(1)
        for row in validation:
            for name in RECALLS:
                if (row["threshold"], row["scans"]) == told[0][0] and row[name]:
                    found[name].append((done + float(row["seconds"]) / 60, float(row[name])))
        done = loss[-1][0] if loss else done
    return found


def _points(path: Path, column: str, done: float) -> list[tuple[float, float]]:
    return [(done + float(r["seconds"]) / 60, float(r[column])) for r in _rows(path) if r[column]]


def curves(folder: Path) -> Image.Image:
    """Draw the losses beside the recall on validation phantoms by size and necrosis."""
    found = read_curves(folder)
    minutes = max((x for points in found.values() for x, _ in points), default=1.0)
    image = Image.new("RGB", (2 * PLOT[0], PLOT[1]), GROUND)
    draw = ImageDraw.Draw(image)
    highest = max((y for name in LOSSES for _, y in found[name]), default=1.0)
    _plot(draw, 0, {name: (LOSSES[name], found[name]) for name in LOSSES}, minutes, highest)
    _plot(draw, PLOT[0], {name: (RECALLS[name], found[name]) for name in RECALLS}, minutes, 1.0)
    return image.quantize(64)


def _plot(
    draw: ImageDraw.ImageDraw,
    left: int,
    lines: dict[str, tuple[str, list[tuple[float, float]]]],
    minutes: float,
    highest: float,
) -> None:
    """Draw one pair of axes from 0 with its lines, each named in its own colour."""
    font = ImageFont.load_default(15)
    width, height = PLOT
    right, bottom = left + width - EDGE // 2, height - EDGE
    top = EDGE + 24 * len(lines) // 2

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            left + EDGE + x / minutes * (right - left - EDGE),
            bottom - min(y / highest, 1) * (bottom - top),
        )

    for part in range(6):
        value = highest * part / 5
        (x, y), (end, _) = at(0, value), at(minutes, value)
        draw.line([(x, y), (end, y)], fill=GRID)
        draw.text((left + 8, y - 9), f"{value:.1f}", fill=SOFT, font=font)
        mark = at(minutes * part / 5, 0)[0]
        draw.text(
            (mark, bottom + 8), f"{minutes * part / 5:.0f}", fill=SOFT, font=font, anchor="ma"
        )
    draw.text((right, bottom + 28), "minutes of training", fill=SOFT, font=font, anchor="ra")
    for number, (words, points) in enumerate(lines.values()):
        colour = COLOURS[number]
        told = words if points else f"{words}: not watched"
        place = (left + EDGE + (number % 2) * 210, 10 + 24 * (number // 2))
        draw.text(place, told, fill=colour if points else SOFT, font=font)
        placed = [at(x, y) for x, y in points]
        draw.line(placed, fill=colour, width=2)
        if len(points) < 60:
            for x, y in placed:
                draw.ellipse([x - 3, y - 3, x + 3, y + 3], fill=colour)


def main() -> None:
    """Draw everything for the model and the benchmark named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m inference.model_pictures", description=__doc__)
    parser.add_argument("benchmark", type=Path, help="what `manage.py benchmark model` printed")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--out", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--scan", type=Path, help="zip of a real CT to draw with planted nodes")
    chosen = parser.parse_args()
    net = FovealOpenVINO(read_model(chosen.model))
    for name, seed in chosen_seeds(json.loads(chosen.benchmark.read_text())["scans"]).items():
        picture(seed, net).save(chosen.out / f"{name}.png", optimize=True)
    curves(chosen.model).save(chosen.out / "curves.png", optimize=True)
    if chosen.scan:
        with tempfile.TemporaryDirectory() as folder:
            check(chosen.scan, Path(folder), chosen.model)
            with Image.open(Path(folder) / "reality.png") as drawn:
                few_colours(drawn).save(chosen.out / "reality.png", optimize=True)


if __name__ == "__main__":
    main()
