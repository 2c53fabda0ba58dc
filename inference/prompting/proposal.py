"""`propose`: clicks in a CT → the node that lies there, how sure, and what is unsure about it.

The cube around the clicks is looked at twice as fine as a small node is wide, after a glance at a
cube twice as large and coarse, which answers where what is found reaches the small one's border.
Fat, air, bone, other nodes and clicks beside the node stop it; a dark centre within a rim is part
of the node.
"""

from __future__ import annotations

import logging
import time
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache, cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from inference.prompting.click_net import ClickNetworkDamaged, read_click_net
from inference.prompting.features import FAT_HU, TISSUE_HU
from inference.prompting.perceptron import LOWEST_LOGIT, read_perceptron
from inference.prompting.place import Place, Triple, interpolate
from inference.prompting.seen import Bools, Field, Judge, Seen

logger = logging.getLogger(__name__)

CUBES_MM = ((18.0, 0.75), (36.0, 1.5))
"""Half side and voxel of the cube, small and large: `click_net.CELLS` voxels along each side."""
NETWORK_CELLS = 80
NETWORK_STEP_MM = 1.0
SMOOTH_MM = 0.4
SHAKY = 0.1
"""What is less likely than this is no part of what the click can reach."""
SURE_RADIUS_MM = 0.8
KEPT_RADIUS_MM = 4.0
KEPT_LOGIT = 5.0
STEPS = 4
"""So many last clicks are taken as corrections one after another; what is before them at once."""
OUTSIDE_HU = -1000.0

Voxel = tuple[int, int, int]


class Unsure(StrEnum):
    """What a proposal is unsure of; the browser has the words."""

    NO_TISSUE = "no_tissue"
    NO_FAT_BETWEEN = "no_fat_between"
    NEIGHBOUR = "neighbour"
    SIZE_LIMIT = "size_limit"
    END_OF_SCAN = "end_of_scan"
    FAINT = "faint"


