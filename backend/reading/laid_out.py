"""A worker's mask as a case keeps it: its slices in the store, and where each of its nodes lies.

Laid out when the worker puts it, which is before it says that the mask is ready: whoever waits for
it then waits for rows alone. The process that hears of it may be another than the one it was put
to, or have forgotten: it lays the mask out once more, from the store.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from backend.imaging.masks import PackedMask, unpack_mask
from backend.imaging.nodes import label_boxes
from backend.imaging.regions import Box
from backend.jobs.models import Run
from backend.jobs.protocol import RunKind
from backend.reading.maskstore import put_slices
from backend.store import store

# Names and boxes only: a few kilobytes each.
_KEPT = 32


@dataclass(frozen=True)
class LaidOut:
    """A mask whose slices the store has.

    Attributes:
        labels: label number → node UUID.
        slices: slice index → blob, the non-empty ones.
        boxes: label number → its box, for the numbers that have a voxel.
    """

    labels: Mapping[int, str]
    slices: Mapping[int, str]
    boxes: Mapping[int, Box]


_laid: OrderedDict[str, LaidOut] = OrderedDict()
_lock = threading.Lock()


def on_mask_put(run: Run, name: str, mask: PackedMask) -> None:
    """Lay out a mask that a case will have."""
    if run.kind != RunKind.PRESEGMENT:
        return
    found = _lay_out(mask)
    with _lock:
        _laid[name] = found
        while len(_laid) > _KEPT:
            _laid.popitem(last=False)


def take_laid_out(name: str) -> LaidOut:
    """The layout of a packed mask, by its name in the store; what is remembered is given once."""
    with _lock:
        found = _laid.pop(name, None)
    return found or _lay_out(unpack_mask(store().read(name)))


def _lay_out(mask: PackedMask) -> LaidOut:
    slices = put_slices(mask.slices)
    return LaidOut(dict(mask.labels), slices, label_boxes(mask.to_volume()))
