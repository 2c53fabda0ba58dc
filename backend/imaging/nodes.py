"""Lymph nodes as measured things: instances, axes, volume (METHODS.md §1.3–1.5)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, cast

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import cdist

from backend.imaging.axes import TIE_MM, Mask, NoSuchNode, Point, ellipse_sad_mm, line_ends
from backend.imaging.axes import Axes as Axes  # offered to users of nodes, too
from backend.imaging.axes import region_axes as region_axes
from backend.imaging.grid import Grid, Plane, Vector

LabelMap: TypeAlias = NDArray[Any]
Connectivity: TypeAlias = Literal[6, 18, 26]
SizeGroup: TypeAlias = Literal["lt5", "5-9", "10-14", "ge15"]
RecistClass: TypeAlias = Literal["non_pathological", "non_target", "target"]
BoundingBox: TypeAlias = tuple[int, int, int, int, int, int]

PREDICTION_MIN_SAD_MM = 4.5
SIZE_THRESHOLDS_MM = (PREDICTION_MIN_SAD_MM, 5.0, 10.0, 15.0)
SMALLEST_MEASURABLE_VOXELS = 2
# Fewer voxels than one in so many: they are looked at one by one.
SPARSE_SHARE = 16
HULL_WORTHWHILE = 2000
ELLIPSE_TOLERANCE_MM = 2.0
ELLIPSE_TOLERANCE_SHARE = 0.25


def components(mask: NDArray[Any], connectivity: Connectivity = 26) -> NDArray[np.uint16]:
    """Instances of a mask ``(slices, rows, columns)``: 1, 2, … per connected component.

    Args:
        mask: yes/no mask, or any array whose non-zero voxels are foreground.
        connectivity: 26 (default), 18 or 6 neighbours; record it with the result.

    Raises:
        ValueError: when there are more components than uint16 can number.
    """
    found, count = _label(mask if mask.dtype == np.bool_ else mask != 0, connectivity)
    if count > np.iinfo(np.uint16).max:
        raise ValueError(
            f"The mask falls into {count} pieces. Remove specks before numbering its nodes."
        )
    return np.asarray(found, np.uint16)


def _label(mask: Mask, connectivity: Connectivity = 26) -> tuple[NDArray[Any], int]:
    # cc3d 4.1.1 raises "maximum length exception" on some small boolean arrays, such as
    # [[[1, 0, 1]]] with 26 neighbours; the same voxels as uint8 are labelled rightly.
    voxels = np.ascontiguousarray(mask).view(np.uint8)
    found, count = cc3d.connected_components(voxels, connectivity=connectivity, return_N=True)
    return found, int(count)


def size_group(sad_mm: float) -> SizeGroup:
    """The source's size group of an unrounded short axis: [0,5) [5,10) [10,15) [15,∞) mm."""
    if sad_mm < 5:
        return "lt5"
    if sad_mm < 10:
        return "5-9"
    return "10-14" if sad_mm < 15 else "ge15"


def recist_class(sad_mm: float) -> RecistClass:
    """RECIST 1.1 nodal class of an unrounded short axis (advisory where slices are not axial)."""
    if sad_mm < 10:
        return "non_pathological"
    return "non_target" if sad_mm < 15 else "target"


def show_mm(value_mm: float, thresholds_mm: Sequence[float] = SIZE_THRESHOLDS_MM) -> str:
    """A length as it is shown: one decimal, two within 0.1 mm of a threshold.

    The text never stands on the other side of a threshold than the value: 9.96 shows as "9.96" and
    9.998 as "9.99".
    """
    near = _near(value_mm, thresholds_mm)
    if not near:
        return f"{value_mm:.1f}"
    text = f"{value_mm:.2f}"
    if any(value_mm < t <= float(text) for t in near):
        return f"{math.floor(value_mm * 100) / 100:.2f}"
    return text


def near_threshold_mm(
    value_mm: float, thresholds_mm: Sequence[float] = SIZE_THRESHOLDS_MM
) -> float | None:
    """The threshold within 0.1 mm of a length, None where there is none."""
    near = _near(value_mm, thresholds_mm)
    return near[0] if near else None


def _near(value_mm: float, thresholds_mm: Sequence[float]) -> list[float]:
    return [t for t in thresholds_mm if abs(value_mm - t) <= 0.1 + TIE_MM]


