"""Which patches the network sees: stratified by node size and kind, with mined hard cases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage as ndi
from torch.nn import functional

from .volumes import Volume, read_volume, written_seeds

JITTER_SHARE = 0.33
"""How far, as share of the side, the point of interest may lie from the middle of its patch."""

STRATA = {
    "small": 0.04,
    "medium": 0.27,
    "large": 0.14,
    "bulky": 0.13,
    "necrotic": 0.14,
    "mined": 0.18,
    "body": 0.10,
}
"""Share of patches by what they are centred on. Small: short axis below 5 mm; medium: 5 to 10;
large: 10 to 15; bulky: above; necrotic: whatever its size; mined: a false alarm or a miss of the
network during training; body: any soft tissue."""

MINED_PER_VOLUME = 24

SCALED_SHARE = 0.25
SCALES = (0.8, 1.35)
"""This share of the patches is shown smaller or larger than it is."""

WIDE_SHARE, WIDE_SCALE = 0.2, 0.5
WIDE_FROM_MM = 10.0
"""This share is shown at half the size, so that the large nodes fill a patch as medium ones do;
nodes with a shorter short axis are left undecided there."""

ENHANCED_HU = 130.0
"""What is denser is a vessel with contrast, calcified, metal or bone."""


@dataclass
class _Entry:
    volume: Volume
    by_stratum: dict[str, list[tuple[int, int, int]]]
    mined: list[tuple[int, int, int]]


def _stratum(short_axis_mm: float, necrotic: bool) -> str:
    if necrotic:
        return "necrotic"
    if short_axis_mm < 5:
        return "small"
    if short_axis_mm < 10:
        return "medium"
    return "large" if short_axis_mm < 15 else "bulky"


class PatchSampler:
    """Draws augmented training patches from the volumes found in a folder."""

    def __init__(self, folder: Path, seed: int, patch: tuple[int, int, int]) -> None:
        self.folder = folder
        self.patch_shape = patch
        self.rng = np.random.default_rng(seed)
        self.entries: dict[int, _Entry] = {}
        self.refresh()

    def refresh(self) -> None:
        """Take up the volumes that were written since the last call."""
        for seed in written_seeds(self.folder):
            if seed not in self.entries:
                volume = read_volume(self.folder, seed)
                self.entries[seed] = _Entry(volume, self._centres(volume), [])

    @staticmethod
    def _centres(volume: Volume) -> dict[str, list[tuple[int, int, int]]]:
        centres: dict[str, list[tuple[int, int, int]]] = {}
        for node in volume.nodes:
            kind = _stratum(node["short_axis_mm"], node["necrotic"])
            z, y, x = (int(c) for c in node["centre_mm"])
            centres.setdefault(kind, []).append((z, y, x))
        return centres

    def any_volume(self) -> Volume:
        """Return one volume at random: the next to mine."""
        return self.entries[self._any_seed()].volume

    def remember(self, seed: int, points: list[tuple[int, int, int]]) -> None:
        """Store the voxels where the network was wrong in this volume, replacing older ones."""
        self.rng.shuffle(points)
        self.entries[seed].mined = points[:MINED_PER_VOLUME]

    def _any_seed(self) -> int:
        seeds = list(self.entries)
        return seeds[int(self.rng.integers(len(seeds)))]

    def _point(self) -> tuple[Volume, tuple[int, int, int]]:
        kind = str(self.rng.choice(list(STRATA), p=list(STRATA.values())))
        for _ in range(12):
            entry = self.entries[self._any_seed()]
            points = entry.mined if kind == "mined" else entry.by_stratum.get(kind, [])
            if points:
                return entry.volume, points[int(self.rng.integers(len(points)))]
        volume = self.any_volume()
        return volume, self._body_point(volume)

    def _body_point(self, volume: Volume) -> tuple[int, int, int]:
        shape = volume.image.shape
        for _ in range(50):
            z, y, x = (int(self.rng.integers(n)) for n in shape)
            if -160 < volume.image[z, y, x] < 250:
                return z, y, x
        return shape[0] // 2, shape[1] // 2, shape[2] // 2

    def patch(self, *, augmented: bool = True) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return a patch in HU and its truth, both float32: 1 node, 0 none, -1 left undecided."""
        volume, point = self._point()
        scale = self._scale() if augmented else 1.0
        taken = [round(side / scale) for side in self.patch_shape]
        if any(side > extent for side, extent in zip(taken, volume.image.shape, strict=True)):
            scale, taken = 1.0, list(self.patch_shape)
        parts = []
        for centre, side, extent in zip(point, taken, volume.image.shape, strict=True):
            jitter = int(JITTER_SHARE * side)
            first = centre + int(self.rng.integers(-jitter, jitter + 1)) - side // 2
            first = int(np.clip(first, 0, extent - side))
            parts.append(slice(first, first + side))
        image = volume.image[tuple(parts)].astype(np.float32)
        labels = volume.labels[tuple(parts)]
        truth = (labels > 0).astype(np.float32)
        if scale == WIDE_SCALE:
            small = [n["label"] for n in volume.nodes if n["short_axis_mm"] < WIDE_FROM_MM]
            truth[np.isin(labels, small)] = -1
        if volume.ignored is not None:
            truth[volume.ignored[tuple(parts)] & (truth == 0)] = -1
        image = _resized(image, self.patch_shape, "area" if scale < 1 else "trilinear")
        truth = _resized(truth, self.patch_shape, "nearest-exact")
        return self._augmented(image, truth) if augmented else (image, truth)

    def _scale(self) -> float:
        drawn = self.rng.random()
        if drawn < WIDE_SHARE:
            return WIDE_SCALE
        return float(self.rng.uniform(*SCALES)) if drawn < WIDE_SHARE + SCALED_SHARE else 1.0

    def _augmented(
        self, image: NDArray[np.float32], truth: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mirror left and right, vary gain, offset, contrast, sharpness, slice profile, noise."""
        rng = self.rng
        if rng.random() < 0.5:
            image, truth = image[..., ::-1], truth[..., ::-1]
        image = image * np.float32(rng.uniform(0.92, 1.08)) + np.float32(rng.uniform(-15, 15))
        if rng.random() < 0.25:  # Vessels that take up more contrast, or less, than nodes do.
            over = np.maximum(image - np.float32(ENHANCED_HU), 0)
            image = image + over * np.float32(rng.uniform(-0.7, 1.5))
        if rng.random() < 0.15:
            image = ndi.gaussian_filter(image, float(rng.uniform(0.3, 0.8)), truncate=2.0)
        if rng.random() < 0.15:
            image = ndi.gaussian_filter1d(image, float(rng.uniform(0.4, 1.6)), axis=0, truncate=2.0)
        if rng.random() < 0.15:
            coarse = rng.standard_normal([-(-n // 2) for n in image.shape], dtype=np.float32)
            coarse = coarse.repeat(2, 0).repeat(2, 1).repeat(2, 2)
            d, h, w = image.shape
            image = image + coarse[:d, :h, :w] * np.float32(rng.uniform(4, 14))
        if rng.random() < 0.3:
            noise = rng.standard_normal(image.shape, dtype=np.float32)
            image = image + noise * np.float32(rng.uniform(2, 18))
        if rng.random() < 0.15:
            noise = rng.standard_normal(image.shape, dtype=np.float32)
            noise = ndi.gaussian_filter(noise, float(rng.uniform(0.7, 1.6)), truncate=2.0)
            image = image + noise * np.float32(rng.uniform(4, 16) / noise.std())
        return np.ascontiguousarray(image), np.ascontiguousarray(truth)


def _resized(
    values: NDArray[np.float32], shape: tuple[int, int, int], mode: str
) -> NDArray[np.float32]:
    """Return the array on another number of voxels."""
    if values.shape == shape:
        return values
    given = torch.from_numpy(np.ascontiguousarray(values))[None, None]
    resized: NDArray[np.float32] = functional.interpolate(given, shape, mode=mode)[0, 0].numpy()
    return resized
