"""The volumes of a study as a protocol ranks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import QuerySet

from backend.archive.models import Series, VolumeState
from backend.imaging.dicom import Refusal
from backend.imaging.grid import Grid
from backend.reading.inclusion import SeriesFacts, takes
from backend.reading.models import Protocol
from backend.reading.ranking import Candidate, Ranked, coverage_mm, rank

_LAST = 2**31


def volumes_of(study_uid: str) -> QuerySet[Series]:
    """The series of a study that are volumes."""
    return Series.objects.filter(study__uid=study_uid, volume_state=VolumeState.VOLUME)


def ranked(rule: Mapping[str, Any], series: Sequence[Series]) -> list[Ranked]:
    """Volumes in the order in which a protocol's rule would read them."""
    return rank(rule, [candidate_of(one) for one in series])


def candidate_of(series: Series) -> Candidate:
    """A volume as the ranking sees it; its key is the series' id."""
    grid = Grid.from_json(series.grid or {})
    return Candidate(
        key=str(series.pk),
        name=name_of(series),
        modality=series.modality,
        plane=grid.plane,
        body_part=series.body_part,
        contrast=series.contrast,
        thickness_mm=series.slice_thickness_mm,
        slice_distance_mm=grid.spacing_mm[0],
        coverage_mm=coverage_mm(grid),
        kernel=series.kernel,
        matrix=grid.shape[1:],
        original="ORIGINAL" in series.image_type,
        order=(_LAST if series.number is None else series.number, series.uid),
    )


def name_of(series: Series) -> str:
    """What sentences call a series."""
    number = "series without number" if series.number is None else f"series {series.number}"
    return f"{number} ({series.description})" if series.description else number


def anisotropy_refusal(series: Series, grid: Grid) -> Refusal | None:
    """Why no active protocol that takes such series reads a volume of this grid; None if one does.

    Slices may lie so many times as far apart as pixels.
    """
    rules = [p.series_rule for p in _protocols_taking(series)]
    most = [rule["max_anisotropy"] for rule in rules]
    distance, pixel = grid.spacing_mm[0], min(grid.spacing_mm[1:])
    if not rules or any(limit is None or distance <= limit * pixel for limit in most):
        return None
    return Refusal(
        "ANISOTROPY",
        f"The slices lie {distance:.4g} mm apart on pixels of {pixel:.4g} mm, "
        f"{distance / pixel:.1f} times as far; the protocol reads at most {max(most):g} times.",
        "Send a thinner reconstruction of the same examination.",
        grid.sop_uids,
    )


def resamples_tilt(series: Series) -> bool:
    """Whether an active protocol that takes such series reads tilted stacks resampled."""
    return any(p.series_rule["gantry_tilt"] == "resample" for p in _protocols_taking(series))


def _protocols_taking(series: Series) -> list[Protocol]:
    facts = SeriesFacts(series.modality, None, contrast=False, age_years=None)
    return [p for p in Protocol.objects.filter(active=True) if takes(p.series_rule, facts)]