@dataclass(frozen=True)
class NodeMeasures:
    """What is measured of one node on one mask. Lengths in mm, indices ``(slice, row, column)``.

    Attributes:
        sad_mm, lad_mm: short and long axis, of the slice region with the longest long axis.
        slice_index, region_id: where that region is; regions of a slice count from 1, row-major.
        lad_points, sad_points: the four ends, fractional ``(row, column)`` on that slice.
        lad_points_mm, sad_points_mm: the same ends, LPS mm.
        longest_any_plane_mm: largest distance between two hull vertices in 3-D; its two ends in
            `longest_points_mm`; `longest_plane` is the anatomical plane nearest to it.
        sad_max_over_slices_mm: largest short axis of any slice region.
        sad_ellipse_mm: minor axis of the ellipse of equal moments on the chosen region.
        volume_mm3, voxels: size.
        fragmented: more than one 26-connected piece; measured on the union.
        measurable: at least two voxels.
        plane: plane of the slices the axes were drawn on.
        flags: `ELLIPSE_DISAGREES`, `NOT_AXIAL`, `CUT_OFF` (touches the border of the grid).
        centroid, centroid_mm: mean of its voxels, as index and LPS mm.
        bounding_box: ``(slice0, row0, column0, slice1, row1, column1)``, half-open.
        mean_hu: mean of the image under the node, if an image was given.
    """

    sad_mm: float
    lad_mm: float
    slice_index: int
    region_id: int
    lad_points: tuple[Point, Point]
    sad_points: tuple[Point, Point]
    lad_points_mm: tuple[Vector, Vector]
    sad_points_mm: tuple[Vector, Vector]
    longest_any_plane_mm: float
    longest_points_mm: tuple[Vector, Vector]
    longest_plane: Plane
    sad_max_over_slices_mm: float
    sad_ellipse_mm: float
    volume_mm3: float
    voxels: int
    fragmented: bool
    measurable: bool
    plane: Plane
    flags: tuple[str, ...]
    centroid: Vector
    centroid_mm: Vector
    bounding_box: BoundingBox
    mean_hu: float | None = field(default=None)

    @property
    def size_group(self) -> SizeGroup:
        """Size group of the short axis."""
        return size_group(self.sad_mm)

    @property
    def recist_class(self) -> RecistClass:
        """RECIST 1.1 class of the short axis; advisory where `plane` is not axial."""
        return recist_class(self.sad_mm)

    def to_json(self) -> dict[str, Any]:
        """All values as JSON, with the derived classes and the texts to show."""
        values: dict[str, Any] = {
            name: _jsonable(getattr(self, name)) for name in self.__dataclass_fields__
        }
        return values | derived_json(self.sad_mm, self.lad_mm)


def derived_json(sad_mm: float, lad_mm: float) -> dict[str, str]:
    """What follows from both axes: classes of the short one, and both as they are shown."""
    return {
        "size_group": size_group(sad_mm),
        "recist_class": recist_class(sad_mm),
        "sad_shown": show_mm(sad_mm),
        "lad_shown": show_mm(lad_mm),
    }


def _jsonable(value: Any) -> Any:
    return [_jsonable(item) for item in value] if isinstance(value, tuple) else value


