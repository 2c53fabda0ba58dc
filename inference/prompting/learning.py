"""``python -m inference.prompting.learning FOLDER… --out RUN``: train the click network.

For the phantoms see `inference.prompting.cases`. A node is clicked once and then, in the next
steps, where the network's own answer was wrong. It begins with the weights of the default model, or
goes on from those of the click (``--go-on``). RUN holds ``checkpoint.pt`` and ``curve.csv``;
``--write`` puts the weights where the product reads them, with what they reach on the phantoms set
apart. torch is needed here alone.
"""

from __future__ import annotations

import argparse
import copy
import csv
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy import ndimage as ndi
from torch import Tensor, nn

from inference.foveal import FovealNet
from inference.foveal_openvino import FovealOpenVINO
from inference.model_folder import read_model
from inference.prompting.cases import Case, apart, read_cases
from inference.prompting.click_net import (
    CELLS,
    CHANNELS,
    FACTS,
    HIGHEST_LOGIT,
    WEIGHTS,
    channels,
    read_click_net,
)
from inference.prompting.place import Place
from inference.prompting.proposal import CUBES_MM, OUTSIDE_HU, Network, moved, network_logit
from inference.prompting.seen import Bools, Seen
from inference.prompting.simulation import clicked, correction, dice, first_click
from inference.training.measuring import channels_last

KEPT_CELLS = 72
"""Side of the cube that is kept of a node: the network's cube is cut out of it around a click."""
COARSE_FROM_MM = 6.0
"""Nodes from this short axis on are also learned in the larger, coarser cube."""
SHARES = (0.35, 0.35, 0.15, 0.15)
"""Of nodes below 5, 10 and 15 mm, and above."""
CLICKS = 4
AGAIN = 0.6
"""How often a node is clicked once more."""
BLIND, TAKEN, ENDING, SHIFTED, JITTER = 0.2, 0.3, 0.12, 0.3, 3
"""How often the model's opinion is hidden, neighbours are other nodes, the scan ends near the click
and a cube is off its click; by how many voxels."""
ENDS_WITHIN = 10
BATCH = 4
WARM_UP_STEPS = 100
AVERAGING = 0.998
TOLD_STEPS, WATCHED_STEPS, WATCHED = 200, 2000, 96


@dataclass(frozen=True)
class Cube:
    """One node and what lies around it: HU, the model's opinion, what is what.

    ``parts``: 0 tissue, else `ITSELF`, `OTHERS` or `OUTSIDE`.
    """

    step_mm: float
    hu: NDArray[np.int16]
    opinion: NDArray[np.float16] | None
    parts: NDArray[np.uint8]
    short_axis_mm: float

    ITSELF: ClassVar = 1
    OTHERS: ClassVar = 2
    OUTSIDE: ClassVar = 3


def cubes(case: Case, network: Network | None) -> list[Cube]:
    """The cubes of a phantom's nodes: fine, and coarse where a node is large.

    Without a network they have no opinion: the default model's own phantoms serve so.
    """
    found = []
    for label, short_axis_mm in case.nodes:
        near = case.around(label)
        if near is None:
            continue
        truth = near.labels == label
        others = ((near.labels > 0) & ~truth).astype(np.float32)
        z, y, x = (np.argwhere(truth).mean(axis=0) + 0.5) * near.spacing_mm
        centre = (float(z), float(y), float(x))
        asked = network and network_logit(network, near.image, near.spacing_mm, centre)
        for _, step in CUBES_MM[: 1 if short_axis_mm < COARSE_FROM_MM else 2]:
            place = Place.around(centre, KEPT_CELLS * step / 2, step)
            parts = np.zeros(place.shape, np.uint8)
            parts[place.cut(others, near.spacing_mm, 0.0) > 0.5] = Cube.OTHERS
            parts[place.cut(truth.astype(np.float32), near.spacing_mm, 0.0) > 0.5] = Cube.ITSELF
            parts[~place.within(near.image.shape, near.spacing_mm)] = Cube.OUTSIDE
            if not (parts == Cube.ITSELF).any():
                continue
            hu = np.rint(place.cut(near.image, near.spacing_mm, OUTSIDE_HU)).astype(np.int16)
            opinion = moved(*asked, place).astype(np.float16) if asked else None
            found.append(Cube(step, hu, opinion, parts, short_axis_mm))
    return found


