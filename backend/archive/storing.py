"""Putting one DICOM object into the archive: bytes first, then its rows, once."""

from __future__ import annotations

import hashlib
import io
import warnings
from typing import Any

import numpy as np
import pydicom
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from pydicom.dataset import Dataset

from backend.archive.facts import series_facts, study_facts
from backend.archive.findings import NotTaken
from backend.archive.metadata import Metadata
from backend.archive.models import Instance, Receipt, Series, Study, VolumeState
from backend.archive.parsing import Incoming
from backend.archive.pixels import decode
from backend.imaging.dicom import facts_of
from backend.store import store

_FRESH = {
    "volume_state": VolumeState.PENDING,
    "volume_code": "",
    "volume_reason": "",
    "grid": None,
    "geometry_hash": "",
    "judged_at": None,
    "metadata_blob": "",
    "metadata_blob_unnamed": "",
}


def store_incoming(*, receipt: Receipt, incoming: Incoming) -> tuple[Instance, bool]:
    """Store one object; its row, and whether it is new (False: the same is already here).

    Safe against the same object arriving at several doors at once: the database lets in one, and
    the others are compared with it.

    Raises:
        NotTaken: CONFLICT…, LATE_IMAGE, SERIES_ELSEWHERE, SERIES_MODALITY or STUDY_PATIENT.
    """
    here = Instance.objects.select_related("series__study").filter(sop_uid=incoming.sop_uid)
    existing = here.first()
    if existing is None:
        blob = store().put(incoming.data)
        try:
            with transaction.atomic():
                return _insert(receipt, incoming, blob), True
        except IntegrityError:
            existing = here.first()
            if existing is None:
                raise
    _compare(existing, incoming)
    return existing, False


def _insert(receipt: Receipt, incoming: Incoming, blob: str) -> Instance:
    series = _series(incoming)
    if series.bound:
        raise NotTaken(
            "LATE_IMAGE",
            "{name} came after its series was bound to a case, whose grid never changes.",
            "If the case must include it, withdraw the case and receive the series anew.",
            incoming.sop_uid,
            incoming.series_uid,
        )
    dataset, pixels = incoming.dataset, incoming.pixels
    instance = Instance.objects.create(
        series=series,
        receipt=receipt,
        sop_uid=incoming.sop_uid,
        sop_class_uid=incoming.sop_class_uid,
        number=_integer(dataset, "InstanceNumber"),
        transfer_syntax=incoming.transfer_syntax,
        blob=blob,
        size=len(incoming.data),
        rows=pixels.rows if pixels else None,
        columns=pixels.columns if pixels else None,
        frames=pixels.frames if pixels else 0,
        pixel_offset=pixels.offset if pixels else None,
        frame_bytes=pixels.frame_bytes if pixels else None,
        metadata=incoming.metadata,
        geometry=geometry_of(dataset) if incoming.is_image else {},
        pixels=pixels.to_json() if pixels else {},
    )
    Series.objects.filter(pk=series.pk).update(
        received_at=timezone.now(), is_image=series.is_image and incoming.is_image, **_FRESH
    )
    return instance


def _series(incoming: Incoming) -> Series:
    """The object's series, made if it is new, its row locked; raises `NotTaken`."""
    dataset = incoming.dataset
    series = (
        Series.objects.select_for_update(of=("self",))
        .select_related("study")
        .filter(uid=incoming.series_uid)
        .first()
    )
    if series is None:
        study, _ = Study.objects.get_or_create(
            uid=incoming.study_uid, defaults=study_facts(dataset)
        )
        series, _ = Series.objects.select_for_update().get_or_create(
            uid=incoming.series_uid,
            defaults={
                "study": study,
                "received_at": timezone.now(),
                "is_image": incoming.is_image,
                **series_facts(dataset),
            },
        )
    if series.study.uid != incoming.study_uid:
        raise NotTaken(
            "SERIES_ELSEWHERE",
            "{name} claims a series (Series Instance UID) that is already here as part of another "
            "study.",
            "One of the two carries a wrong UID: have the sender correct it and send it again.",
            incoming.sop_uid,
            incoming.series_uid,
        )
    facts = study_facts(dataset)
    if series.study.patient_id != facts["patient_id"]:
        raise NotTaken(
            "STUDY_PATIENT",
            "{name} claims a study that is already here with another Patient ID.",
            "One of the two carries a wrong UID or ID: have the sender correct it.",
            incoming.sop_uid,
            incoming.series_uid,
        )
    modality = series_facts(dataset)["modality"]
    if series.modality != modality:
        raise NotTaken(
            "SERIES_MODALITY",
            f"{{name}} is {modality or 'of no modality'}, but its series is already here as "
            f"{series.modality or 'of no modality'}.",
            "A series has one modality: have the sender correct the Series Instance UID.",
            incoming.sop_uid,
            incoming.series_uid,
        )
    return series


def geometry_of(dataset: Dataset) -> dict[str, Any]:
    """`imaging.dicom.SliceFacts` of one image, as JSON."""
    return dict(vars(facts_of(dataset)))


def _compare(existing: Instance, incoming: Incoming) -> None:
    """Let pass what is the same object; raises `NotTaken` for one that only claims to be."""
    if hashlib.sha256(incoming.data).hexdigest() == existing.blob:
        return
    old = read_dataset(existing)
    sop, series = incoming.sop_uid, incoming.series_uid
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


def _integer(dataset: Dataset, keyword: str) -> int | None:
    try:
        value = int(dataset.get(keyword))
    except Exception:  # noqa: BLE001  absent or malformed
        return None
    return value if abs(value) < 2**31 else None


def counted(receipt: Receipt, what: str) -> None:
    """One more of `stored`, `already_here`, `kept_aside` or `ignored`."""
    Receipt.objects.filter(pk=receipt.pk).update(**{what: F(what) + 1})
