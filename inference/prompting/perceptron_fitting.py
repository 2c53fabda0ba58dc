"""`python -m inference.prompting.perceptron_fitting FOLDER…`: fit the perceptron on phantoms.

Each node is clicked once and then corrected with what was fitted so far, so that later clicks are
learned from the errors they will meet. For the phantoms see `inference.prompting.cases`. torch is
needed here alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import edt
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from inference.prompting.cases import Case, apart, read_cases
from inference.prompting.features import NAMES, Scene, features
from inference.prompting.perceptron import WEIGHTS, Perceptron
from inference.prompting.place import Place
from inference.prompting.proposal import CUBES_MM, OUTSIDE_HU, Voxel, centre_mm
from inference.prompting.simulation import clicked, first_click

INSIDE, BESIDE, FAR = 500, 900, 200
NEAR_MM = 9.0
LARGE_AXIS_MM = 12.0
WIDTHS = (32, 16)
STEPS, BATCH = 4000, 8192
BIAS = -0.7
"""Chosen on the phantoms set apart: a reader sooner takes away than adds."""
MOST_NODES = 20

Bools = NDArray[np.bool_]
Sample = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


@dataclass
class Table:
    """Samples: features, whether they are node, and what each counts."""

    features: list[NDArray[np.float32]]
    within: list[NDArray[np.float32]]
    weights: list[NDArray[np.float32]]

    def add(self, other: Sample) -> None:
        """Append one node's samples."""
        self.features.append(other[0])
        self.within.append(other[1])
        self.weights.append(other[2])


def samples(
    case: Case, truth: Bools, size_mm: float, clicks: Sequence[tuple[Voxel, bool]],
    rng: np.random.Generator,
) -> Iterator[Sample]:  # fmt: skip
    """Samples of one node as these clicks show it, from the cubes in which it is looked at."""
    within = [centre_mm(at, case.spacing_mm) for at, inside in clicks if inside]
    beside = [centre_mm(at, case.spacing_mm) for at, inside in clicks if not inside]
    for half, step in CUBES_MM if size_mm > LARGE_AXIS_MM else CUBES_MM[:1]:
        place = Place.around(np.mean(within, axis=0), half, step)
        hu = place.cut(case.image, case.spacing_mm, OUTSIDE_HU)
        node = place.cut(truth.astype(np.float32), case.spacing_mm, 0.0) > 0.5
        outside = ~place.within(case.image.shape, case.spacing_mm)
        scene = Scene.of(hu, outside, step)
        away = edt.edt(~node, anisotropy=(step,) * 3)
        chosen, weight = [], []
        for among, count in (
            (scene.candidate & node, INSIDE),
            (scene.candidate & ~node & (away < NEAR_MM), BESIDE),
            (scene.candidate & (away >= NEAR_MM), FAR),
        ):
            cells = np.argwhere(among)
            if not len(cells):
                continue
            kept = cells[rng.permutation(len(cells))[:count]]
            chosen.append(kept)
            weight.append(np.full(len(kept), len(cells) / len(kept) / max(20, node.sum())))
        cells = np.concatenate(chosen)
        found = features(
            scene, cells, [place.index(c) for c in within], [place.index(c) for c in beside]
        )
        yield (
            found,
            node[tuple(cells.T)].astype(np.float32),
            np.concatenate(weight).astype(np.float32),
        )


def fit(table: Table, seed: int) -> Perceptron:
    """Fit the perceptron."""
    torch.manual_seed(seed)
    data = np.concatenate(table.features)
    centre, scale = data.mean(axis=0), data.std(axis=0) + 1e-3
    inputs = torch.from_numpy((data - centre) / scale)
    target = torch.from_numpy(np.concatenate(table.within))
    weight = torch.from_numpy(np.concatenate(table.weights))
    weight = weight / weight.mean()
    sizes = (len(NAMES), *WIDTHS, 1)
    layers: list[nn.Module] = []
    for i, o in pairwise(sizes):
        layers += [nn.Linear(i, o), nn.ReLU()]
    net = nn.Sequential(*layers[:-1])
    chooser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(chooser, STEPS)
    for _ in range(STEPS):
        rows = torch.randint(len(inputs), (BATCH,))
        loss = nn.functional.binary_cross_entropy_with_logits(
            net(inputs[rows])[:, 0], target[rows], weight=weight[rows]
        )
        chooser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        chooser.step()
        schedule.step()
    fitted = tuple(
        (layer.weight.detach().numpy().T.copy(), layer.bias.detach().numpy().copy())
        for layer in net
        if isinstance(layer, nn.Linear)
    )
    return Perceptron(centre, scale, fitted, BIAS, "", {})


def write_perceptron(perceptron: Perceptron, path: Path, facts: dict[str, Any]) -> None:
    """Write weights as JSON, five digits each."""

    def plain(values: Any) -> Any:
        return [plain(v) if np.ndim(v) else float(f"{v:.5g}") for v in values]

    content = {
        "facts": facts,
        "features": list(NAMES),
        "threshold": perceptron.threshold,
        "centre": plain(perceptron.centre),
        "scale": plain(perceptron.scale),
        "layers": [{"weights": plain(w), "bias": plain(b)} for w, b in perceptron.layers],
    }
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit on the phantoms of the folders, but those set apart, on which choices are made."""
    parser = argparse.ArgumentParser(prog="python -m inference.prompting.perceptron_fitting")
    parser.add_argument("folder", type=Path, nargs="+", help="phantoms")
    parser.add_argument("--apart", type=int, nargs="+", required=True, help="seeds to choose on")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    fitted, chosen = apart(
        [case for folder in given.folder for case in read_cases(folder)], given.apart
    )
    table = Table([], [], [])
    perceptron: Perceptron | None = None
    for turn in range(given.rounds):
        for case in fitted:
            rng = np.random.default_rng([given.seed, turn, case.seed])
            for label, size_mm in case.nodes[:MOST_NODES]:
                near = case.around(label)
                if near is None:
                    continue
                truth = near.labels == label
                if perceptron is None:
                    clicks = [(first_click(truth, near.spacing_mm, rng), True)]
                else:
                    clicks, _ = clicked(
                        near.image, truth, near.spacing_mm, rng, turn + 1, judge=perceptron
                    )
                for one in samples(near, truth, size_mm, clicks, rng):
                    table.add(one)
        perceptron = fit(table, given.seed)
        sys.stderr.write(f"round {turn}: {len(table.features)} looks\n")
    assert perceptron is not None  # noqa: S101
    scores = []
    for case in chosen:
        rng = np.random.default_rng([given.seed, 99, case.seed])
        for label, _ in case.nodes:
            near = case.around(label)
            if near is not None:
                truth = near.labels == label
                scores.append(
                    clicked(near.image, truth, near.spacing_mm, rng, 3, judge=perceptron)[1]
                )
    means = np.mean(scores, axis=0).round(3).tolist()
    facts = {
        "fitted_on": [case.seed for case in fitted],
        "threshold_chosen_on": [case.seed for case in chosen],
        "command": "python -m inference.prompting.perceptron_fitting FOLDER",
        "seed": given.seed,
        "data": "phantoms alone (fixtures/phantom.py); no patient",
        "dice_where_chosen": means,
    }
    write_perceptron(perceptron, WEIGHTS, facts)
    sys.stderr.write(f"{WEIGHTS.name}: Dice after 1, 2, 3 clicks {means}\n")


if __name__ == "__main__":
    main()
