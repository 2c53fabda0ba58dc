"""What the reading room tells lower rooms: who sees which series, and which runs."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q, QuerySet

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.archive.models import Series
from backend.jobs.models import ModelVersion
from backend.jobs.protocol import RunKind
from backend.reading import selectors
from backend.reading.consensus_selectors import consensus_for
from backend.reading.models import Case, Membership, Protocol
from backend.reading.services.protocol_models import chosen_model

EVERYTHING = ~Q(pk__in=[])
NOTHING = Q(pk__in=[])


def series_seen_by(user: User) -> Q:
    """The whole archive for coordinators, auditors and administrators; nothing for others.

    A reader's images come through their reading alone (`series_of_reading`).
    """
    return EVERYTHING if selectors.may_oversee(user) else NOTHING


def series_of_reading(user: User, reading: UUID) -> QuerySet[Series]:
    """The series of a reading's case: never another of the study. Raises `Missing`."""
    found = selectors.known_reading(user, reading)
    return Series.objects.filter(pk=found.case.series_id)


def series_of_consensus(user: User, consensus: UUID) -> QuerySet[Series]:
    """The series of a consensus' case: never another of the study. Raises `Missing`."""
    found, _ = consensus_for(user, consensus)
    return Series.objects.filter(pk=found.case.series_id)


def may_upload(user: User) -> bool:
    """Whether the user brings studies in: a coordinator, or an administrator."""
    return user.is_superuser or selectors.holds(user, Role.COORDINATOR)


def runs_seen_by(user: User) -> Q:
    """Runs on the cases of projects the user coordinates, audits or does science in."""
    projects = selectors.projects_as(user, Role.COORDINATOR, Role.AUDITOR, Role.SCIENTIST)
    return _runs_of(projects)


def runs_managed_by(user: User) -> Q:
    """Runs on the cases of projects the user coordinates; trials also of who does science there."""
    trials = _runs_of(selectors.projects_as(user, Role.SCIENTIST)) & Q(kind=RunKind.TRIAL)
    return _runs_of(selectors.projects_as(user, Role.COORDINATOR)) | trials


def opens_runs_page(user: User) -> bool:
    """Whether the list of runs is for this user, also while it is empty."""
    return selectors.holds(user, Role.COORDINATOR, Role.AUDITOR, Role.SCIENTIST)


def manages_models(user: User) -> bool:
    """Whether the user may have models verified: who coordinates or does science."""
    return selectors.holds(user, Role.COORDINATOR, Role.SCIENTIST)


def protocols_by(model: ModelVersion) -> list[str]:
    """The protocols in use whose new cases this model pre-segments by a choice of their own."""
    return [str(p) for p in Protocol.objects.filter(active=True) if chosen_model(p) == model]


def _runs_of(projects: QuerySet[Membership, UUID]) -> Q:
    cases = Case.objects.filter(project__in=projects).values("pk")
    return Q(subject_type=Case._meta.label_lower, subject_id__in=cases)
