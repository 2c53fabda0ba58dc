"""``python -m inference.prompting.learning FOLDER… --out RUN``: train the click network.

For the phantoms see `inference.prompting.cases`. A node is clicked once and then, in the next
steps, where the network's own answer was wrong. It begins with the weights of the default model, or
goes on from those of the click (``--go-on``). RUN holds ``checkpoint.pt``, ``curve.csv`` and
``record.json``; ``--write`` puts the weights where the product reads them, with how they came to be
and what they reach on the phantoms set apart. torch is needed here alone.
"""

from __future__ import annotations

import argparse
import copy
import csv
import json
import math
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
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
    WINDOW_HU,
    channels,
    read_click_net,
)
from inference.prompting.place import Place
from inference.prompting.proposal import CUBES_MM, OUTSIDE_HU, Network, moved, network_logit
from inference.prompting.seen import Bools, Field, Index, Seen
from inference.prompting.simulation import clicked, correction, dice, first_click
from inference.training.measuring import channels_last

Bytes = NDArray[np.uint8]

KEPT_CELLS = (72, 60)
"""Sides of the small and the large cube kept of a node: what the network sees of each is cut out
of it around a click."""
WIDE_FROM_MM, WIDE_SHARE = 6.0, 0.2
"""Nodes from this short axis on are sometimes learned in the large cube; how often."""
SHARES = (0.35, 0.35, 0.15, 0.15)
"""Of nodes below 5, 10 and 15 mm, and above."""
CLICKS = 4
AGAIN = 0.6
"""How often a node is clicked once more."""
BLIND, TAKEN, ENDING, SHIFTED, JITTER = 0.2, 0.3, 0.12, 0.3, 3
"""How often the model's opinion is hidden, neighbours are other nodes, the scan ends near the click
and a cube is off its click; by how many voxels."""
ENDS_WITHIN = 10
LOGITS = (-HIGHEST_LOGIT, HIGHEST_LOGIT)
BATCH = 4
WARM_UP_STEPS = 100
AVERAGING = 0.998
TOLD_STEPS, WATCHED_STEPS, WATCHED = 200, 2000, 96


@dataclass(frozen=True)
class Cube:
    """What lies around a node: HU, the model's opinion, what is what; a byte for each voxel.

    ``parts``: 0 tissue, else `ITSELF`, `OTHERS` or `OUTSIDE`.
    """

    place: Place
    hu: Bytes
    opinion: Bytes | None
    parts: Bytes

    ITSELF: ClassVar = 1
    OTHERS: ClassVar = 2
    OUTSIDE: ClassVar = 3


@dataclass(frozen=True)
class Node:
    """One node to click: the small cube around it and the large one."""

    small: Cube
    large: Cube
    short_axis_mm: float


def nodes_of(case: Case, network: Network | None) -> list[Node]:
    """The nodes of a phantom.

    Without a network they have no opinion: the default model's own phantoms serve so.
    """
    found = []
    for label, short_axis_mm in case.nodes:
        near = case.around(label)
        if near is None:
            continue
        truth = near.labels == label
        z, y, x = (np.argwhere(truth).mean(axis=0) + 0.5) * near.spacing_mm
        centre = (float(z), float(y), float(x))
        asked = None
        if network is not None:
            asked = network_logit(network, near.image, near.spacing_mm, centre)
        small, large = (
            _cube(near, truth, Place.around(centre, cells * step / 2, step), asked)
            for cells, (_, step) in zip(KEPT_CELLS, CUBES_MM, strict=True)
        )
        if (small.parts == Cube.ITSELF).any():
            found.append(Node(small, large, short_axis_mm))
    return found