class Network(Protocol):
    """What is asked of a network that knows nodes."""

    def probability(self, image_hu: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probability of "node" for each voxel of a 1 mm image in HU."""


@dataclass(frozen=True)
class Prompt:
    """What a reader said, in voxel numbers (slice, row, column) of the volume.

    Attributes:
        clicks: in the order they were made: where, and whether that is the node (at least one
            is) or beside it.
        box: first and last voxel of a box that the node does not leave.
    """

    clicks: tuple[tuple[Voxel, bool], ...]
    box: tuple[Voxel, Voxel] | None = None

    @property
    def within(self) -> tuple[Voxel, ...]:
        """The clicks in the node."""
        return tuple(at for at, within in self.clicks if within)

    @property
    def beside(self) -> tuple[Voxel, ...]:
        """The clicks that are not the node."""
        return tuple(at for at, within in self.clicks if not within)

    @property
    def before(self) -> Prompt | None:
        """The prompt without its last click; None where that says nothing."""
        earlier = Prompt(self.clicks[:-1], self.box)
        return earlier if earlier.within else None


@dataclass(frozen=True)
class Proposal:
    """What is proposed.

    Attributes:
        start: the volume's voxel at which `mask` begins.
        mask: yes/no (slices, rows, columns); empty where nothing was found.
        confidence: the Dice expected from the classifier's own probabilities, 0 to 1.
        unsure: what a reader should look at.
        timings_s: wall seconds of each step.
    """

    start: Voxel
    mask: Bools
    confidence: float
    unsure: tuple[Unsure, ...]
    timings_s: dict[str, float] = field(default_factory=dict)


class NoClick(ValueError):
    """A prompt needs at least one click within the node."""


@cache
def shipped_judge() -> Judge:
    """The click network; where it cannot be loaded, the perceptron, which needs none."""
    try:
        return read_click_net()
    except ClickNetworkDamaged:
        logger.exception("clicks are answered without the click network")
        return read_perceptron()


def propose(
    volume_hu: NDArray[np.int16],
    spacing_mm: Triple,
    prompt: Prompt,
    *,
    network: Network | None = None,
    judge: Judge | None = None,
    taken: tuple[Voxel, Bools] | None = None,
    before: tuple[Voxel, Bools] | None = None,
    earlier: MutableMapping[Prompt, Proposal] | None = None,
) -> Proposal:
    """The node at the clicks. The first click finds it; each further one corrects around itself.

    Args:
        volume_hu: HU (slices, rows, columns), caudal to cranial, anterior to posterior, right to
            left; may be memory-mapped: only the cube is read.
        spacing_mm: between voxel centres (slices, rows, columns).
        network: the protocol's model, whose opinion is asked for.
        judge: who tells the node from what lies beside it; else `shipped_judge`.
        taken: other nodes, as the first voxel and a mask from there; never proposed.
        before: what the node is now, likewise, where a node is refined: kept but for the
            surroundings of the clicks.
        earlier: proposals for the same prompt without its last clicks; this one is added. With
            all else equal it saves their time.

    Raises:
        NoClick: there is no click within.
    """
    if not prompt.within:
        raise NoClick(NoClick.__doc__)
    known: MutableMapping[Prompt, Proposal] = {} if earlier is None else earlier
    judge = judge or shipped_judge()
    waiting = [prompt]
    while len(waiting) < STEPS and (one := waiting[-1].before) is not None and one not in known:
        waiting.append(one)
    for step in reversed(waiting):
        now = before
        if step.before is not None and (last := known.get(step.before)) is not None:
            now = (last.start, last.mask) if last.mask.size else before
        known[step] = _step(
            volume_hu,
            spacing_mm,
            step,
            network=network,
            judge=judge,
            taken=taken,
            before=now,
            bound=before is not None or not judge.keeps,
        )
    return known[prompt]


def _step(
    volume_hu: NDArray[np.int16],
    spacing_mm: Triple,
    prompt: Prompt,
    *,
    network: Network | None,
    judge: Judge,
    taken: tuple[Voxel, Bools] | None,
    before: tuple[Voxel, Bools] | None,
    bound: bool,
) -> Proposal:
    """The node at the clicks; where there was something before, the last click corrects it.

    `bound`: away from that click it stays as it was, whatever the judge says.
    """
    watch = _Watch()
    clicks = [centre_mm(click, spacing_mm) for click in prompt.within]
    away = [centre_mm(click, spacing_mm) for click in prompt.beside]
    cubes = list(CUBES_MM)
    if _spread(clicks, before, spacing_mm) > 0.7 * CUBES_MM[0][0]:
        cubes = cubes[1:]
    opinion = None
    if network is not None:
        # Around the first click alone: a further one need not ask the network again.
        opinion = network_logit(network, volume_hu, spacing_mm, clicks[0])
        watch.note("network")
    centre = np.mean(clicks, axis=0)
    looks = [_Look(Place.around(centre, *cube), volume_hu, spacing_mm, taken) for cube in cubes]
    largest = looks[-1]
    wide: tuple[Place, Field] | None = None
    if judge.looks_wide:
        wide = largest.place, largest.judged(judge, clicks, away, opinion, before)
        watch.note("wide")
    for look in looks:
        if wide is not None and look is largest:
            judged = wide[1]
        else:
            judged = look.judged(judge, clicks, away, opinion, before, wide)
        values = look.possible(judged)
        if before is not None and bound:
            values = look.kept(values, before, prompt)
        found = look.proposal(values, prompt, last=look is largest)
        watch.note("propose")
        if found is not None:
            return Proposal(*found, watch.seconds)
    raise AssertionError("the last cube always answers")


def network_logit(
    network: Network, volume_hu: NDArray[np.int16], spacing_mm: Triple, around_mm: Triple
) -> tuple[Place, Field]:
    """The cube around a point, and the network's opinion of it, as a logit."""
    patch = Place.around(around_mm, NETWORK_CELLS * NETWORK_STEP_MM / 2, NETWORK_STEP_MM)
    chance = network.probability(patch.cut(volume_hu, spacing_mm, OUTSIDE_HU))
    chance = np.clip(chance, 3e-4, 1 - 3e-4)
    return patch, np.log(chance / (1 - chance)).astype(np.float32)


@dataclass
class _Watch:
    seconds: dict[str, float] = field(default_factory=dict)
    since: float = field(default_factory=time.perf_counter)

    def note(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = round(self.seconds.get(name, 0.0) + now - self.since, 4)
        self.since = now


@dataclass
class _Look:
    """One cube; `taken` are other nodes."""

    place: Place
    volume: NDArray[np.int16]
    spacing_mm: Triple
    taken: tuple[Voxel, Bools] | None

    def judged(
        self,
        judge: Judge,
        clicks: Sequence[Triple],
        away: Sequence[Triple],
        opinion: tuple[Place, Field] | None,
        before: tuple[Voxel, Bools] | None,
        wide: tuple[Place, Field] | None = None,
    ) -> Field:
        """The judge's logit in the cube."""
        return judge.logits(
            Seen(
                step_mm=self.place.step_mm,
                hu=self._hu,
                opinion=None if opinion is None else moved(*opinion, self.place),
                within=[self.place.index(click) for click in clicks],
                beside=[self.place.index(click) for click in away],
                before=None if before is None else self._of_native(before),
                blocked=self._blocked,
                wide=None if wide is None else moved(*wide, self.place),
            )
        )

    def possible(self, judged: Field) -> Field:
        """The judge's logit; the lowest in air, in bone and in other nodes."""
        smooth = ndi.gaussian_filter(np.clip(self._hu, -300, 400), 0.7 / self.place.step_mm)
        never = self._blocked | (smooth <= TISSUE_HU[0]) | (smooth >= TISSUE_HU[1])
        values: Field = np.where(never, LOWEST_LOGIT, np.clip(judged, LOWEST_LOGIT + 0.01, 8))
        return values

    @cached_property
    def _hu(self) -> Field:
        return self.place.cut(self.volume, self.spacing_mm, OUTSIDE_HU)

    @cached_property
    def _blocked(self) -> Bools:
        outside = ~self.place.within(self.volume.shape, self.spacing_mm)
        return outside if self.taken is None else outside | self._of_native(self.taken)

    def proposal(
        self, values: Field, prompt: Prompt, *, last: bool
    ) -> tuple[Voxel, Bools, float, tuple[Unsure, ...]] | None:
        """What the logits mean on the volume's own grid; None where a larger cube is needed."""
        chance = np.where(values > LOWEST_LOGIT, 1 / (1 + np.exp(-values)), 0).astype(np.float32)
        chance = ndi.gaussian_filter(chance, SMOOTH_MM / self.place.step_mm)
        part, fine = self.place.return_to(chance, self.volume.shape, self.spacing_mm)
        start = (part[0].start, part[1].start, part[2].start)
        hu = np.asarray(self.volume[part], np.float32)
        allowed = (hu > -200) & (hu < 600)
        if self.taken is not None:
            allowed &= ~_window(self.taken, start, fine.shape)
        if prompt.box is not None:
            allowed &= _boxed(prompt.box, start, fine.shape)
        inside = [_relative(click, start) for click in prompt.within]
        outside = [_relative(click, start) for click in prompt.beside]
        reached = (fine > SHAKY) & allowed
        self._sure(reached, inside, True, allowed & (hu > FAT_HU))
        self._sure(reached, outside, False, None)
        fine = np.where(_connected(reached, inside), fine, 0)
        threshold, confidence = _best_threshold(fine)
        mask = (fine >= threshold) & reached
        self._sure(mask, inside, True, allowed & (hu > FAT_HU))
        self._sure(mask, outside, False, None)
        mask = _connected(mask, inside)
        mask = _filled(mask) & allowed
        self._sure(mask, outside, False, None)
        if not mask.any():
            return start, mask[:0, :0, :0], 0.0, (Unsure.NO_TISSUE,)
        unsure = self._unsure(mask, hu, start)
        if Unsure.SIZE_LIMIT in unsure and not last:
            return None
        if confidence < 0.6:
            unsure = (*unsure, Unsure.FAINT)
        box = ndi.find_objects(mask.astype(np.uint8))[0]
        at = (start[0] + box[0].start, start[1] + box[1].start, start[2] + box[2].start)
        return at, mask[box], round(confidence, 3), unsure

    def kept(self, values: Field, before: tuple[Voxel, Bools], prompt: Prompt) -> Field:
        """What was there is kept, away from the click that corrects it."""
        was = np.where(self._of_native(before), KEPT_LOGIT, -KEPT_LOGIT)
        at, _ = prompt.clicks[-1]
        centre = self.place.index(centre_mm(at, self.spacing_mm))
        axes = np.ogrid[tuple(slice(n) for n in self.place.shape)]
        gap = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(axes, centre, strict=True)))
        distance = gap * self.place.step_mm
        share = np.clip(distance / KEPT_RADIUS_MM - 0.5, 0, 1).astype(np.float32)
        kept: Field = (values * (1 - share) + was * share).astype(np.float32)
        return kept

    def _of_native(self, other: tuple[Voxel, Bools]) -> Bools:
        """A mask of the volume's grid on the cube's."""
        at, mask = other
        corner = [first * s for first, s in zip(at, self.spacing_mm, strict=True)]
        return self.place.cut_mask(mask, self.spacing_mm, corner)

    def _sure(self, mask: Bools, clicks: Sequence[Voxel], value: bool, among: Bools | None) -> None:
        """A reader's word counts at the click itself, whatever the classifier says."""
        reach = [int(SURE_RADIUS_MM / s) for s in self.spacing_mm]
        for click in clicks:
            if any(not 0 <= i < n for i, n in zip(click, mask.shape, strict=True)):
                continue
            near = tuple(slice(max(0, i - r), i + r + 1) for i, r in zip(click, reach, strict=True))
            if among is None:
                mask[near] = value
            else:
                mask[near] |= among[near]
                mask[click] = True

    def _unsure(self, mask: Bools, hu: Field, start: Voxel) -> tuple[Unsure, ...]:
        found = []
        reach = [max(1, round(1.5 / s)) for s in self.spacing_mm]
        shell = ndi.binary_dilation(mask) & ~mask
        smooth = ndi.gaussian_filter(hu, [0.7 / s for s in self.spacing_mm])
        others = (
            np.zeros_like(mask) if self.taken is None else _window(self.taken, start, mask.shape)
        )
        if (shell & others).any():
            found.append(Unsure.NEIGHBOUR)
        tissue = (smooth > FAT_HU + 40) & (smooth < TISSUE_HU[1]) & ~others
        if (shell & tissue).sum() > 0.5 * shell.sum():
            found.append(Unsure.NO_FAT_BETWEEN)
        border, ends = np.zeros_like(mask), False
        for axis, count in enumerate(mask.shape):
            for low in (True, False):
                edge = [slice(None)] * 3
                edge[axis] = slice(0, reach[axis]) if low else slice(count - reach[axis], count)
                last = start[axis] == 0 if low else start[axis] + count == self.volume.shape[axis]
                if last:
                    edge[axis] = slice(0, 1) if low else slice(count - 1, count)
                    ends = ends or bool(mask[tuple(edge)].any())
                else:
                    border[tuple(edge)] = True
        if (mask & border).any():
            found.append(Unsure.SIZE_LIMIT)
        if ends:
            found.append(Unsure.END_OF_SCAN)
        return tuple(found)


