"""Who may see which release.

Coordinators make them; scientists see them once they are frozen, and never anything unreleased;
auditors and administrators see all of them. For everyone else there is none.
"""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q, QuerySet

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.errors import Missing
from backend.reading.models import Consensus, Project
from backend.reading.selectors import holds, projects_as
from backend.reading.workflow import ConsensusState
from backend.reports.releases.models import Release, ReleaseState

_WHOLE = (Role.COORDINATOR, Role.AUDITOR)


def releases_of(user: User) -> QuerySet[Release]:
    """The releases this user may know of, newest first."""
    if not user.is_authenticated or not user.is_active:
        return Release.objects.none()
    found = Release.objects.select_related("project", "created_by")
    if user.is_superuser:
        return found
    whole = Q(project__in=projects_as(user, *_WHOLE))
    frozen = Q(project__in=projects_as(user, Role.SCIENTIST))
    return found.filter(whole | (frozen & ~Q(state=ReleaseState.DRAFT.value)))


def release_for(user: User, release: UUID) -> Release:
    """A release this user may know of; raises `Missing`."""
    found = releases_of(user).filter(pk=release).first()
    if found is None:
        raise Missing("release")
    return found


def opens_releases(user: User) -> bool:
    """Whether there is a page of releases for them."""
    if not user.is_authenticated or not user.is_active:
        return False
    return user.is_superuser or holds(user, *_WHOLE, Role.SCIENTIST)


def coordinates(user: User, project: Project) -> bool:
    """Whether they may make, freeze and withdraw releases of a project."""
    held = projects_as(user, Role.COORDINATOR).filter(project_id=project.pk)
    return user.is_active and (user.is_superuser or held.exists())


def sees_what_was_agreed(user: User, release: Release) -> bool:
    """Whether they may see labels and nodes: whose work a frozen release is, and who audits.

    A coordinator sees which cases are listed, never what was found in them.
    """
    if release.state == ReleaseState.DRAFT.value:
        roles: tuple[Role, ...] = (Role.AUDITOR,)
    else:
        roles = (Role.AUDITOR, Role.SCIENTIST)
    held = projects_as(user, *roles).filter(project_id=release.project_id)
    return user.is_active and (user.is_superuser or held.exists())


def projects_coordinated(user: User) -> list[Project]:
    """The projects whose releases they may make."""
    if user.is_superuser:
        return list(Project.objects.all())
    return list(Project.objects.filter(pk__in=projects_as(user, Role.COORDINATOR)))


def published(project: Project) -> QuerySet[Consensus]:
    """What of a project can be listed: every case's published version."""
    return (
        Consensus.objects.filter(
            case__project=project,
            case__superseded_by=None,
            state=ConsensusState.PUBLISHED.value,
        )
        .select_related("case__subject", "case__protocol", "mask", "ignored")
        .order_by("case__label")
    )


def listed(release: Release) -> QuerySet[Consensus]:
    """What a release lists."""
    items = release.items.values("consensus")
    found = Consensus.objects.filter(pk__in=items).order_by("case__label")
    return found.select_related("case__subject", "case__protocol", "mask", "ignored")
