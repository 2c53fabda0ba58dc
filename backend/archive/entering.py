"""The rows of new objects: few statements a batch, whatever the number of files and series.

Bytes are on the disk before any of this; the caller holds the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeAlias, cast

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection, models
from django.utils import timezone
from pydicom.dataset import Dataset

from backend import rows
from backend.archive.facts import modality_of, patient_id_of, series_facts, study_facts
from backend.archive.findings import NotTaken
from backend.archive.metadata import cleaned
from backend.archive.models import Instance, Receipt, Series, Study, VolumeState
from backend.archive.parsing import Incoming
from backend.archive.plain_header import Header
from backend.audit.services import revoke_grants
from backend.imaging.dicom import facts_of

_FRESH = {
    "volume_state": VolumeState.PENDING.value,
    "volume_code": "",
    "volume_reason": "",
    "grid": None,
    "geometry_hash": "",
    "judged_at": None,
    "derivation": "",
    "metadata_blob": "",
    "metadata_blob_unnamed": "",
}
# What is asked of a series that objects join.
_OF_SERIES = (
    "id",
    "uid",
    "study_id",
    "modality",
    "is_image",
    "bound",
    "metadata_blob",
    "metadata_blob_unnamed",
)
_OF_STUDY = ("id", "uid", "patient_id")
_as_json = DjangoJSONEncoder().encode


class Arrived(NamedTuple):
    """A new object: the batch it came in, what it is, and the blob that holds its bytes."""

    receipt: Receipt
    incoming: Incoming
    blob: str


def enter(arrived: Sequence[Arrived]) -> list[Instance]:
    """Rows for objects that are new, of any number of batches and series.

    Raises:
        NotTaken: for the first that may not join its series.
        IntegrityError: where one is here already.
    """
    incoming = [one.incoming for one in arrived]
    series = _series_of(incoming)
    for one in incoming:
        _require_place(series[one.series_uid], one)
    instances = [_row(series[one.incoming.series_uid], one) for one in arrived]
    _copy_in(instances)
    if any(one.metadata_blob or one.metadata_blob_unnamed for one in series.values()):
        revoke_grants()  # Whoever may have the series' metadata has them anew.
    with connection.cursor() as cursor:
        touched = [timezone.now(), *_FRESH.values(), [one.pk for one in series.values()]]
        cursor.execute(_touch(), touched)
    not_images = {one.series_uid for one in incoming if not one.is_image}
    mixed = [series[uid].pk for uid in not_images if series[uid].is_image]
    if mixed:
        Series.objects.filter(pk__in=mixed).update(is_image=False)
    return instances


def any_here(sop_uids: Iterable[str]) -> bool:
    """Whether an object with one of these UIDs is in the archive."""
    table = Instance._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"select 1 from {table} where sop_uid = any(%s) limit 1",  # noqa: S608
            [list(sop_uids)],
        )
        return cursor.fetchone() is not None


def _series_of(incoming: Sequence[Incoming]) -> dict[str, Series]:
    """Their series by UID, made where they are new; their rows locked, in the order of UIDs."""
    first: dict[str, Incoming] = {}
    for one in incoming:
        first.setdefault(one.series_uid, one)
    found: dict[str, Series] = {}
    with connection.cursor() as cursor:
        cursor.execute(_lock(), [list(first)])
        for values in cursor.fetchall():
            series = rows.read(Series, values[: len(_OF_SERIES)], _OF_SERIES)
            series.study = rows.read(Study, values[len(_OF_SERIES) :], _OF_STUDY)
            found[series.uid] = series
    new = {uid: first[uid] for uid in sorted(first.keys() - found.keys())}
    studies = _studies_of(list(new.values()))
    for uid, one in new.items():
        found[uid], _ = Series.objects.select_for_update().get_or_create(
            uid=uid,
            defaults={
                "study": studies[one.study_uid],
                "received_at": timezone.now(),
                "is_image": one.is_image,
                **series_facts(one.dataset),
            },
        )
    return found


@cache
def _lock() -> str:
    return (
        f"select {rows.columns_of(Series, 's', _OF_SERIES)}, "  # noqa: S608
        f"{rows.columns_of(Study, 't', _OF_STUDY)} from {Series._meta.db_table} s "
        f"join {Study._meta.db_table} t on t.id = s.study_id "
        "where s.uid = any(%s) order by s.uid for update of s"
    )


@cache
def _touch() -> str:
    fresh = ", ".join(f"{name} = %s" for name in ("received_at", *_FRESH))
    return f"update {Series._meta.db_table} set {fresh} where id = any(%s)"  # noqa: S608


def _studies_of(incoming: Sequence[Incoming]) -> dict[str, Study]:
    """Their studies by UID, made where they are new, in the order of UIDs.

    Whoever makes studies and series in one order never waits for one that waits for him.
    """
    first: dict[str, Incoming] = {}
    for one in incoming:
        first.setdefault(one.study_uid, one)
    return {
        uid: Study.objects.get_or_create(uid=uid, defaults=study_facts(first[uid].dataset))[0]
        for uid in sorted(first)
    }


def _row(series: Series, arrived: Arrived) -> Instance:
    receipt, incoming, blob = arrived
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
        received_at=timezone.now(),
        rows=pixels.rows if pixels else None,
        columns=pixels.columns if pixels else None,
        frames=pixels.frames if pixels else 0,
        pixel_offset=pixels.offset if pixels else None,
        frame_bytes=pixels.frame_bytes if pixels else None,
        metadata=incoming.metadata,
        geometry=geometry_of(header) if incoming.is_image else {},
        pixels=pixels.to_json() if pixels else {},
    )


Written: TypeAlias = "Callable[[Any], Any] | None"


def _written(field: models.Field[Any, Any]) -> Written:
    """How a column's value is written by COPY, None where it is written as it is."""
    return _as_json if isinstance(field, models.JSONField) else None


_FIELDS = tuple((f.attname, _written(f)) for f in Instance._meta.concrete_fields)


def _copy_in(instances: Sequence[Instance]) -> None:
    """What `bulk_create` does, by COPY: headers are long, and Django would quote them in Python."""
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column or "") for field in Instance._meta.concrete_fields)
    statement = f"copy {quote(Instance._meta.db_table)} ({columns}) from stdin"
    with (
        connection.cursor() as cursor,
        connection.wrap_database_errors,
        cursor.copy(statement) as copy,
    ):
        for one in instances:
            values = vars(one)
            copy.write_row(
                [values[name] if form is None else form(values[name]) for name, form in _FIELDS]
            )
    for one in instances:
        one._state.adding, one._state.db = False, connection.alias


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


def _integer(dataset: Dataset | Header, keyword: str) -> int | None:
    try:
        value = int(dataset.get(keyword))
    except Exception:  # noqa: BLE001  absent or malformed
        return None
    return value if abs(value) < 2**31 else None