def _cube(near: Case, truth: Bools, place: Place, asked: tuple[Place, Field] | None) -> Cube:
    others = ((near.labels > 0) & ~truth).astype(np.float32)
    parts = np.zeros(place.shape, np.uint8)
    parts[place.cut(others, near.spacing_mm, 0.0) > 0.5] = Cube.OTHERS
    parts[place.cut(truth.astype(np.float32), near.spacing_mm, 0.0) > 0.5] = Cube.ITSELF
    parts[~place.within(near.image.shape, near.spacing_mm)] = Cube.OUTSIDE
    hu = _packed(place.cut(near.image, near.spacing_mm, OUTSIDE_HU), *WINDOW_HU)
    opinion = None if asked is None else _packed(moved(*asked, place), *LOGITS)
    return Cube(place, hu, opinion, parts)


def _packed(values: Field, low: float, high: float) -> Bytes:
    shares = (np.clip(values, low, high) - low) / (high - low)
    packed: Bytes = np.rint(shares * 255).astype(np.uint8)
    return packed


def _unpacked(values: Bytes, low: float, high: float) -> Field:
    return values.astype(np.float32) * np.float32((high - low) / 255) + np.float32(low)


@dataclass
class Exercise:
    """One node being clicked: what the network sees of it, and what it should say.

    ``wide`` is the large cube, which the network sees first; None where it learns that one.
    """

    place: Place
    seen: Seen
    truth: Bools
    wide: tuple[Place, Seen] | None = None

    @property
    def clicks(self) -> int:
        """How often it was clicked so far."""
        return len(self.seen.within) + len(self.seen.beside)

    def answered(self, logit: NDArray[np.float32]) -> float:
        """Dice of this answer; the next click corrects it, if anything is wrong."""
        answer = (logit > 0) & ~self.seen.blocked
        wrong = correction(self.truth, answer, (self.seen.step_mm,) * 3)
        if wrong is not None:
            at = np.array(wrong[0], np.float64)
            self.seen = _clicked(self.seen, at, wrong[1], answer)
            if self.wide is not None:
                place, seen = self.wide
                was = place.cut_mask(answer, (self.place.step_mm,) * 3, self.place.corner_mm)
                at = place.index(self.place.point(at))
                self.wide = place, _clicked(seen, at, wrong[1], was)
        return dice(answer, self.truth)


def _clicked(seen: Seen, at: Index, within: bool, answer: Bools) -> Seen:
    """The cube with one more click on what was answered."""
    return replace(
        seen,
        within=[*seen.within, at] if within else seen.within,
        beside=seen.beside if within else [*seen.beside, at],
        before=answer,
    )


def begun(node: Node, rng: np.random.Generator) -> Exercise:
    """A node with its first click, mirrored, shifted, brightened and blurred by noise at random."""
    alone = node.short_axis_mm >= WIDE_FROM_MM and rng.random() < WIDE_SHARE
    main = node.large if alone else node.small
    mirrored = tuple(np.flatnonzero(rng.random(3) < 0.5).tolist())
    node_itself = np.flip(main.parts, mirrored) == Cube.ITSELF
    box = ndi.find_objects(node_itself.astype(np.uint8))[0]
    inner = first_click(node_itself[box], (main.place.step_mm,) * 3, rng)
    click = np.add(inner, [part.start for part in box])
    told = main.place.point(click + rng.uniform(-0.5, 0.5, 3))
    looks = _Looks(rng, mirrored, main.place.point(click))
    place, seen, parts = looks.at(main, told)
    truth = (parts == Cube.ITSELF) & ~seen.blocked
    if alone:
        return Exercise(place, seen, truth)
    return Exercise(place, seen, truth, looks.at(node.large, told)[:2])


