"""Which series a protocol takes, and what excludes a case from cohorts. Pure.

Inclusion is not geometry: an excluded case is segmented and read like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class SeriesFacts:
    """What a protocol asks of a series; None or "" where the images do not say."""

    modality: str
    slice_thickness_mm: float | None
    contrast: bool
    age_years: int | None

    def to_json(self) -> dict[str, Any]:
        """The facts as plain data."""
        return asdict(self)


def takes(rule: Mapping[str, Any], facts: SeriesFacts) -> bool:
    """Whether a protocol with this series rule reads the series at all."""
    return bool(facts.modality == rule["modality"])


def exclusions(rule: Mapping[str, Any], facts: SeriesFacts) -> list[str]:
    """Why a case of this series stays out of cohorts: one sentence per reason."""
    found = []
    thinnest, thickest = rule["slice_thickness_mm"]
    thickness = facts.slice_thickness_mm
    if thickness is None:
        found.append("The slice thickness is not recorded.")
    elif not thinnest <= thickness <= thickest:
        found.append(f"Slice thickness {thickness:.1f} mm is outside {thinnest}–{thickest} mm.")
    if rule["contrast_required"] and not facts.contrast:
        found.append("No contrast agent is recorded.")
    youngest = rule["min_age_years"]
    if facts.age_years is None:
        found.append("The patient's age is not recorded.")
    elif facts.age_years < youngest:
        found.append(f"The patient is {facts.age_years} years old, younger than {youngest}.")
    return found
