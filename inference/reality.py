"""``python -m inference.reality SCAN.zip --out FOLDER``: a check against one real CT.

Twenty phantom nodes are planted in the neck of a real, unenhanced CT (by a committed seed), the
model reads it in one run, and what it finds is scored: how many of the planted nodes, how many
other candidates, and how many of those lie where no node can be. Pictures and ``reality.json`` go
into the folder; the scan itself is never copied.

Other candidates are not all false: the scan's own nodes are unlabelled.
"""

from __future__ import annotations

import argparse
import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage as ndi

from backend.imaging.dicom import facts_of, judge, to_hu
from backend.imaging.grid import Vector
from fixtures.planting import Planted, plant
from inference.body import Body, find_body
from inference.foveal_openvino import FovealOpenVINO
from inference.model_folder import DEFAULT_MODEL, read_model
from inference.pipeline import segment
from inference.scoring import score_scan

PLANTED_NODES = 20
PLANTING_SEED = 910_001
FOUND_AT_LEAST, OTHERS_AT_MOST = 12, 10

BONE_HU, AIR_HU = 250, -300
WRONG_SHARE = 0.25
"""A candidate lies in bone or air where more than this share of its voxels does."""

OUTLINES = ((60, 220, 90), (80, 160, 255), (255, 70, 60))
"""Truth, what was found, and what of it is false."""

VoxelBox = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Places:
    """Where the parts of one scan are, in its voxels: half-open (slices, rows, columns)."""

    neck_slices: tuple[int, int]
    neck_rows: tuple[int, int]
    middle_column: int
    impossible: dict[str, tuple[VoxelBox, ...]]


HEAD_AND_NECK = Places(
    neck_slices=(3, 46),
    neck_rows=(130, 290),
    middle_column=255,
    impossible={
        "ear": (((40, 66), (180, 290), (150, 188)), ((40, 66), (180, 290), (322, 360))),
        "eye": (((66, 78), (150, 205), (180, 330)),),
        "brain": (((52, 90), (215, 330), (190, 325)),),
    },
)
"""Of the 90-slice head-and-neck CT of the CERR examples (511 x 511, 1 x 1 x 3 mm)."""


def read_scan(path: Path) -> tuple[NDArray[np.int16], Vector]:
    """Return HU (slices, rows, columns) and spacing in mm of the series in a zip."""
    with zipfile.ZipFile(path) as archive:
        images = [
            pydicom.dcmread(io.BytesIO(archive.read(name)))
            for name in archive.namelist()
            if not name.endswith("/")
        ]
    grid = judge(map(facts_of, images))
    by_uid = {str(image.SOPInstanceUID): image for image in images}
    return np.stack([to_hu(by_uid[uid]) for uid in grid.sop_uids]), grid.spacing_mm


def native_depth(body: Body, shape: Sequence[int]) -> NDArray[np.float32]:
    """Return the depth under the skin in mm of every voxel of the native grid."""
    depth = body.depth_mm
    for axis, step in enumerate(body.step):
        depth = depth.repeat(step, axis)
    return depth[: shape[0], : shape[1], : shape[2]]


def plant_in(
    image: NDArray[np.int16], spacing_mm: Vector, places: Places = HEAD_AND_NECK
) -> Planted:
    """Return the scan with the committed nodes planted."""
    return plant(
        image,
        spacing_mm,
        native_depth(find_body(image, spacing_mm), image.shape),
        slices=places.neck_slices,
        rows=places.neck_rows,
        middle_column=places.middle_column,
        count=PLANTED_NODES,
        seed=PLANTING_SEED,
    )


def where_it_lies(
    mask: NDArray[np.bool_], image: NDArray[np.int16], body: Body, places: Places
) -> str:
    """Return ``bone``, ``air``, ``table``, ``ear``, ``eye``, ``brain`` or ``soft tissue``."""
    voxels = np.argwhere(mask)
    hu = image[mask]
    if (body.depth_at(voxels) == 0).mean() > 0.5:
        return "table"
    if (hu > BONE_HU).mean() > WRONG_SHARE:
        return "bone"
    if (hu < AIR_HU).mean() > WRONG_SHARE:
        return "air"
    centre = voxels.mean(axis=0)
    for name, boxes in places.impossible.items():
        for box in boxes:
            if all(low <= c < high for c, (low, high) in zip(centre, box, strict=True)):
                return name
    return "soft tissue"


