"""Judging series, each once, in one transaction; and telling the rooms above of their studies."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from backend.archive import registry
from backend.archive.models import Door, Instance, Receipt, Series, Study, VolumeState
from backend.archive.verdicts import Verdict, verdict_on
from backend.audit.services import News, record
from backend.imaging.dicom import Refusal
from backend.jobs.queue import defer

logger = logging.getLogger(__name__)

OPEN_BATCH_FACTOR = 6  # Times QUIET_SECONDS before a batch left open no longer holds back a series.
DERIVE_TASK = "archive.derive"
# What is to be judged, and what waits to be rewritten.
PENDING = Q(volume_state=VolumeState.PENDING) & (Q(derivation="") | Q(derived_from__isnull=False))
WAITING = Q(volume_state=VolumeState.PENDING, derived_from=None) & ~Q(derivation="")
# Verdicts that another protocol could lift.
OF_A_PROTOCOL = ("GANTRY_TILT", "ANISOTROPY")
_WRITTEN = (
    "volume_state",
    "volume_code",
    "volume_reason",
    "grid",
    "geometry_hash",
    "derivation",
    "judged_at",
)


def judge_series(series_id: Any) -> Series | None:
    """Judge one pending series, in one transaction; if it was the last of its study, tell of that.

    One that can only be read rewritten stays pending until the work process has done so. None
    when the series is not pending (another process judged it).
    """
    with transaction.atomic():
        series = lock_series(series_id, PENDING)
        if series is None:
            return None
        verdict = weighed(series)
        if verdict.derivation:
            series.derivation = verdict.derivation
            series.volume_reason = f"{verdict.sentence} The work process is writing them."
            series.judged_at = timezone.now()
            series.save(update_fields=["derivation", "volume_reason", "judged_at"])
            ask_to_derive(series)
            return series
        settle(series, verdict)
        return series


def weighed(series: Series) -> Verdict:
    """The verdict on a series as it is now; rules of the rooms above refuse volumes."""
    verdict = verdict_on(series, list(series.instances.defer("metadata")))
    if verdict.grid is None:
        return verdict
    for rule in registry.volume_rules:
        refusal: Refusal | None = rule(series, verdict.grid)
        if refusal is not None:
            reason = f"{refusal.message} {refusal.cure}"
            return Verdict(VolumeState.QUARANTINED, refusal.code, reason)
    return verdict


def settle(series: Series, verdict: Verdict) -> None:
    """Write the verdict on a locked series, and tell of the study if it was the last."""
    volume = verdict.state == VolumeState.VOLUME and verdict.grid is not None
    series.volume_state = verdict.state
    series.volume_code = verdict.code
    series.volume_reason = verdict.reason
    series.grid = verdict.grid.to_json() if volume and verdict.grid else None
    series.geometry_hash = verdict.grid.geometry_hash if volume and verdict.grid else ""
    if series.derived_from_id is None:
        series.derivation = verdict.derivation
    series.judged_at = timezone.now()
    series.save(update_fields=_WRITTEN)
    _tell_of(series.study)
    record(
        "series.judged",
        series,
        actor=None,
        state=verdict.state.value,
        code=verdict.code,
        instances=series.instances.count(),
        geometry_hash=series.geometry_hash,
        derivation=series.derivation,
        news=[News("coordinators", "archive.changed", {"series": str(series.pk)})],
    )


def _tell_of(study: Study) -> None:
    if study.series.filter(volume_state=VolumeState.PENDING).exists():
        return
    for hook in registry.on_study_ready:
        hook(study)


def lock_series(series_id: Any, wanted: Q) -> Series | None:
    """A series that is as wanted, locked; its study before it, so that one judgement is the last.

    None where it is not as wanted.
    """
    known = Series.objects.filter(pk=series_id).values_list("study", flat=True).first()
    if known is None:
        return None
    Study.objects.select_for_update(no_key=True).get(pk=known)
    return (
        Series.objects.select_for_update(of=("self",))
        .select_related("study")
        .filter(wanted, pk=series_id)
        .first()
    )


def ask_to_derive(series: Series) -> None:
    """Queue the rewriting of a series, in the caller's transaction."""
    lock = f"derive:{series.pk}"
    defer(DERIVE_TASK, lock=lock, queueing_lock=lock, series=str(series.pk))


def judge_quiet_series() -> list[Series]:
    """Judge what nothing arrived for in `settings.QUIET_SECONDS`; called every second.

    While the batch that brought images is open, its series must be quiet for longer: a slow
    upload is not cut in two, and one that was left unfinished is judged all the same.
    """
    quiet = timezone.now() - timedelta(seconds=settings.QUIET_SECONDS)
    pending = Series.objects.filter(PENDING, received_at__lte=quiet)
    pending = pending.exclude(pk__in=_arriving()).order_by("received_at")
    return _judge_all(pending.values_list("pk", flat=True)[:50])


def judge_batch(receipt: Receipt) -> list[Series]:
    """Judge the series of a batch that has ended, but for those still arriving at another door."""
    pending = (
        Series.objects.filter(PENDING)
        .filter(pk__in=Instance.objects.filter(receipt=receipt).values("series"))
        .exclude(pk__in=_arriving())
    )
    return _judge_all(pending.order_by("study", "number", "uid").values_list("pk", flat=True))


def judge_again() -> int:
    """Have the series judged anew that a protocol kept from being read; how many they are.

    For when protocols changed. The work process judges them.
    """
    refused = Series.objects.filter(
        volume_state=VolumeState.QUARANTINED, volume_code__in=OF_A_PROTOCOL
    )
    return refused.update(volume_state=VolumeState.PENDING, volume_code="", volume_reason="")


def _arriving() -> QuerySet[Instance, Any]:
    """Series (ids) that a batch still open brought images of not long ago.

    A batch of the upload page may pause for hours: it holds its series back until it ends, which
    `uploads.services.end_old_uploads` sees to. So does a pull, which knows how many images there
    are to come: until they are here, or until somebody accepts what came.
    """
    patience = timedelta(seconds=settings.QUIET_SECONDS * OPEN_BATCH_FACTOR)
    recent = Q(received_at__gt=timezone.now() - patience)
    pausing = Q(receipt__upload__isnull=False) | Q(receipt__door=Door.PULL)
    return Instance.objects.filter(recent | pausing, receipt__closed_at=None).values("series")


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
