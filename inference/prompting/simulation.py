"""Clicks as a reader would make them on a node that is known: the first, and the corrections."""

from __future__ import annotations

from collections.abc import Sequence

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from inference.prompting.proposal import Network, Prompt, Proposal, Voxel, propose
from inference.prompting.seen import Bools, Judge

FIRST_CLICK_DEPTH = 0.6


def first_click(truth: Bools, spacing_mm: Sequence[float], rng: np.random.Generator) -> Voxel:
    """A click somewhere in the inner part of a node, not at its very centre."""
    depth = edt.edt(np.ascontiguousarray(truth), anisotropy=tuple(spacing_mm), black_border=True)
    inner = np.argwhere(depth >= FIRST_CLICK_DEPTH * depth.max())
    z, y, x = inner[rng.integers(len(inner))]
    return int(z), int(y), int(x)


def placed(proposal: Proposal, shape: Sequence[int]) -> Bools:
    """A proposal as a mask of the whole volume."""
    mask = np.zeros(shape, np.bool_)
    where = tuple(
        slice(first, first + side)
        for first, side in zip(proposal.start, proposal.mask.shape, strict=True)
    )
    mask[where] = proposal.mask
    return mask


def correction(
    truth: Bools, proposed: Bools, spacing_mm: Sequence[float]
) -> tuple[Voxel, bool] | None:
    """The middle of the largest piece that is wrong, and whether it lies within the node."""
    best: tuple[int, Bools, bool] | None = None
    for wrong, within in ((truth & ~proposed, True), (proposed & ~truth, False)):
        pieces, count = ndi.label(wrong)
        if not count:
            continue
        sizes = np.bincount(pieces.ravel())[1:]
        if best is None or sizes.max() > best[0]:
            best = int(sizes.max()), pieces == int(sizes.argmax()) + 1, within
    if best is None:
        return None
    depth = edt.edt(np.ascontiguousarray(best[1]), anisotropy=tuple(spacing_mm), black_border=True)
    z, y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return (int(z), int(y), int(x)), best[2]


def dice(first: Bools, second: Bools) -> float:
    """Dice of two masks; 1 where both are empty."""
    whole = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / whole if whole else 1.0


def surroundings(
    truth: Bools, spacing_mm: Sequence[float], margin_mm: float
) -> tuple[slice, slice, slice]:
    """The box of a node with a margin, as far as the volume goes."""
    box = ndi.find_objects(truth.astype(np.uint8))[0]
    a, b, c = (
        slice(max(0, part.start - int(margin_mm / s)), part.stop + int(margin_mm / s))
        for part, s in zip(box, spacing_mm, strict=True)
    )
    return a, b, c


def clicked(
    image_hu: NDArray[np.int16], truth: Bools, spacing_mm: tuple[float, float, float],
    rng: np.random.Generator, clicks: int, *, judge: Judge | None = None,
    network: Network | None = None,
) -> tuple[list[tuple[Voxel, bool]], list[float]]:  # fmt: skip
    """Clicks on one node, the later ones where the proposal is wrong; and the Dice after each.

    A node that needs no further click keeps its score.
    """
    made: list[tuple[Voxel, bool]] = [(first_click(truth, spacing_mm, rng), True)]
    scores: list[float] = []
    earlier: dict[Prompt, Proposal] = {}
    while True:
        prompt = Prompt(tuple(made))
        found = propose(image_hu, spacing_mm, prompt, network=network, judge=judge, earlier=earlier)
        mask = placed(found, truth.shape)
        scores.append(dice(mask, truth))
        if len(scores) == clicks:
            return made, scores
        wrong = correction(truth, mask, spacing_mm)
        if wrong is None:
            return made, scores + [scores[-1]] * (clicks - len(scores))
        made.append(wrong)