class _Looks:
    """What is drawn at random of a node's first click, the same for both of its cubes."""

    def __init__(
        self, rng: np.random.Generator, mirrored: tuple[int, ...], click_mm: Index
    ) -> None:
        self.mirrored = mirrored
        self.first_mm = click_mm
        self.gain, self.offset = rng.uniform(0.94, 1.06), rng.uniform(-12, 12)
        self.noise_hu = rng.uniform(2, 15) if rng.random() < 0.3 else 0.0
        self.taken = rng.random() < TAKEN
        self.blind = rng.random() < BLIND
        self.jitter_mm = rng.integers(-JITTER, JITTER + 1, 3) * CUBES_MM[0][1]
        self.jitter_mm *= rng.random() < SHIFTED
        gap = rng.integers(1, ENDS_WITHIN + 1) * CUBES_MM[0][1]
        self.ends = 0 if rng.random() >= ENDING else 1 if rng.random() < 0.5 else -1
        self.end_mm = click_mm[0] + self.ends * gap
        self.rng = rng

    def at(self, cube: Cube, told_mm: Index) -> tuple[Place, Seen, Bytes]:
        """The part of a cube that the network sees, where it lies, and what is what in it."""
        step, kept = cube.place.step_mm, cube.place.cells
        middle = cube.place.index(self.first_mm + self.jitter_mm)
        first = np.clip(np.rint(middle).astype(int) - CELLS // 2, 0, kept - CELLS)
        z, y, x = (slice(int(f), int(f) + CELLS) for f in first)
        window = (z, y, x)
        place = cube.place.inner(first, CELLS)
        parts = np.flip(cube.parts, self.mirrored)[window]
        hu = _unpacked(np.flip(cube.hu, self.mirrored)[window], *WINDOW_HU)
        hu = hu * np.float32(self.gain) + np.float32(self.offset)
        if self.noise_hu:  # Averaged where a voxel is larger.
            noise = self.noise_hu * CUBES_MM[0][1] / step
            hu += self.rng.standard_normal(hu.shape, dtype=np.float32) * np.float32(noise)
        blocked = parts == Cube.OUTSIDE
        if self.taken:
            blocked |= parts == Cube.OTHERS
        opinion = None
        if cube.opinion is not None and not self.blind:
            opinion = _unpacked(np.flip(cube.opinion, self.mirrored)[window], *LOGITS)
        if self.ends:
            centres = place.corner_mm[0] + (np.arange(CELLS) + 0.5) * step
            beyond = (centres - self.end_mm) * self.ends > 0
            blocked[beyond], hu[beyond] = True, OUTSIDE_HU
            if opinion is not None:
                opinion[beyond] = -HIGHEST_LOGIT
        seen = Seen(
            step_mm=step,
            hu=hu,
            opinion=opinion,
            within=[place.index(told_mm)],
            beside=[],
            before=None,
            blocked=np.ascontiguousarray(blocked),
        )
        return place, seen, parts


class Exercises:
    """Nodes drawn by size."""

    def __init__(self, found: Sequence[Node], seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self._by_size: dict[int, list[Node]] = {}
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
    return _beginning(load_file(read_model().file("weights.safetensors")))


def gone_on() -> FovealNet:
    """The network as the product has it."""
    return _beginning(load_file(WEIGHTS))


def _beginning(weights: Mapping[str, NDArray[Any]]) -> FovealNet:
    """A network with these weights; channels that they do not know begin at random, faintly."""
    net = FovealNet(inputs=len(CHANNELS))
    own = net.state_dict()
    with torch.no_grad():
        for name, value in weights.items():
            known = torch.from_numpy(value.astype(np.float32))
            if own[name].shape == known.shape:
                own[name].copy_(known)
            else:
                own[name].mul_(0.3)
                own[name][:, : known.shape[1]] = known
    net.load_state_dict(own)
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
        self.average = copy.deepcopy(self.net).eval()
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

    def _answers(self, net: FovealNet, exercises: Sequence[Exercise]) -> Tensor:
        """The logits, after a glance at the large cubes with the averaged weights."""
        wide = [one.wide for one in exercises if one.wide is not None]
        with torch.no_grad():
            glances = iter(
                _logits(self.average, [seen for _, seen in wide]).numpy() if wide else ()
            )
        shown = [
            one.seen
            if one.wide is None
            else replace(one.seen, wide=moved(one.wide[0], next(glances), one.place))
            for one in exercises
        ]
        return _logits(net, shown)

    def _update_average(self) -> None:
        keep = min(AVERAGING, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            current = self.net.state_dict()
            for name, value in self.average.state_dict().items():
                if value.dtype.is_floating_point:
                    value.lerp_(current[name], 1 - keep)

    def _watch(self) -> NDArray[np.float64]:
        """Mean Dice after each click on nodes of the phantoms set apart."""
        scores = np.zeros((WATCHED, CLICKS))
        with torch.no_grad():
            for number, watched in enumerate(self._watched):
                one = replace(watched)
                for click in range(CLICKS):
                    scores[number, click] = one.answered(
                        self._answers(self.average, [one])[0].numpy()
                    )
        means: NDArray[np.float64] = scores.mean(axis=0)
        return means

    def _tell(self, curve: str, began: float, scores: NDArray[np.float64]) -> None:
        row = [curve, self.step, round(time.monotonic() - began), *scores.round(4).tolist()]
        with (self.out / "curve.csv").open("a", newline="") as stream:
            csv.writer(stream).writerow(row)
        sys.stderr.write(f"{row}\n")


def _logits(net: FovealNet, cubes: Sequence[Seen]) -> Tensor:
    """The network's logit for each cube, very low where it is blocked."""
    stack = torch.from_numpy(np.stack([channels(seen) for seen in cubes]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logit: Tensor = net(stack.contiguous(memory_format=torch.channels_last_3d))[:, 0]
    blocked = torch.from_numpy(np.stack([seen.blocked for seen in cubes]))
    return logit.float().masked_fill(blocked, -10.0)


def write(run: Path, learned: Sequence[Case], chosen: Sequence[Case], unknown: Sequence[Case],
          network: FovealOpenVINO) -> None:  # fmt: skip
    """Write the weights, as float16, and what they reach with the product's own proposals.

    The run's record and curve are put after those of the phases it went on from.
    """
    state = torch.load(run / "checkpoint.pt", weights_only=True)
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
        "phases": _phases(run),
        "fitted_without_opinion_on": [case.seed for case in unknown],
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


def _phases(run: Path) -> list[dict[str, Any]]:
    """The phases that made the weights, the run's own last; its curve goes where the others lie."""
    own = json.loads((run / "record.json").read_text())
    phases = json.loads(FACTS.read_text())["phases"] if own["went_on"] else []
    if own not in phases:  # Written before.
        phases.append(own)
    shutil.copyfile(run / "curve.csv", FACTS.with_name(f"curve-{phases.index(own) + 1}.csv"))
    return list(phases)


def _command(given: argparse.Namespace) -> str:
    """The command line, with folders by their last name alone."""
    words = ["python -m inference.prompting.learning"]
    words += [folder.name.upper() for folder in given.folder]
    if given.blind:
        words += ["--blind", *(folder.name.upper() for folder in given.blind)]
    words += ["--apart", *map(str, given.apart), f"--out RUN --minutes {given.minutes:g}"]
    words += [f"--peak-rate {given.peak_rate:g} --seed {given.seed} --threads {given.threads}"]
    return " ".join(words + ["--go-on"] * given.go_on)


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
        nodes = [one for case in learned for one in nodes_of(case, network)]
        nodes += [one for case in unknown for one in nodes_of(case, None)]
        watched = [one for case in chosen for one in nodes_of(case, network)]
        sys.stderr.write(
            f"{len(nodes)} nodes of {len(learned) + len(unknown)} phantoms, {len(watched)} apart\n"
        )
        net = gone_on() if given.go_on else started()
        learner = Learner(net, Exercises(nodes, given.seed), Exercises(watched, 0), given.out)
        learner.run(given.minutes, given.peak_rate)
        record = {
            "command": _command(given),
            "went_on": given.go_on,
            "steps": learner.step,
            "phantoms": len(learned) + len(unknown),
        }
        (given.out / "record.json").write_text(json.dumps(record, indent=2) + "\n")
    if given.write:
        write(given.out, learned, chosen, unknown, network)


if __name__ == "__main__":
    main()