def check(path: Path, out: Path, folder: Path = DEFAULT_MODEL) -> dict[str, Any]:
    """Plant, read, score and draw; return what ``reality.json`` holds."""
    image, spacing_mm = read_scan(path)
    planted = plant_in(image, spacing_mm)
    net = FovealOpenVINO(read_model(folder))
    found = segment(planted.image, spacing_mm, net)
    score = score_scan(found.labels, planted.labels, [asdict(n) for n in planted.nodes], spacing_mm)
    body = find_body(planted.image, spacing_mm)
    boxes = ndi.find_objects(found.labels.astype(np.int32))
    others = []
    for label in score.false_labels:
        mask = found.labels == label
        centre = [round((part.start + part.stop) / 2) for part in boxes[label - 1]]
        place = where_it_lies(mask, planted.image, body, HEAD_AND_NECK)
        others.append({"label": label, "centre_voxel": centre, "lies_in": place})
    impossible = sum(other["lies_in"] != "soft tissue" for other in others)
    located = sum(node.localised for node in score.nodes)
    result = {
        "model": {"name": net.model.name, "version": net.model.version},
        "planting_seed": PLANTING_SEED,
        "planted": len(score.nodes),
        "found": located,
        "other_candidates": len(others),
        "where_no_node_can_be": impossible,
        "met": located >= FOUND_AT_LEAST and len(others) <= OTHERS_AT_MOST and not impossible,
        "dice": score.dice,
        "nodes": [asdict(node) for node in score.nodes],
        "others": others,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "reality.json").write_text(json.dumps(result, indent=2) + "\n")
    _pictures(planted, found.labels, set(score.false_labels), out)
    return result


def _pictures(
    planted: Planted, found: NDArray[np.uint16], others: set[int], out: Path, columns: int = 5
) -> None:
    """Write the slices that show most, and one of each other candidate outside of them."""
    chosen = [int(np.argwhere(planted.labels == n.label)[:, 0].mean()) for n in planted.nodes]
    chosen += [int(np.argwhere(found == label)[:, 0].mean()) for label in others]
    slices = sorted({round(z / 2) * 2 for z in chosen} & set(range(len(found))))
    rows, middle = slice(110, 370), HEAD_AND_NECK.middle_column
    window = slice(middle - 115, middle + 115)
    tiles = []
    for z in slices:
        hu, truth = planted.image[z, rows, window], planted.labels[z, rows, window]
        label = found[z, rows, window]
        tiles.append(overlay(hu, truth > 0, label > 0, np.isin(label, list(others))))
    blank = np.zeros_like(tiles[0])
    tiles += [blank] * (-len(tiles) % columns)
    lines = [np.concatenate(tiles[i : i + columns], 1) for i in range(0, len(tiles), columns)]
    Image.fromarray(np.concatenate(lines, 0)).save(out / "reality.png", optimize=True)


def few_colours(picture: Image.Image) -> Image.Image:
    """Return an overlay in 64 greys and the outlines' own colours: a file of a third the size."""
    greys = [(level, level, level) for level in np.linspace(0, 255, 64).round().astype(int)]
    palette = Image.new("P", (1, 1))
    flat = [int(part) for colour in (*greys, *OUTLINES) for part in colour]
    palette.putpalette(flat + flat[-3:] * (256 - len(flat) // 3))
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


def overlay(
    hu: NDArray[np.int16],
    truth: NDArray[np.bool_],
    found: NDArray[np.bool_],
    false: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """Return a slice in a soft-tissue window, outlined: truth green, found blue, false red."""
    grey = np.clip((hu.astype(np.float32) + 160) * (255 / 400), 0, 255).astype(np.uint8)
    picture = np.repeat(grey[..., None], 3, axis=2)
    for mask, colour in zip((truth, found, false), OUTLINES, strict=True):
        picture[mask & ~ndi.binary_erosion(mask)] = colour
    return picture


def main() -> None:
    """Check the scan named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m inference.reality", description=__doc__)
    parser.add_argument("scan", type=Path, help="headneck_ct/cerr_head_neck_ex1.zip")
    parser.add_argument("--out", type=Path, required=True, help="folder for pictures and JSON")
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="model folder")
    chosen = parser.parse_args()
    result = check(chosen.scan, chosen.out, chosen.model)
    print(json.dumps({k: v for k, v in result.items() if k != "nodes"}, indent=2))  # noqa: T201


if __name__ == "__main__":
    main()