def _best_threshold(chance: Field) -> tuple[float, float]:
    """The threshold from which the expected Dice is highest, and that Dice.

    Where the classifier is torn, a threshold of one half would give too small a node.
    """
    likely = np.sort(chance[chance > 0])[::-1].astype(np.float64)
    if not likely.size:
        return 0.5, 0.0
    sums = np.cumsum(likely)
    expected = 2 * sums / (np.arange(1, likely.size + 1) + sums[-1])
    best = int(expected.argmax())
    return min(float(likely[best]), 0.5), float(expected[best])


def centre_mm(voxel: Voxel, spacing_mm: Triple) -> Triple:
    """The middle of a voxel, in mm from the volume's corner."""
    z, y, x = ((index + 0.5) * s for index, s in zip(voxel, spacing_mm, strict=True))
    return z, y, x


def _spread(
    clicks: Sequence[Triple], before: tuple[Voxel, Bools] | None, spacing_mm: Triple
) -> float:
    """The farthest any click, and what is refined, lies from the clicks' centre, in mm."""
    points = [np.asarray(clicks)]
    if before is not None and before[1].size:
        at, mask = before
        corners = np.array([at, np.add(at, mask.shape)]) * spacing_mm
        points.append(corners)
    return float(np.abs(np.concatenate(points) - np.mean(clicks, axis=0)).max())


