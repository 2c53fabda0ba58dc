"""What may lie beside the images of a reading, for whom. Hidden and absent are the same `Missing`.

A reader's DICOMweb root shows the one series they read. What lies beside it is asked for here,
series by series, and nothing else of a person's studies can be known of.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count, QuerySet

from backend.accounts.models import User
from backend.archive.models import Series, Study, VolumeState
from backend.audit.models import Event
from backend.errors import Missing
from backend.reading.beside_rules import Kind, kind_of, kinds_shown
from backend.reading.evidence_access import evidence_sight
from backend.reading.models import Reading

REGISTERED = "reading.registered"
Offset = tuple[float, float, float]


@dataclass(frozen=True)
class Beside:
    """A series that may lie beside the one that is read.

    Attributes:
        series: the series, with its study and how many `images` it has.
        kind: what it is to the one that is read.
        days: from the study that is read to its own; None where a date is missing.
        same_frame: both say positions in one frame of reference.
        offset_mm: where frames differ, the shift (LPS) the reader confirmed: a position of the
            images read, plus it, is the same place in this series; None while none is confirmed.
    """

    series: Series
    kind: Kind
    days: int | None
    same_frame: bool
    offset_mm: Offset | None


def read_series(reading: Reading) -> Series:
    """The series that is read."""
    return Series.objects.select_related("study").get(pk=reading.case.series_id)


def beside(user: User, reading: Reading) -> list[Beside]:
    """What this user may lay beside the images of a reading they may see; the nearest first."""
    read = read_series(reading)
    shown = kinds_shown(
        reading.case.protocol.definition, evidence_open=_evidence_open(user, reading)
    )
    if not shown:
        return []
    offsets = _offsets(reading)
    found = [_told(read, series, offsets) for series in _of_person(read)]
    return sorted(
        (one for one in found if one.kind in shown),
        key=lambda one: (abs(one.days or 0), one.kind, one.series.number or 0, one.series.uid),
    )


def beside_for(user: User, reading: Reading, series: UUID) -> Beside:
    """One of them; raises `Missing`."""
    for one in beside(user, reading):
        if one.series.pk == series:
            return one
    raise Missing("series")


def _told(read: Series, series: Series, offsets: dict[str, Offset]) -> Beside:
    days = None
    if read.study.date and series.study.date:
        days = (series.study.date - read.study.date).days
    same_study = series.study_id == read.study_id
    frame = _frame(read)
    same_frame = bool(frame) and frame == _frame(series)
    return Beside(
        series=series,
        kind=kind_of(series.modality, same_study=same_study, days=0 if same_study else days),
        days=0 if same_study else days,
        same_frame=same_frame,
        offset_mm=None if same_frame else offsets.get(str(series.pk)),
    )


def _frame(series: Series) -> str:
    return str((series.grid or {}).get("frame_of_reference_uid") or "")


def _of_person(read: Series) -> QuerySet[Series]:
    """The volumes of the person's studies, without the one that is read.

    Who has no patient number is known by the one study alone.
    """
    studies = Study.objects.filter(pk=read.study_id)
    if read.study.patient_id:
        studies = Study.objects.filter(patient_id=read.study.patient_id)
    return (
        Series.objects.filter(
            study__in=studies.values("pk"), is_image=True, volume_state=VolumeState.VOLUME
        )
        .exclude(pk=read.pk)
        .select_related("study")
        .annotate(images=Count("instances"))
    )


def _evidence_open(user: User, reading: Reading) -> bool:
    try:
        evidence_sight(user, reading.case_id)
    except Missing:
        return False
    return True


def _offsets(reading: Reading) -> dict[str, Offset]:
    """The shifts confirmed in this reading, the last of each series; read from the log itself."""
    found: dict[str, Offset] = {}
    events = Event.objects.filter(
        subject_type="reading", subject_id=str(reading.pk), action=REGISTERED
    )
    for facts in events.order_by("number").values_list("facts", flat=True):
        x, y, z = facts["offset_mm"]
        found[facts["series"]] = (float(x), float(y), float(z))
    return found