def measure_node(
    mask: NDArray[Any],
    grid: Grid,
    *,
    offset: tuple[int, int, int] = (0, 0, 0),
    image_hu: NDArray[Any] | None = None,
) -> NodeMeasures:
    """Measure one node from a crop of its mask.

    Args:
        mask: ``(slices, rows, columns)``, non-zero = node; a crop is enough if it holds the node.
        grid: the grid the crop was taken from.
        offset: index in the grid of the crop's first voxel.
        image_hu: the image under the crop, same shape, for `mean_hu`.

    Raises:
        NoSuchNode: when the crop holds no voxel of it.
        ValueError: when the crop lies outside the grid, or the image has another shape.
    """
    full = np.asarray(mask) != 0
    if full.ndim != 3 or any(
        o < 0 or o + n > size for o, n, size in zip(offset, full.shape, grid.shape, strict=True)
    ):
        raise ValueError(
            f"A crop of {full.shape} at {offset} lies outside the grid {grid.shape}. "
            "Cut the crop from the mask of this grid."
        )
    if image_hu is not None and image_hu.shape != full.shape:
        raise ValueError(
            f"The image crop has shape {image_hu.shape}, the mask {full.shape}. "
            "Cut both from the same box."
        )
    tight = _tight_box(full)
    node = np.ascontiguousarray(full[tight])
    z0, y0, x0 = (o + part.start for o, part in zip(offset, tight, strict=True))
    corner = (z0, y0, x0)
    box: BoundingBox = (z0, y0, x0, z0 + node.shape[0], y0 + node.shape[1], x0 + node.shape[2])

    chosen, largest_sad = _choose_region(node, grid.spacing_mm[1], grid.spacing_mm[2])
    ellipse = ellipse_sad_mm(chosen.region, grid.spacing_mm[1], grid.spacing_mm[2])
    index = chosen.index + z0
    ends = [(row + y0, column + x0) for row, column in chosen.axes.lad_points]
    short_ends = [(row + y0, column + x0) for row, column in chosen.axes.sad_points]
    longest, longest_ends = _longest_any_plane(node, grid)
    longest_mm = tuple(grid.to_patient(*np.add(end, corner)) for end in longest_ends)
    coordinates = np.nonzero(node)
    voxels = int(coordinates[0].size)
    centroid = tuple(float(axis.mean()) + o for axis, o in zip(coordinates, corner, strict=True))
    pieces = _label(node)[1]
    flags = []
    allowed = max(ELLIPSE_TOLERANCE_MM, ELLIPSE_TOLERANCE_SHARE * chosen.axes.sad_mm)
    if abs(chosen.axes.sad_mm - ellipse) > allowed:
        flags.append("ELLIPSE_DISAGREES")
    if grid.plane != "axial":
        flags.append("NOT_AXIAL")
    if min(box[:3]) == 0 or any(end == size for end, size in zip(box[3:], grid.shape, strict=True)):
        flags.append("CUT_OFF")
    return NodeMeasures(
        sad_mm=chosen.axes.sad_mm,
        lad_mm=chosen.axes.lad_mm,
        slice_index=index,
        region_id=chosen.region_id,
        lad_points=(ends[0], ends[1]),
        sad_points=(short_ends[0], short_ends[1]),
        lad_points_mm=_pair([grid.to_patient(index, *end) for end in ends]),
        sad_points_mm=_pair([grid.to_patient(index, *end) for end in short_ends]),
        longest_any_plane_mm=longest,
        longest_points_mm=_pair(longest_mm),
        longest_plane=_plane_of(longest_mm),
        sad_max_over_slices_mm=largest_sad,
        sad_ellipse_mm=ellipse,
        volume_mm3=voxels * grid.voxel_mm3,
        voxels=voxels,
        fragmented=pieces > 1,
        measurable=voxels >= SMALLEST_MEASURABLE_VOXELS,
        plane=grid.plane,
        flags=tuple(flags),
        centroid=cast(Vector, centroid),
        centroid_mm=grid.to_patient(*centroid),
        bounding_box=box,
        mean_hu=None if image_hu is None else float(image_hu[tight][node].mean(dtype=np.float64)),
    )


def _pair(points: Sequence[Vector]) -> tuple[Vector, Vector]:
    return (points[0], points[1])


def _tight_box(mask: Mask) -> tuple[slice, slice, slice]:
    parts = []
    for axis in range(3):
        occupied = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if not occupied.size:
            raise NoSuchNode
        parts.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
    return (parts[0], parts[1], parts[2])


@dataclass(frozen=True)
class _Region:
    """One 8-connected region of one slice, whole crop wide."""

    index: int
    region_id: int
    region: Mask
    axes: Axes


def _regions(node: Mask) -> Iterator[tuple[int, int, Mask]]:
    """Every 8-connected region of every slice: slice index, number from 1, mask of the slice."""
    structure = np.ones((3, 3), np.bool_)
    for index, plane in enumerate(node):
        if not plane.any():
            continue
        labelled, count = ndimage.label(plane, structure)
        for number in range(1, count + 1):
            yield index, number, plane if count == 1 else labelled == number


