"""The report's numbers once more, by another way: NumPy, SciPy and SimpleITK on exported files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk
from scipy import ndimage

Labels = npt.NDArray[np.uint16]


@dataclass(frozen=True)
class Numbers:
    """What the report claims of the AI against the signed reading."""

    nodes: int
    localised: int
    true_proposals: int
    false_proposals: int
    dice: float
    assd_mm: float
    mean_sensitivity: float

    @property
    def recall(self) -> float:
        return self.localised / self.nodes

    @property
    def precision(self) -> float:
        return self.true_proposals / (self.true_proposals + self.false_proposals)

    @property
    def f1(self) -> float:
        return 2 * self.precision * self.recall / (self.precision + self.recall)


def numbers(ai: Labels, signed: Labels, spacing_mm: tuple[float, float, float]) -> Numbers:
    """Recount from two label maps (slices, rows, columns); the AI's are all above the size filter.

    A signed node is found when at least 40 % of its voxels lie in the AI's mask; a proposal is
    true when it touches a found node, and everything else is false.
    """
    truth_labels = [int(n) for n in np.unique(signed) if n]
    found = [
        n
        for n in truth_labels
        if 10 * int((ai[signed == n] > 0).sum()) >= 4 * int((signed == n).sum())
    ]
    proposals = [int(n) for n in np.unique(ai) if n]
    true = [n for n in proposals if np.isin(signed[ai == n], found).any()]
    a, b = np.isin(signed, found), np.isin(ai, true)
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(_image(b, spacing_mm), _image(a, spacing_mm))
    return Numbers(
        nodes=len(truth_labels),
        localised=len(found),
        true_proposals=len(true),
        false_proposals=len(proposals) - len(true),
        dice=overlap.GetDiceCoefficient(),
        assd_mm=_average_surface_distance(a, b, spacing_mm),
        mean_sensitivity=float(np.mean([(ai[signed == n] > 0).mean() for n in found])),
    )


def _image(mask: npt.NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> sitk.Image:
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(spacing_mm[::-1])
    return image


def _average_surface_distance(
    a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> float:
    def border(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        inside = ndimage.binary_erosion(mask, ndimage.generate_binary_structure(3, 1))
        return np.asarray(mask & ~inside)

    border_a, border_b = border(a), border(b)
    to_b = ndimage.distance_transform_edt(~border_b, sampling=spacing_mm)
    to_a = ndimage.distance_transform_edt(~border_a, sampling=spacing_mm)
    total = to_b[border_a].sum() + to_a[border_b].sum()
    return float(total / (border_a.sum() + border_b.sum()))
