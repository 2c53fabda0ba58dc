"""Putting DICOM objects into the archive: bytes first, then their rows, once."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pydicom
from django.db import DataError, IntegrityError, connection, transaction
from pydicom.dataset import Dataset

from backend.archive.entering import Arrived, any_here, enter
from backend.archive.findings import ASK_SENDER, NotTaken
from backend.archive.metadata import Metadata
from backend.archive.models import Instance, Receipt
from backend.archive.parsing import Incoming
from backend.archive.pixels import decode
from backend.archive.receipts import unless_undone
from backend.store import BlobMissing, store
from backend.together import Together

logger = logging.getLogger(__name__)

# Brings one batch to the disk while the rows of the one before go in.
_WRITING = ThreadPoolExecutor(max_workers=1, thread_name_prefix="writing")

Stored: TypeAlias = "tuple[Instance, bool] | NotTaken"


def write_ahead(incoming: Sequence[Incoming]) -> Future[list[str]] | None:
    """Begin to bring the bytes of objects to the disk; None where they may not all be new."""
    return _WRITING.submit(_put, incoming) if _all_new(incoming) else None


def store_new(
    receipt: Receipt,
    incoming: Sequence[Incoming],
    settle: Callable[[int], None],
    written: Future[list[str]] | None = None,
) -> list[Instance] | None:
    """Store objects that are all new and may all come in: as almost every batch.

    Their rows and what `settle(number of them)` writes go in together, in one transaction. None
    where any of them is not so: then nothing was written, and `store_all` judges one by one.

    What several senders have ready at the same time goes in with one transaction: whoever commits
    holds the series, the end of the log and the news, so that the others would only wait.
    `written` is what `write_ahead` of the same objects gave.
    """
    if written is not None:
        blobs = written.result()
    elif _all_new(incoming):
        blobs = _put(incoming)
    else:
        return None
    arrived = [Arrived(receipt, one, blob) for one, blob in zip(incoming, blobs, strict=True)]
    batch = _Batch(receipt, arrived, settle)
    try:
        if connection.in_atomic_block:  # Whose turn it is might wait for what is locked here.
            return _enter_all([batch])[0]
        return _TURNS.do(batch)
    except (DataError, IntegrityError, NotTaken):
        return None


class _Batch(NamedTuple):
    """New objects of one batch of files, and what is written with them."""

    receipt: Receipt
    arrived: Sequence[Arrived]
    settle: Callable[[int], None]


def _enter_all(batches: Sequence[_Batch]) -> list[list[Instance]]:
    """The rows of some batches, in one transaction; raises for the first fault in any of them."""
    with unless_undone([batch.receipt for batch in batches]):
        rows = iter(enter([one for batch in batches for one in batch.arrived]))
        entered = [list(islice(rows, len(batch.arrived))) for batch in batches]
        for batch, its_own in zip(batches, entered, strict=True):
            batch.settle(len(its_own))
    return entered


_TURNS = Together(_enter_all, at_most=8)


def _all_new(incoming: Sequence[Incoming]) -> bool:
    uids = {one.sop_uid for one in incoming}
    return len(uids) == len(incoming) and not any_here(uids)


def _put(incoming: Sequence[Incoming]) -> list[str]:
    return store().put_many([one.data for one in incoming], [one.known_hash for one in incoming])


def store_all(*, receipt: Receipt, incoming: Sequence[Incoming]) -> list[Stored]:
    """Store some objects; of each its row and whether it is new (False: the same is already
    here), or why it was not taken: CONFLICT…, LATE_IMAGE, SERIES_ELSEWHERE, SERIES_MODALITY or
    STUDY_PATIENT.

    Bytes are on the disk before any row is; then each series' rows go in together. Safe against
    the same objects arriving at several doors at once: where the database lets in another's first,
    the rows of that series are tried again one by one.
    """
    found: list[Stored | None] = [None] * len(incoming)
    here = _already_here(incoming)
    groups: dict[str, list[int]] = {}
    seen: set[str] = set()
    later = []
    for place, one in enumerate(incoming):
        if one.sop_uid in here:
            found[place] = _compared(here[one.sop_uid], one)
        elif one.sop_uid in seen:
            later.append(place)  # Twice in this batch: compared with the first once that is in.
        else:
            seen.add(one.sop_uid)
            groups.setdefault(one.series_uid, []).append(place)
    fresh = [place for places in groups.values() for place in places]
    blobs = dict(zip(fresh, _put([incoming[place] for place in fresh]), strict=True))
    for places in groups.values():
        batch = [(incoming[place], blobs[place]) for place in places]
        for place, stored in zip(places, _store_series(receipt, batch), strict=True):
            found[place] = stored
    for place in later:
        one = incoming[place]
        found[place] = _store_one(receipt, one, store().put(one.data, name=one.known_hash))
    return [one for one in found if one is not None]


def _already_here(incoming: Sequence[Incoming]) -> dict[str, Instance]:
    uids = [one.sop_uid for one in incoming]
    if not any_here(uids):  # As almost always; the rows themselves are long.
        return {}
    found = Instance.objects.filter(sop_uid__in=uids).select_related("series__study")
    return {instance.sop_uid: instance for instance in found}


def _compared(existing: Instance, incoming: Incoming) -> Stored:
    """What is here already; where only its row is, these very bytes fill the gap."""
    try:
        if incoming.hash != existing.blob:
            _compare(existing, incoming)
        elif not store().exists(existing.blob):
            store().put(incoming.data, name=existing.blob)
            logger.warning("A lost blob was put back: %s", existing.blob)
    except NotTaken as problem:
        return problem
    return existing, False


def _store_series(receipt: Receipt, batch: Sequence[tuple[Incoming, str]]) -> list[Stored]:
    """The objects of one series, in one transaction where nothing else interferes."""
    try:
        with transaction.atomic():
            rows = enter([Arrived(receipt, one, blob) for one, blob in batch])
            return [(instance, True) for instance in rows]
    except (DataError, IntegrityError, NotTaken):
        return [_store_one(receipt, one, blob) for one, blob in batch]


def _store_one(receipt: Receipt, incoming: Incoming, blob: str) -> Stored:
    try:
        with transaction.atomic():
            return enter([Arrived(receipt, incoming, blob)])[0], True
    except NotTaken as problem:
        return problem
    except DataError:  # Not the error's own words: they quote the row, with the patient's name.
        logger.exception("An object cannot stand in the database: %s", incoming.sop_uid)
        return NotTaken(
            "UNREADABLE",
            "{name} holds a value that cannot be kept.",
            ASK_SENDER,
            incoming.sop_uid,
            incoming.series_uid,
        )
    except IntegrityError:
        here = _already_here([incoming])
        if not here:
            raise
        return _compared(here[incoming.sop_uid], incoming)


def _compare(existing: Instance, incoming: Incoming) -> None:
    """Let pass what is the same object; raises `NotTaken` for one that only claims to be."""
    sop, series = incoming.sop_uid, incoming.series_uid
    try:
        old = read_dataset(existing)
    except BlobMissing:
        raise NotTaken(
            "BLOB_LOST",
            f"{{name}} has the SOP Instance UID of an image that is already here ({sop}), whose "
            "bytes were lost; whether it is the same cannot be told.",
            "Have the very file sent that came first, or restore the content store's backup: "
            "manage.py verify_store --repair --from BACKUP.",
            sop,
            series,
        ) from None
    if not _same_pixels(old, incoming.dataset):
        raise NotTaken(
            "SAME_UID_OTHER_PIXELS",
            f"{{name}} has the SOP Instance UID of an image that is already here ({sop}), but "
            "other pixels.",
            "The image here stays as it is; have the sender give the other one its own UID.",
            sop,
            series,
        )
    encoded_alike = existing.transfer_syntax == incoming.transfer_syntax
    mine, theirs = existing.metadata, incoming.metadata
    if _header(mine, private=encoded_alike) != _header(theirs, private=encoded_alike):
        raise NotTaken(
            "SAME_UID_OTHER_HEADER",
            f"{{name}} is already here ({sop}) with the same pixels but another header.",
            "The first one stays. If its header is wrong, have the sender give a new UID.",
            sop,
            series,
        )


_OF_THE_ENCODING = frozenset(
    {
        "00082111",  # Derivation Description
        "00089215",  # Derivation Code Sequence
        "00280004",  # Photometric Interpretation
        "00280006",  # Planar Configuration
        "00282110",  # Lossy Image Compression
        "00282112",  # Lossy Image Compression Ratio
        "00282114",  # Lossy Image Compression Method
        "7FE00010",  # Pixel Data
        "FFFCFFFC",  # Data Set Trailing Padding
    }
)


def _header(metadata: Metadata, *, private: bool) -> dict[str, Any]:
    """What must agree: all but how pixels are encoded; private values only in one encoding.

    (Re-encoding a file byte-swaps private values whose type the converter does not know.)
    """
    return {
        tag: value
        for tag, value in metadata.items()
        if tag not in _OF_THE_ENCODING and (private or int(tag[:4], 16) % 2 == 0)
    }


def _same_pixels(a: Dataset, b: Dataset) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for keyword in ("FloatPixelData", "DoubleFloatPixelData"):
            if a.get(keyword) != b.get(keyword):
                return False
        if ("PixelData" in a) != ("PixelData" in b):
            return False
        if "PixelData" not in a or a.PixelData == b.PixelData:
            return True
        frames = int(a.get("NumberOfFrames") or 1)
        if frames != int(b.get("NumberOfFrames") or 1):
            return False
        try:
            return all(np.array_equal(decode(a, i), decode(b, i)) for i in range(frames))
        except Exception:  # noqa: BLE001  undecodable is not the same
            return False


def read_dataset(instance: Instance) -> Dataset:
    """The stored object, with pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(io.BytesIO(store().read(instance.blob)))