def _choose_region(node: Mask, row_mm: float, column_mm: float) -> tuple[_Region, float]:
    """The region that gives the node's axes, and the largest short axis of all regions."""
    measured = [
        _Region(index, number, region, region_axes(region, row_mm, column_mm))
        for index, number, region in _regions(node)
    ]
    chosen = measured[0]
    for candidate in measured[1:]:
        if candidate.axes.beats(chosen.axes):
            chosen = candidate
    return chosen, max(region.axes.sad_mm for region in measured)


def _longest_any_plane(node: Mask, grid: Grid) -> tuple[float, NDArray[np.float64]]:
    """Largest distance in mm between hull vertices of the iso-0.5 surface, and its two ends.

    The ends are fractional ``(slice, row, column)`` indices in the crop. Candidates are the
    outermost surface vertices of every line along each axis.
    """
    half = np.concatenate([line_ends(node, axis) for axis in range(3)])
    points = half * (np.array(grid.spacing_mm) / 2)
    ends = _may_be_farthest(points)
    if len(ends) > HULL_WORTHWHILE:
        ends = points[ConvexHull(points).vertices]
    distances = cdist(ends, ends)
    i, j = np.unravel_index(int(distances.argmax()), distances.shape)
    return float(distances[i, j]), np.stack((ends[i], ends[j])) / np.array(grid.spacing_mm)


def _may_be_farthest(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points ``(n, 3)`` that can be an end of the largest distance; the others are left out.

    Two sweeps to the farthest point give a distance D that is reached. Round any centre with all
    points within R, an end of a distance of at least D lies at least D - R from the centre.
    """
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    radii = np.linalg.norm(points - centre, axis=1)
    first = points[radii.argmax()]
    second = points[np.linalg.norm(points - first, axis=1).argmax()]
    reached = np.linalg.norm(points - second, axis=1).max()
    kept: NDArray[np.float64] = points[radii >= reached - radii.max() - TIE_MM]
    return kept


def _plane_of(ends_mm: Sequence[Vector]) -> Plane:
    """The anatomical plane a line lies nearest to; axial, then coronal, where two are equal."""
    direction = np.abs(np.subtract(ends_mm[1], ends_mm[0]))
    planes: list[tuple[float, Plane]] = [
        (float(direction[2]), "axial"),
        (float(direction[1]), "coronal"),
        (float(direction[0]), "sagittal"),
    ]
    return min(planes, key=lambda entry: round(entry[0], 6))[1]


def measure_all(
    labels: LabelMap,
    grid: Grid,
    *,
    image_hu: NDArray[Any] | None = None,
    go_on: Callable[[], None] = lambda: None,
) -> dict[int, NodeMeasures]:
    """Measure every node of a label map ``(slices, rows, columns)``, one pass for the boxes.

    `go_on` is called before each node, and raises where nobody wants the measures any more.

    Raises:
        ValueError: when the label map is not of the grid's shape.
    """
    if labels.shape != grid.shape:
        raise ValueError(
            f"A label map of {labels.shape} does not lie on a grid of {grid.shape}. "
            "Take both from the same series."
        )
    measures = {}
    for label, box in label_boxes(labels).items():
        go_on()
        measures[label] = measure_node(
            labels[box] == label,
            grid,
            offset=(box[0].start, box[1].start, box[2].start),
            image_hu=None if image_hu is None else image_hu[box],
        )
    return measures


def label_boxes(labels: LabelMap) -> dict[int, tuple[slice, slice, slice]]:
    """Bounding box of every label present, ascending by label.

    Where few voxels have a label, as in masks of nodes, they alone are looked at.
    """
    present = labels != 0
    if np.count_nonzero(present) > labels.size // SPARSE_SHARE:
        boxes = enumerate(ndimage.find_objects(labels), start=1)
        return {number: box for number, box in boxes if box is not None}
    at = np.unravel_index(np.flatnonzero(present), labels.shape)
    numbers = labels[at]
    order = np.argsort(numbers, kind="stable")
    found, first = np.unique(numbers[order], return_index=True)
    if not found.size:
        return {}
    places = [axis[order] for axis in at]
    starts = [np.minimum.reduceat(axis, first).tolist() for axis in places]
    stops = [(np.maximum.reduceat(axis, first) + 1).tolist() for axis in places]
    ranges = [list(map(slice, *ends)) for ends in zip(starts, stops, strict=True)]
    return dict(zip(found.tolist(), zip(*ranges, strict=True), strict=True))
