"""Series made of series that cannot be read as they came: written into the archive as classic ones.

Multi-frame images become single ones, a stack is parted from the localizers it came with, a tilted
stack is sheared straight. The source stays and is served as it is; what is made names it, slice by
slice, and is judged like any other. Making the same again gives the same files.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache
from itertools import islice
from uuid import UUID

import numpy as np
import pydicom
from django.db import DatabaseError, transaction
from django.utils import timezone
from pydicom.dataset import Dataset

from backend.archive.findings import NotTaken
from backend.archive.judging import (
    WAITING,
    ask_to_derive,
    judge_series,
    lock_series,
    settle,
    weighed,
)
from backend.archive.models import Derivation, Door, Series, VolumeState
from backend.archive.parsing import parse
from backend.archive.pixels import raw_frame
from backend.archive.receipts import close_receipt, count, open_receipt
from backend.archive.storing import read_dataset, store_all
from backend.archive.verdicts import Verdict, slice_facts
from backend.archive.volume import hounsfield
from backend.imaging.derived import (
    Making,
    as_sheared,
    copied,
    derived_uid,
    flattened,
    placed,
    reference,
    with_pixels,
)
from backend.imaging.frames import holds_frames
from backend.imaging.grid import Grid
from backend.imaging.tilt import OUTSIDE_HU, sheared, straighten

logger = logging.getLogger(__name__)

BATCH = 16  # Slices encoded and stored at a time: what of a volume is in memory.
PATIENCE = timedelta(seconds=120)

_MAKINGS = {
    Derivation.FRAMES: Making(
        "frames", "single frames", "One frame of a multi-frame image; its pixels are unchanged."
    ),
    Derivation.STACK: Making(
        "stack", "stack alone", "An image parted from its series; its pixels are unchanged."
    ),
    Derivation.TILT: Making(
        "tilt",
        "tilt resampled",
        "Gantry tilt taken out: shifted within the slice's plane, linear, in HU; "
        f"{OUTSIDE_HU} where nothing was imaged.",
    ),
}
_WHY_NOT = "CANNOT_BE_REWRITTEN"
_SUPERSEDED = (
    "More images came to the series this one was made of, and it was made anew. "
    "Nothing to do: it is kept and served, and not offered for reading."
)


def derive(*, series_id: UUID) -> Series | None:
    """Write the series that a waiting one is read as, and judge it; None where none waits."""
    with transaction.atomic():
        source = lock_series(series_id, WAITING)
        if source is None:
            return None
        verdict = weighed(source)
        made = None
        if verdict.derivation and verdict.grid is not None:
            verdict, made = _made(source, verdict, verdict.grid)
        settle(source, verdict)
    if made is None:
        return None
    return judge_series(made.pk) or Series.objects.get(pk=made.pk)


def ask_again() -> None:
    """Queue again what has waited too long to be rewritten; called every second."""
    long_ago = timezone.now() - PATIENCE
    for series in Series.objects.filter(WAITING, judged_at__lte=long_ago)[:50]:
        with transaction.atomic():
            Series.objects.filter(pk=series.pk).update(judged_at=timezone.now())
            ask_to_derive(series)


def bind(*, series: Series) -> None:
    """Let nothing more into a series that a case reads, nor into the one it was made of."""
    Series.objects.filter(pk__in=[series.pk, series.derived_from_id]).update(bound=True)
    series.bound = True


def _made(source: Series, verdict: Verdict, grid: Grid) -> tuple[Verdict, Series | None]:
    """The derived series, stored and pending; or why there is none, as a verdict on the source."""
    try:
        with transaction.atomic():
            return verdict, _written(source, Derivation(verdict.derivation), grid)
    except (DatabaseError, OSError):
        raise  # The database or the store is away: it is tried again.
    except Exception as error:
        logger.exception("Series %s could not be rewritten.", source.uid)
        said = str(error) if isinstance(error, NotTaken) else f"{type(error).__name__}: {error}"
        reason = (
            f"{verdict.sentence} They could not be written ({said}). "
            "Have the scanner send the series as single images in one stack."
        )
        return Verdict(VolumeState.QUARANTINED, _WHY_NOT, reason[:2000]), None


def _written(source: Series, derivation: Derivation, grid: Grid) -> Series:
    # One series for one set of source images: where more come, another is made.
    uid = derived_uid(derivation.value, source.uid, *grid.sop_uids)
    receipt = open_receipt(source=f"made of series {source.uid}", door=Door.DERIVED, actor=None)
    waiting = _images(source, derivation, grid, uid)
    while images := list(islice(waiting, BATCH)):
        incoming = [parse(str(image.SOPInstanceUID), _encoded(image)) for image in images]
        outcomes = []
        for one in store_all(receipt=receipt, incoming=incoming):
            if isinstance(one, NotTaken):
                raise one
            outcomes.append("stored" if one[1] else "already_here")
        count(receipt, outcomes)
    close_receipt(receipt=receipt, actor=None, judge=False)
    Series.objects.filter(uid=uid).update(derived_from=source, derivation=derivation.value)
    stale = source.derived.exclude(uid=uid).filter(bound=False)
    stale.update(
        volume_state=VolumeState.SET_ASIDE,
        volume_code="SUPERSEDED",
        volume_reason=_SUPERSEDED,
        grid=None,
        geometry_hash="",
    )
    return Series.objects.get(uid=uid)


def _images(source: Series, derivation: Derivation, grid: Grid, uid: str) -> Iterator[Dataset]:
    """The images of the derived series, in grid order."""
    if derivation == Derivation.TILT:
        return _sheared(source, grid, uid)
    return _copies(source, grid, uid, _MAKINGS[derivation])


def _copies(source: Series, grid: Grid, uid: str, making: Making) -> Iterator[Dataset]:
    found = {i.sop_uid: i for i in source.instances.all()}

    @lru_cache(maxsize=2)
    def dataset_of(sop_uid: str) -> Dataset:
        return read_dataset(found[sop_uid])

    for place, name in enumerate(grid.sop_uids):
        sop_uid, _, frame = name.partition("#")
        dataset = dataset_of(sop_uid)
        index = int(frame) - 1 if frame else 0
        sop_class = found[sop_uid].sop_class_uid
        image = flattened(dataset, index) if holds_frames(sop_class) else copied(dataset)
        named = reference(sop_class, sop_uid, index + 1 if frame else None)
        image = placed(image, grid=grid, place=place, source=named, series_uid=uid, making=making)
        yield with_pixels(image, raw_frame(dataset, index))


def _sheared(source: Series, grid: Grid, uid: str) -> Iterator[Dataset]:
    found = {i.sop_uid: i for i in source.instances.all()}
    images = [found[sop_uid] for sop_uid in grid.sop_uids]
    straight = straighten(slice_facts(instance) for instance in images)
    for place, instance in enumerate(images):
        row, column = straight.shifts[place].tolist()
        values = sheared(hounsfield(instance), (row, column), (grid.shape[1], grid.shape[2]))
        image = placed(
            copied(read_dataset(instance)),
            grid=grid,
            place=place,
            source=reference(instance.sop_class_uid, instance.sop_uid),
            series_uid=uid,
            making=_MAKINGS[Derivation.TILT],
        )
        image = as_sheared(image, grid, place)
        yield with_pixels(image, np.ascontiguousarray(values, "<i2").tobytes())


def _encoded(image: Dataset) -> bytes:
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, image, enforce_file_format=True)
    return buffer.getvalue()
