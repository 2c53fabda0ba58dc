"""`python -m inference.prompting.fitting FOLDER…`: fit the click's perceptron on phantoms.

`--prepare FOLDER` writes phantoms in other spacings than training's, and fits nothing.

The phantoms must be none that the network was trained on (its opinion of those is too good) and
none of the benchmark. Each node is clicked once and then corrected with what was fitted so far, so
that later clicks are learned from the errors they will meet. torch is needed here alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from fixtures.phantom import generate
from inference.foveal_openvino import FovealOpenVINO
from inference.model_folder import read_model
from inference.prompting.classifier import WITH_NETWORK, WITHOUT_NETWORK, Classifier
from inference.prompting.features import NAMES, NETWORK_NAMES, Scene, features
from inference.prompting.looks import Remembering
from inference.prompting.place import Place
from inference.prompting.proposal import (
    CUBES_MM,
    OUTSIDE_HU,
    Prompt,
    Proposal,
    Voxel,
    centre_mm,
    moved,
    network_logit,
    propose,
)
from inference.prompting.simulation import correction, dice, first_click, placed

INSIDE, BESIDE, FAR = 500, 900, 200
NEAR_MM = 9.0
SEEN_MM = 45.0
LARGE_AXIS_MM = 12.0
WIDTHS = (32, 16)
STEPS, BATCH = 4000, 8192
BIAS = -0.7
"""Chosen on the phantoms set apart: a reader sooner takes away than adds."""
MOST_NODES = 20
PREPARED_SEEDS = range(41_000, 41_008)
PREPARED_SPACINGS_MM = ((1.5, 0.8, 0.8), (1.0, 1.0, 1.0), (2.5, 0.7, 0.7))

Bools = NDArray[np.bool_]


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


@dataclass
class Table:
    """Samples: features, whether they are node, and what each counts."""

    features: list[NDArray[np.float32]]
    within: list[NDArray[np.float32]]
    weights: list[NDArray[np.float32]]

    def add(
        self, other: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
    ) -> None:
        """Append one node's samples."""
        self.features.append(other[0])
        self.within.append(other[1])
        self.weights.append(other[2])


def prepare(folder: Path) -> None:
    """Write the phantoms of `PREPARED_SEEDS`: spacings in turn, more metastases on odd seeds."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(PREPARED_SEEDS):
        spacing_mm = PREPARED_SPACINGS_MM[number % len(PREPARED_SPACINGS_MM)]
        odd = number % 2
        phantom = (
            generate(seed, spacing_mm, metastatic_share=0.4) if odd else generate(seed, spacing_mm)
        )
        np.save(folder / f"{seed}.image.npy", phantom.image)
        np.save(folder / f"{seed}.labels.npy", phantom.labels)
        content = {"nodes": [asdict(node) for node in phantom.nodes], "spacing_mm": spacing_mm}
        (folder / f"{seed}.json").write_text(json.dumps(content))


def read_cases(folder: Path) -> Iterator[Case]:
    """The phantoms of a folder, as `inference.training.volumes` or `prepare` wrote them."""
    for described in sorted(folder.glob("*.json")):
        content = json.loads(described.read_text())
        seed = int(described.stem)
        spacing = content.get("spacing_mm", [1.0, 1.0, 1.0])
        yield Case(
            seed,
            np.load(folder / f"{seed}.image.npy"),
            np.load(folder / f"{seed}.labels.npy"),
            (spacing[0], spacing[1], spacing[2]),
            tuple((n["label"], n["short_axis_mm"]) for n in content["nodes"]),
        )


def samples(
    case: Case, truth: Bools, size_mm: float, clicks: Sequence[tuple[Voxel, bool]], network: Any,
    rng: np.random.Generator,
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]]:  # fmt: skip
    """Samples of one node as these clicks show it, from the cubes in which it is looked at."""
    within = [centre_mm(at, case.spacing_mm) for at, inside in clicks if inside]
    beside = [centre_mm(at, case.spacing_mm) for at, inside in clicks if not inside]
    logit, patch = network_logit(network, case.image, case.spacing_mm, within[0])
    for half, step in CUBES_MM if size_mm > LARGE_AXIS_MM else CUBES_MM[:1]:
        place = Place.around(np.mean(within, axis=0), half, step)
        hu = place.cut(case.image, case.spacing_mm, OUTSIDE_HU)
        node = place.cut(truth.astype(np.float32), case.spacing_mm, 0.0) > 0.5
        outside = ~place.within(case.image.shape, case.spacing_mm)
        scene = Scene.of(hu, moved(logit, patch, place), outside, step)
        import edt

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


def fit(table: Table, seed: int, *, hidden: Sequence[str] = ()) -> Classifier:
    """Fit the perceptron; the features named in `hidden` are not looked at."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    data = np.concatenate(table.features)
    centre, scale = data.mean(axis=0), data.std(axis=0) + 1e-3
    for name in hidden:
        centre[NAMES.index(name)], scale[NAMES.index(name)] = 0.0, 1e6
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
    return Classifier(centre, scale, fitted, BIAS, "", {})


