"""Is a series one volume? The geometry decides; header facts only describe it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from backend.archive import registry
from backend.archive.models import IMAGE_MODALITIES, Instance, Receipt, Series, VolumeState
from backend.audit.services import News, record
from backend.imaging.dicom import SeriesRefused, SliceFacts, judge
from backend.imaging.grid import Grid

logger = logging.getLogger(__name__)

OPEN_BATCH_FACTOR = 6  # Times QUIET_SECONDS before a batch left open no longer holds back a series.

_OTHER_KINDS = {
    "SEG": "a segmentation",
    "SR": "a structured report",
    "KO": "a key object selection",
    "PR": "a presentation state",
    "RTSTRUCT": "a set of radiotherapy structures",
    "RTPLAN": "a radiotherapy plan",
    "RTDOSE": "a radiotherapy dose",
    "REG": "a registration",
    "DOC": "a document",
}
_NOT_READ = "Nothing to do: it is kept and served, and not offered for reading."


@dataclass(frozen=True)
class Verdict:
    """What a series is; `grid` only for a volume."""

    state: VolumeState
    code: str = ""
    reason: str = ""
    grid: Grid | None = None


def judge_series(series_id: Any) -> Series | None:
    """Judge one pending series and tell the upper rooms of a new volume, in one transaction.

    None when the series is not pending (another process judged it).
    """
    with transaction.atomic():
        series = (
            Series.objects.select_for_update(of=("self",))
            .select_related("study")
            .filter(pk=series_id, volume_state=VolumeState.PENDING)
            .first()
        )
        if series is None:
            return None
        instances = list(
            series.instances.only(
                "series", "sop_uid", "number", "geometry", "pixels", "frames", "rows"
            )
        )
        verdict = verdict_on(series, instances)
        series.volume_state = verdict.state
        series.volume_code = verdict.code
        series.volume_reason = verdict.reason
        series.grid = verdict.grid.to_json() if verdict.grid else None
        series.geometry_hash = verdict.grid.geometry_hash if verdict.grid else ""
        series.judged_at = timezone.now()
        series.save(
            update_fields=[
                "volume_state",
                "volume_code",
                "volume_reason",
                "grid",
                "geometry_hash",
                "judged_at",
            ]
        )
        if verdict.grid is not None:
            for hook in registry.on_series_ready:
                hook(series)
        record(
            "series.judged",
            series,
            actor=None,
            state=verdict.state.value,
            code=verdict.code,
            instances=len(instances),
            geometry_hash=series.geometry_hash,
            news=[News("coordinators", "archive.changed", {"series": str(series.pk)})],
        )
        return series


def judge_quiet_series() -> list[Series]:
    """Judge what nothing arrived for in `settings.QUIET_SECONDS`; called every second.

    While the batch that brought images is open, its series must be quiet for longer: a slow
    upload is not cut in two, and one that was left unfinished is judged all the same.
    """
    quiet = timezone.now() - timedelta(seconds=settings.QUIET_SECONDS)
    pending = Series.objects.filter(volume_state=VolumeState.PENDING, received_at__lte=quiet)
    pending = pending.exclude(pk__in=_arriving()).order_by("received_at")
    return _judge_all(pending.values_list("pk", flat=True)[:50])


def judge_batch(receipt: Receipt) -> list[Series]:
    """Judge the series of a batch that has ended, but for those still arriving at another door."""
    pending = Series.objects.filter(
        pk__in=Instance.objects.filter(receipt=receipt).values("series"),
        volume_state=VolumeState.PENDING,
    ).exclude(pk__in=_arriving())
    return _judge_all(pending.order_by("study", "number", "uid").values_list("pk", flat=True))


def _arriving() -> QuerySet[Instance, Any]:
    """Series (ids) that a batch still open brought images of not long ago."""
    patience = timedelta(seconds=settings.QUIET_SECONDS * OPEN_BATCH_FACTOR)
    recent = Instance.objects.filter(
        received_at__gt=timezone.now() - patience, receipt__closed_at=None
    )
    return recent.values("series")


def _judge_all(ids: Iterable[Any]) -> list[Series]:
    judged = []
    for series_id in list(ids):
        try:
            series = judge_series(series_id)
        except Exception:
            # One series that cannot be offered must not hold up the others; it stays pending.
            logger.exception("Series %s could not be judged; it is tried again.", series_id)
            continue
        if series is not None:
            judged.append(series)
    return judged


def verdict_on(series: Series, instances: Sequence[Instance]) -> Verdict:
    """What these instances are, without changing anything."""
    if not series.is_image or series.modality not in IMAGE_MODALITIES:
        kind = _OTHER_KINDS.get(series.modality, f"not an image of {_or(IMAGE_MODALITIES)}")
        return _set_aside("NOT_AN_IMAGE", f"This series is {kind}.")
    if all("LOCALIZER" in _image_type(i) for i in instances):
        return _set_aside("LOCALIZER", "This series is a localizer.")
    if any(i.pixels.get("samples", 1) != 1 for i in instances):
        return _set_aside("COLOUR", "This series holds colour images.")
    try:
        grid = judge(slice_facts(i) for i in instances)
    except SeriesRefused as refused:
        reasons = " ".join(f"{r.message} {r.cure}" for r in refused.refusals)
        return Verdict(VolumeState.QUARANTINED, refused.refusals[0].code, reasons)
    return Verdict(VolumeState.VOLUME, grid=grid)


def slice_facts(instance: Instance) -> SliceFacts:
    """The geometry facts stored with an instance."""
    stored: dict[str, Any] = {
        field.name: tuple(value) if isinstance(value, list) else value
        for field in fields(SliceFacts)
        if (value := instance.geometry.get(field.name)) is not None
    }
    return SliceFacts(**stored)


def _image_type(instance: Instance) -> list[str]:
    return [str(v).upper() for v in instance.geometry.get("image_type") or []]


def _set_aside(code: str, sentence: str) -> Verdict:
    return Verdict(VolumeState.SET_ASIDE, code, f"{sentence} {_NOT_READ}")


def _or(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