@dataclass
class Exercise:
    """One node being clicked: what the network sees of it, and what it should say."""

    seen: Seen
    truth: Bools

    @property
    def clicks(self) -> int:
        """How often it was clicked so far."""
        return len(self.seen.within) + len(self.seen.beside)

    def answered(self, logit: NDArray[np.float32]) -> float:
        """Dice of this answer; the next click corrects it, if anything is wrong."""
        answer = (logit > 0) & ~self.seen.blocked
        wrong = correction(self.truth, answer, (self.seen.step_mm,) * 3)
        if wrong is not None:
            at = [np.array(wrong[0], np.float64)]
            within, beside = (at, []) if wrong[1] else ([], at)
            self.seen = replace(
                self.seen,
                within=[*self.seen.within, *within],
                beside=[*self.seen.beside, *beside],
                before=answer,
            )
        return dice(answer, self.truth)


def begun(one: Cube, rng: np.random.Generator) -> Exercise:
    """A node with its first click, mirrored, shifted, brightened and blurred by noise at random."""
    turned = np.s_[:, :, :: -1 if rng.random() < 0.5 else 1]
    parts = one.parts[turned]
    truth = parts == Cube.ITSELF
    box = ndi.find_objects(truth.astype(np.uint8))[0]
    inner = first_click(truth[box], (one.step_mm,) * 3, rng)
    jitter = rng.integers(-JITTER, JITTER + 1, 3) * (rng.random() < SHIFTED)
    click = np.add(inner, [part.start for part in box])
    first = np.clip(click - CELLS // 2 + jitter, 0, KEPT_CELLS - CELLS)
    z, y, x = (slice(int(f), int(f) + CELLS) for f in first)
    window = (z, y, x)
    hu = one.hu[turned][window].astype(np.float32)
    hu = hu * np.float32(rng.uniform(0.94, 1.06)) + np.float32(rng.uniform(-12, 12))
    if rng.random() < 0.3:
        hu += rng.standard_normal(hu.shape, dtype=np.float32) * np.float32(rng.uniform(2, 15))
    blocked = parts[window] == Cube.OUTSIDE
    if rng.random() < TAKEN:
        blocked |= parts[window] == Cube.OTHERS
    opinion = None
    if one.opinion is not None and rng.random() >= BLIND:
        opinion = one.opinion[turned][window].astype(np.float32)
    if rng.random() < ENDING:
        beyond = _beyond(int((click - first)[0]), rng)
        truth, blocked = truth.copy(), blocked.copy()
        blocked[beyond], hu[beyond] = True, OUTSIDE_HU
        truth[window][beyond] = False
        if opinion is not None:
            opinion[beyond] = -HIGHEST_LOGIT
    seen = Seen(
        step_mm=one.step_mm,
        hu=hu,
        opinion=opinion,
        within=[click - first + rng.uniform(-0.5, 0.5, 3)],
        beside=[],
        before=None,
        blocked=np.ascontiguousarray(blocked),
    )
    return Exercise(seen, np.ascontiguousarray(truth[window]))


def _beyond(at: int, rng: np.random.Generator) -> slice:
    """The slices of a cube behind the end of the scan, a little above or below the click's."""
    gap = int(rng.integers(1, ENDS_WITHIN + 1))
    return slice(at + gap, None) if rng.random() < 0.5 else slice(0, max(0, at - gap + 1))


class Exercises:
    """Nodes drawn by size."""

    def __init__(self, found: Sequence[Cube], seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self._by_size: dict[int, list[Cube]] = {}
        for one in found:
            size = min(len(SHARES) - 1, int(one.short_axis_mm // 5))
            self._by_size.setdefault(size, []).append(one)
        self._sizes = sorted(self._by_size)
        shares = np.array([SHARES[size] for size in self._sizes])
        self._shares = shares / shares.sum()

    def draw(self) -> Exercise:
        """The next."""
        among = self._by_size[int(self.rng.choice(self._sizes, p=self._shares))]
        return begun(among[int(self.rng.integers(len(among)))], self.rng)


def started() -> FovealNet:
    """A network that begins with what the default model knows of density."""
    net = FovealNet(inputs=len(CHANNELS))
    own = net.state_dict()
    with torch.no_grad():
        for name, value in load_file(read_model().file("weights.safetensors")).items():
            known = torch.from_numpy(value)
            if own[name].shape == known.shape:
                own[name].copy_(known)
            else:
                own[name].mul_(0.3)
                own[name][:, : known.shape[1]] = known
    net.load_state_dict(own)
    return net


def gone_on() -> FovealNet:
    """The network as the product has it."""
    net = FovealNet(inputs=len(CHANNELS))
    weights = {n: torch.from_numpy(v.astype(np.float32)) for n, v in load_file(WEIGHTS).items()}
    net.load_state_dict(weights, strict=False)
    return net


def loss_of(logit: Tensor, truth: Tensor) -> Tensor:
    """One minus soft Dice of each cube, and cross-entropy weighed by the node's size."""
    chance, wanted = torch.sigmoid(logit).flatten(1), truth.flatten(1)
    shared = (2 * (chance * wanted).sum(1) + 5) / (chance.sum(1) + wanted.sum(1) + 5)
    entropy = nn.functional.binary_cross_entropy_with_logits(
        logit.flatten(1), wanted, reduction="none"
    ).sum(1) / (wanted.sum(1) + 200)
    return (1 - shared + 0.2 * entropy).mean()


class Learner:
    """One training run of the click network."""

    def __init__(self, net: FovealNet, learned: Exercises, watched: Exercises, out: Path) -> None:
        self.net = channels_last(net)
        self.average = copy.deepcopy(self.net)
        self.learned, self.out = learned, out
        self._watched = [watched.draw() for _ in range(WATCHED)]
        self.step = 0

    def run(self, minutes: float, peak_rate: float) -> None:
        """Learn for so long by the clock."""
        chooser = torch.optim.AdamW(self.net.parameters(), lr=peak_rate, weight_decay=1e-4)
        exercises = [self.learned.draw() for _ in range(BATCH)]
        scores = np.full(CLICKS, np.nan)
        began = time.monotonic()
        while (share := (time.monotonic() - began) / (60 * minutes)) < 1:
            cosine = 0.5 * (1 + math.cos(math.pi * share)) + 0.005
            for group in chooser.param_groups:
                group["lr"] = peak_rate * min(1, (self.step + 1) / WARM_UP_STEPS) * cosine
            logit = self._answers(self.net, exercises)
            truth = torch.from_numpy(np.stack([one.truth for one in exercises]))
            loss = loss_of(logit, truth.float())
            chooser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
            chooser.step()
            self.step += 1
            self._update_average()
            found = logit.detach().numpy()
            for number, one in enumerate(exercises):
                count = one.clicks
                score = one.answered(found[number])
                last = scores[count - 1]
                scores[count - 1] = score if np.isnan(last) else 0.99 * last + 0.01 * score
                if count == CLICKS or one.clicks == count or self.learned.rng.random() > AGAIN:
                    exercises[number] = self.learned.draw()
            if self.step % WATCHED_STEPS == 0:
                self._tell("watched", began, self._watch())
                torch.save(self.average.state_dict(), self.out / "checkpoint.pt")
            elif self.step % TOLD_STEPS == 0:
                self._tell("learned", began, scores)
        self._tell("watched", began, self._watch())
        torch.save(self.average.state_dict(), self.out / "checkpoint.pt")

    @staticmethod
    def _answers(net: FovealNet, exercises: Sequence[Exercise]) -> Tensor:
        stack = torch.from_numpy(np.stack([channels(one.seen) for one in exercises]))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logit: Tensor = net(stack.contiguous(memory_format=torch.channels_last_3d))[:, 0]
        blocked = torch.from_numpy(np.stack([one.seen.blocked for one in exercises]))
        return logit.float().masked_fill(blocked, -10.0)

    def _update_average(self) -> None:
        keep = min(AVERAGING, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            current = self.net.state_dict()
            for name, value in self.average.state_dict().items():
                if value.dtype.is_floating_point:
                    value.lerp_(current[name], 1 - keep)

    def _watch(self) -> NDArray[np.float64]:
        """Mean Dice after each click on nodes of the phantoms set apart."""
        self.average.eval()
        scores = np.zeros((WATCHED, CLICKS))
        with torch.no_grad():
            for number, watched in enumerate(self._watched):
                one = replace(watched)
                for click in range(CLICKS):
                    scores[number, click] = one.answered(
                        self._answers(self.average, [one])[0].numpy()
                    )
        self.average.train()
        means: NDArray[np.float64] = scores.mean(axis=0)
        return means

    def _tell(self, curve: str, began: float, scores: NDArray[np.float64]) -> None:
        row = [curve, self.step, round(time.monotonic() - began), *scores.round(4).tolist()]
        with (self.out / "curve.csv").open("a", newline="") as stream:
            csv.writer(stream).writerow(row)
        sys.stderr.write(f"{row}\n")


def write(checkpoint: Path, learned: Sequence[Case], chosen: Sequence[Case], facts: dict[str, Any],
          network: FovealOpenVINO) -> None:  # fmt: skip
    """Write the weights, as float16, and what they reach with the product's own proposals."""
    state = torch.load(checkpoint, weights_only=True)
    floats = {  # safetensors writes memory as it lies, and training's lies otherwise.
        name: np.ascontiguousarray(value.half().numpy())
        for name, value in state.items()
        if value.dtype.is_floating_point
    }
    WEIGHTS.parent.mkdir(exist_ok=True)
    save_file(floats, WEIGHTS)
    WEIGHTS.chmod(0o644)
    judge = read_click_net()
    scores: dict[str, list[list[float]]] = {"with the model's opinion": [], "without": []}
    for asked, opinion in zip(scores, (network, None), strict=True):
        for case in chosen:
            rng = np.random.default_rng([99, case.seed])
            for label, _ in case.nodes:
                near = case.around(label)
                if near is None:
                    continue
                found = clicked(
                    near.image, near.labels == label, near.spacing_mm, rng, CLICKS,
                    judge=judge, network=opinion,
                )  # fmt: skip
                scores[asked].append(found[1])
    content = {
        **facts,
        "fitted_on": [case.seed for case in learned],
        "chosen_on": [case.seed for case in chosen],
        "data": "phantoms alone (fixtures/phantom.py); no patient",
        "model": network.provenance()["sha256"],
        "dice_after_each_click_where_chosen": {
            asked: np.mean(found, axis=0).round(3).tolist() for asked, found in scores.items()
        },
    }
    FACTS.write_text(json.dumps(content, indent=2) + "\n")
    sys.stderr.write(f"{content['dice_after_each_click_where_chosen']}\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Learn from the phantoms of the folders, but those set apart, on which it is watched."""
    parser = argparse.ArgumentParser(prog="python -m inference.prompting.learning")
    parser.add_argument("folder", type=Path, nargs="+", help="phantoms")
    parser.add_argument(
        "--blind", type=Path, nargs="*", default=[], help="those whose opinion is never shown"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint and curve")
    parser.add_argument("--minutes", type=float, default=30.0, help="by the clock; 0: write alone")
    parser.add_argument("--peak-rate", type=float, default=1.5e-3)
    parser.add_argument("--apart", type=int, nargs="+", required=True, help="seeds to choose on")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--go-on", action="store_true", help="from the product's weights")
    parser.add_argument("--write", action="store_true", help="put the weights into the product")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(given.seed)
    torch.set_num_threads(given.threads)
    network = FovealOpenVINO(read_model(), threads=given.threads)
    learned, chosen = apart(
        [case for folder in given.folder for case in read_cases(folder)], given.apart
    )
    unknown = [case for folder in given.blind for case in read_cases(folder)]
    if given.minutes:
        nodes = [one for case in learned for one in cubes(case, network)]
        nodes += [one for case in unknown for one in cubes(case, None)]
        watched = [one for case in chosen for one in cubes(case, network)]
        sys.stderr.write(
            f"{len(nodes)} cubes of {len(learned) + len(unknown)} phantoms, {len(watched)} apart\n"
        )
        net = gone_on() if given.go_on else started()
        learner = Learner(net, Exercises(nodes, given.seed), Exercises(watched, 0), given.out)
        learner.run(given.minutes, given.peak_rate)
    if given.write:
        facts: dict[str, Any] = {
            "command": "python -m inference.prompting.learning FOLDER… --apart SEED… --write",
            "minutes": given.minutes,
            "peak_rate": given.peak_rate,
            "seed": given.seed,
            "went_on": given.go_on,
        }
        facts |= {"fitted_without_opinion_on": [case.seed for case in unknown]}
        write(given.out / "checkpoint.pt", learned, chosen, facts, network)


if __name__ == "__main__":
    main()