def moved(source: Place, values: Field, target: Place) -> Field:
    """Values of one cube on another; what lies outside repeats the border."""
    steps = (source.step_mm,) * 3
    first = [t - s for t, s in zip(target.corner_mm, source.corner_mm, strict=True)]
    return interpolate(values, steps, target.shape, (target.step_mm,) * 3, first)


def _relative(voxel: Voxel, start: Voxel) -> Voxel:
    return voxel[0] - start[0], voxel[1] - start[1], voxel[2] - start[2]


def _window(other: tuple[Voxel, Bools], start: Voxel, shape: Sequence[int]) -> Bools:
    """A mask that begins elsewhere, in a window of the volume."""
    window = np.zeros(shape, np.bool_)
    at, mask = other
    low = [max(a, s) for a, s in zip(at, start, strict=True)]
    high = [min(a + m, s + n) for a, m, s, n in zip(at, mask.shape, start, shape, strict=True)]
    if all(a < b for a, b in zip(low, high, strict=True)):
        into = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))
        out = tuple(slice(a - f, b - f) for a, b, f in zip(low, high, at, strict=True))
        window[into] = mask[out]
    return window


def _boxed(box: tuple[Voxel, Voxel], start: Voxel, shape: Sequence[int]) -> Bools:
    window = np.zeros(shape, np.bool_)
    first, last = _relative(box[0], start), _relative(box[1], start)
    window[tuple(slice(max(0, a), max(0, b + 1)) for a, b in zip(first, last, strict=True))] = True
    return window


def _connected(mask: Bools, clicks: Sequence[Voxel]) -> Bools:
    """The pieces that hold a click; a mask without any is emptied."""
    pieces, _ = ndi.label(mask, structure=ndi.generate_binary_structure(3, 2))
    held = {
        int(pieces[click])
        for click in clicks
        if all(0 <= i < n for i, n in zip(click, mask.shape, strict=True))
    } - {0}
    return np.isin(pieces, list(held)) if held else np.zeros_like(mask)


def _filled(mask: Bools) -> Bools:
    """Holes within a slice are filled: a necrotic centre belongs to its rim."""
    filled = ndi.binary_fill_holes(mask)
    for index in np.flatnonzero(mask.any(axis=(1, 2))):
        filled[index] = ndi.binary_fill_holes(filled[index])
    found: Bools = filled
    return found
