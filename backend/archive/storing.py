"""Putting one DICOM object into the archive: bytes first, then its rows, once."""

from __future__ import annotations

import hashlib
import io
import logging
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import pydicom
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone
from pydicom.dataset import Dataset

from backend.archive.facts import modality_of, patient_id_of, series_facts, study_facts
from backend.archive.findings import NotTaken
from backend.archive.metadata import Metadata, cleaned
from backend.archive.models import Instance, Receipt, Series, Study, VolumeState
from backend.archive.parsing import Incoming
from backend.archive.pixels import decode
from backend.archive.plain_header import Header
from backend.audit.services import revoke_grants
from backend.imaging.dicom import facts_of
from backend.store import BlobMissing, store

logger = logging.getLogger(__name__)

_FRESH = {
    "volume_state": VolumeState.PENDING,
    "volume_code": "",
    "volume_reason": "",
    "grid": None,
    "geometry_hash": "",
    "judged_at": None,
    "derivation": "",
    "metadata_blob": "",
    "metadata_blob_unnamed": "",
}


Stored: TypeAlias = "tuple[Instance, bool] | NotTaken"


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
    blobs = dict(zip(fresh, store().put_many([incoming[p].data for p in fresh]), strict=True))
    for places in groups.values():
        batch = [(incoming[place], blobs[place]) for place in places]
        for place, stored in zip(places, _store_series(receipt, batch), strict=True):
            found[place] = stored
    for place in later:
        one = incoming[place]
        found[place] = _store_one(receipt, one, store().put(one.data))
    return [one for one in found if one is not None]


def _already_here(incoming: Sequence[Incoming]) -> dict[str, Instance]:
    uids = [one.sop_uid for one in incoming]
    known = Instance.objects.filter(sop_uid__in=uids)
    if not known.exists():  # As almost always; the rows themselves are long.
        return {}
    found = known.select_related("series__study")
    return {instance.sop_uid: instance for instance in found}


def _compared(existing: Instance, incoming: Incoming) -> Stored:
    """What is here already; where only its row is, these very bytes fill the gap."""
    try:
        if hashlib.sha256(incoming.data).hexdigest() != existing.blob:
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
            return [(instance, True) for instance in _insert(receipt, batch)]
    except (IntegrityError, NotTaken):
        return [_store_one(receipt, one, blob) for one, blob in batch]


def _store_one(receipt: Receipt, incoming: Incoming, blob: str) -> Stored:
    try:
        with transaction.atomic():
            return _insert(receipt, [(incoming, blob)])[0], True
    except NotTaken as problem:
        return problem
    except IntegrityError:
        here = _already_here([incoming])
        if not here:
            raise
        return _compared(here[incoming.sop_uid], incoming)


def _insert(receipt: Receipt, batch: Sequence[tuple[Incoming, str]]) -> list[Instance]:
    """Rows for objects of one series; raises `NotTaken` for the first that may not join it."""
    series = _series(batch[0][0])
    for one, _ in batch:
        _require_place(series, one)
    instances = [_row(receipt, series, one, blob) for one, blob in batch]
    _copy_in(instances)
    if series.metadata_blob or series.metadata_blob_unnamed:
        revoke_grants()  # Whoever may have the series' metadata has them anew.
    Series.objects.filter(pk=series.pk).update(
        received_at=timezone.now(),
        is_image=series.is_image and all(one.is_image for one, _ in batch),
        **_FRESH,
    )
    return instances


def _copy_in(instances: Sequence[Instance]) -> None:
    """What `bulk_create` does, by COPY: headers are long, and Django would quote them in Python."""
    fields = Instance._meta.concrete_fields
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column or "") for field in fields)
    statement = f"copy {quote(Instance._meta.db_table)} ({columns}) from stdin"
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.copy(statement) as copy,
    ):
        for one in instances:
            values = ((field, field.pre_save(one, add=True)) for field in fields)
            copy.write_row([f.get_db_prep_save(value, connection) for f, value in values])
    for one in instances:
        one._state.adding, one._state.db = False, connection.alias


