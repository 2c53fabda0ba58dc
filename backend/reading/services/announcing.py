"""Whom news of a case or a reading reaches. A reader hears of their own reading alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from backend.accounts.roles import Role
from backend.audit.services import News
from backend.reading.models import Case, Comparison, Consensus, Membership, Reading


def overseers_audience(project: UUID) -> str:
    """The audience of who coordinates or audits a project: of theirs alone."""
    return f"coordinators:{project}"


def reading_audience(reading: Reading) -> str:
    """The audience of one reading's socket."""
    return f"reading:{reading.pk}"


def worklist_changed(readings: Iterable[Reading]) -> list[News]:
    """To each reader, that a row of their own worklist changed."""
    return [
        News(f"user:{r.reader_id}", "worklist.changed", {"reading": str(r.pk)}) for r in readings
    ]


def case_changed(case: Case) -> News:
    """To who oversees its project, that a case moved."""
    audience = overseers_audience(case.project_id)
    return News(audience, "case.changed", {"case": str(case.pk), "stage": case.stage})


def to_reading(reading: Reading, kind: str, payload: dict[str, Any]) -> News:
    """To whoever has this reading open."""
    return News(reading_audience(reading), kind, payload)


def to_readers(comparison: Comparison) -> list[News]:
    """To both readers of a comparison, that a row of their worklist changed."""
    return worklist_changed([comparison.first, comparison.second])


def to_adjudicators(consensus: Consensus) -> list[News]:
    """To the adjudicators of the project who are neither reader, that their worklist changed."""
    comparison = consensus.comparison
    people = (
        Membership.objects.filter(project=consensus.case.project_id, role=Role.ADJUDICATOR.value)
        .exclude(user__in=[comparison.first.reader_id, comparison.second.reader_id])
        .values_list("user_id", flat=True)
    )
    told = {"consensus": str(consensus.pk)}
    return [News(f"user:{person}", "worklist.changed", told) for person in sorted(people)]