def write_classifier(classifier: Classifier, path: Path, facts: dict[str, Any]) -> None:
    """Write weights as JSON, five digits each."""

    def plain(values: Any) -> Any:
        return [plain(v) if np.ndim(v) else float(f"{v:.5g}") for v in values]

    content = {
        "facts": facts,
        "features": list(NAMES),
        "threshold": classifier.threshold,
        "centre": plain(classifier.centre),
        "scale": plain(classifier.scale),
        "layers": [{"weights": plain(w), "bias": plain(b)} for w, b in classifier.layers],
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n")


def clicked(
    case: Case, label: int, classifier: Classifier | None, network: Any, clicks: int,
    rng: np.random.Generator,
) -> tuple[list[tuple[Voxel, bool]], list[float]]:  # fmt: skip
    """Clicks on one node, the later ones where the proposal is wrong; and the Dice after each."""
    truth = case.labels == label
    made: list[tuple[Voxel, bool]] = [(first_click(truth, case.spacing_mm, rng), True)]
    scores: list[float] = []
    earlier: dict[Prompt, Proposal] = {}
    while classifier is not None:
        found = propose(
            case.image,
            case.spacing_mm,
            Prompt(tuple(made)),
            network=network,
            classifier=classifier,
            earlier=earlier,
        )
        mask = placed(found, truth.shape)
        scores.append(dice(mask, truth))
        if len(scores) == clicks:
            break
        wrong = correction(truth, mask, case.spacing_mm)
        if wrong is None:
            scores += [scores[-1]] * (clicks - len(scores))
            break
        made.append(wrong)
    return made, scores


def main(arguments: Sequence[str]) -> None:
    """Fit on all phantoms of the folders but every sixth, on which choices are made."""
    parser = argparse.ArgumentParser(prog="python -m inference.prompting.fitting")
    parser.add_argument("folder", type=Path, nargs="+")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prepare", action="store_true", help="write phantoms, fit nothing")
    given = parser.parse_args(arguments)
    if given.prepare:
        prepare(given.folder[0])
        return
    cases = [case for folder in given.folder for case in read_cases(folder)]
    chosen = cases[::6]
    fitted = [case for number, case in enumerate(cases) if number % 6]
    foveal = FovealOpenVINO(read_model(), threads=1)
    network = Remembering(foveal, "", OrderedDict())
    table = Table([], [], [])
    classifier: Classifier | None = None
    for turn in range(given.rounds):
        for case in fitted:
            rng = np.random.default_rng([given.seed, turn, case.seed])
            for label, size_mm in case.nodes[:MOST_NODES]:
                near = case.around(label)
                if near is None:
                    continue
                clicks, _ = clicked(near, label, classifier, network, turn + 1, rng)
                truth = near.labels == label
                for one in samples(near, truth, size_mm, clicks, network, rng):
                    table.add(one)
        classifier = fit(table, given.seed)
        sys.stderr.write(f"round {turn}: {len(table.features)} looks\n")
    assert classifier is not None  # noqa: S101
    facts = {
        "fitted_on": [case.seed for case in fitted],
        "threshold_chosen_on": [case.seed for case in chosen],
        "command": "python -m inference.prompting.fitting FOLDER",
        "seed": given.seed,
        "data": "phantoms alone (fixtures/phantom.py); no patient",
        "network_sha256": foveal.provenance()["sha256"],
    }
    blind = fit(table, given.seed, hidden=NETWORK_NAMES)
    for fitted_one, net, path in (
        (classifier, network, WITH_NETWORK),
        (blind, None, WITHOUT_NETWORK),
    ):
        scores = []
        for case in chosen:
            rng = np.random.default_rng([given.seed, 99, case.seed])
            for label, _ in case.nodes:
                near = case.around(label)
                if near is not None:
                    scores.append(clicked(near, label, fitted_one, net, 3, rng)[1])
        means = np.mean(scores, axis=0).round(3).tolist()
        write_classifier(fitted_one, path, {**facts, "dice_where_chosen": means})
        sys.stderr.write(f"{path.name}: Dice after 1, 2, 3 clicks {means}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