def _row(receipt: Receipt, series: Series, incoming: Incoming, blob: str) -> Instance:
    header, pixels = incoming.header, incoming.pixels
    return Instance(
        series=series,
        receipt=receipt,
        sop_uid=incoming.sop_uid,
        sop_class_uid=incoming.sop_class_uid,
        number=_integer(header, "InstanceNumber"),
        transfer_syntax=incoming.transfer_syntax,
        blob=blob,
        size=len(incoming.data),
        rows=pixels.rows if pixels else None,
        columns=pixels.columns if pixels else None,
        frames=pixels.frames if pixels else 0,
        pixel_offset=pixels.offset if pixels else None,
        frame_bytes=pixels.frame_bytes if pixels else None,
        metadata=incoming.metadata,
        geometry=geometry_of(header) if incoming.is_image else {},
        pixels=pixels.to_json() if pixels else {},
    )


def _series(incoming: Incoming) -> Series:
    """The object's series, made if it is new, its row locked."""
    series = (
        Series.objects.select_for_update(of=("self",))
        .select_related("study")
        .filter(uid=incoming.series_uid)
        .first()
    )
    if series is None:
        study, _ = Study.objects.get_or_create(
            uid=incoming.study_uid, defaults=study_facts(incoming.dataset)
        )
        series, _ = Series.objects.select_for_update().get_or_create(
            uid=incoming.series_uid,
            defaults={
                "study": study,
                "received_at": timezone.now(),
                "is_image": incoming.is_image,
                **series_facts(incoming.dataset),
            },
        )
    return series


def _require_place(series: Series, incoming: Incoming) -> None:
    """Let pass what may join the series; raises `NotTaken`."""
    uids = incoming.sop_uid, incoming.series_uid
    if series.bound:
        raise NotTaken(
            "LATE_IMAGE",
            "{name} came after its series was bound to a case, whose grid never changes.",
            "If the case must include it, withdraw the case and receive the series anew.",
            *uids,
        )
    if series.study.uid != incoming.study_uid:
        raise NotTaken(
            "SERIES_ELSEWHERE",
            "{name} claims a series (Series Instance UID) that is already here as part of another "
            "study.",
            "One of the two carries a wrong UID: have the sender correct it and send it again.",
            *uids,
        )
    if series.study.patient_id != patient_id_of(incoming.header):
        raise NotTaken(
            "STUDY_PATIENT",
            "{name} claims a study that is already here with another Patient ID.",
            "One of the two carries a wrong UID or ID: have the sender correct it.",
            *uids,
        )
    modality = modality_of(incoming.header)
    if series.modality != modality:
        raise NotTaken(
            "SERIES_MODALITY",
            f"{{name}} is {modality or 'of no modality'}, but its series is already here as "
            f"{series.modality or 'of no modality'}.",
            "A series has one modality: have the sender correct the Series Instance UID.",
            *uids,
        )


def geometry_of(dataset: Dataset | Header) -> dict[str, Any]:
    """`imaging.dicom.SliceFacts` of one image, as JSON."""
    facts: dict[str, Any] = cleaned(vars(facts_of(cast(Dataset, dataset))))
    return facts


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


def _integer(dataset: Dataset | Header, keyword: str) -> int | None:
    try:
        value = int(dataset.get(keyword))
    except Exception:  # noqa: BLE001  absent or malformed
        return None
    return value if abs(value) < 2**31 else None


def counted(receipt: Receipt, outcomes: Iterable[str]) -> None:
    """More of `stored`, `already_here`, `kept_aside` and `ignored`."""
    more = {name: F(name) + count for name, count in Counter(outcomes).items()}
    if more:
        Receipt.objects.filter(pk=receipt.pk).update(**more)
