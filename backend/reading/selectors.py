"""What may be read, and by whom. Hidden and absent are the same `Missing`.

Readers see their own readings and nothing of anyone else's; coordinators see cases and the states
of their readings, but no mask; auditors see everything; so do administrators, whose looks are
recorded by who calls.
"""

from __future__ import annotations

from functools import cache
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db import connection
from django.db.models import Prefetch, Q, QuerySet

from backend import rows
from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.archive.models import Series
from backend.errors import Missing, NotAllowed
from backend.reading.models import (
    Case,
    Mask,
    MaskSlice,
    Membership,
    NodeState,
    Project,
    Reading,
)
from backend.reading.vocabulary import Decision, Origin
from backend.reading.workflow import ReadingState

# What a reader no longer sees of their own.
GONE = (ReadingState.WITHDRAWN.value, ReadingState.EXPIRED.value)


def person(user: User | AnonymousUser) -> User:
    """The signed-in person; raises `Missing` for a stranger (whom views turn away before)."""
    if not isinstance(user, User):
        raise Missing("page")
    return user


def holds(user: User | AnonymousUser, *roles: Role) -> bool:
    """Whether the user holds one of the roles in any project."""
    if not isinstance(user, User):
        return False
    return Membership.objects.filter(user=user, role__in=[role.value for role in roles]).exists()


def projects_as(user: User, *roles: Role) -> QuerySet[Membership, UUID]:
    """The ids of the projects in which the user holds one of the roles."""
    found = Membership.objects.filter(user=user, role__in=[role.value for role in roles])
    return found.values_list("project_id", flat=True)


def _readings(user: User | AnonymousUser) -> QuerySet[Reading]:
    """The readings whose contents this user may see."""
    if not isinstance(user, User) or not user.is_active:
        return Reading.objects.none()
    if user.is_superuser:
        return Reading.objects.all()
    own = Q(reader=user) & ~Q(state__in=GONE)
    return Reading.objects.filter(own | Q(case__project__in=projects_as(user, Role.AUDITOR)))


def reading_for(user: User | AnonymousUser, reading: UUID) -> Reading:
    """One reading the user may see the contents of; raises `Missing`.

    Its masks come without their manifests, its case without its grid: what these name for ever is
    held in memory (`Mask.manifest`, `Case.grid`).
    """
    found = (
        _readings(user)
        .select_related("case__protocol", "reader")
        .defer("case__grid_json", "case__facts")
        .filter(pk=reading)
        .first()
    )
    if found is None:
        raise Missing("reading")
    named = ("base", "head", "ai_mask", "proposed", "effective")
    ids = {getattr(found, f"{name}_id") for name in named}
    masks = {mask.pk: mask for mask in Mask.objects.filter(pk__in=ids).defer("manifest_json")}
    for name in named:
        setattr(found, name, masks.get(getattr(found, f"{name}_id")))
    return found


def known_reading(user: User | AnonymousUser, reading: UUID) -> Reading:
    """The same, for who acts on it or asks for its images; raises `Missing`.

    Of one's own reading hardly more comes than its name: an act reads it again under its lock.
    """
    if isinstance(user, User) and user.is_active:
        with connection.cursor() as cursor:  # A stroke waits for it.
            cursor.execute(_own_reading(), [reading, user.pk, list(GONE)])
            found = cursor.fetchone()
        if found is not None:
            known = rows.read(Reading, found[: len(_KNOWN)], _KNOWN)
            known.case = rows.read(Case, found[len(_KNOWN) :], _KNOWN_CASE)
            return known
    return reading_for(user, reading)


_KNOWN, _KNOWN_CASE = ("id", "case_id", "reader_id", "state"), ("id", "series_id")


@cache
def _own_reading() -> str:
    return (
        f"select {rows.columns_of(Reading, 'r', _KNOWN)}, "  # noqa: S608
        f"{rows.columns_of(Case, 'c', _KNOWN_CASE)} "
        f"from {Reading._meta.db_table} r join {Case._meta.db_table} c on c.id = r.case_id "
        "where r.id = %s and r.reader_id = %s and not r.state = any(%s)"
    )


def worklist(user: User) -> QuerySet[Reading]:
    """The user's own readings with their nodes, newest first."""
    return (
        Reading.objects.filter(reader=user)
        .exclude(state__in=GONE)
        .select_related("case__protocol")
        .prefetch_related(
            Prefetch("node_states", NodeState.objects.select_related("node"), "listed_states")
        )
        .order_by("-assigned_at", "-id")
    )


def node_states(reading: Reading) -> list[NodeState]:
    """The nodes of a reading in label order, those that were added and emptied again included."""
    return list(reading.node_states.select_related("node").order_by("label"))


def counts(states: list[NodeState]) -> tuple[int, int]:
    """How many nodes a reading lists, and how many of them are decided."""
    listed = [s for s in states if not (s.node.origin != Origin.AI and s.measures is None)]
    return len(listed), sum(s.decision != Decision.UNDECIDED for s in listed)


def _masks(user: User | AnonymousUser) -> QuerySet[Mask]:
    """The masks this user may see: their readings' own, and what these were offered."""
    if isinstance(user, User) and user.is_active and user.is_superuser:
        return Mask.objects.all()
    readings = _readings(user)
    offered = Q(pk__in=readings.values("base")) | Q(pk__in=readings.values("ai_mask"))
    allowed = Q(reading__in=readings.values("pk")) | offered
    if isinstance(user, User):
        allowed |= Q(case__project__in=projects_as(user, Role.AUDITOR))
    return Mask.objects.filter(allowed)


def mask_for(user: User | AnonymousUser, mask_hash: str) -> Mask:
    """The mask of that hash, if one the user may see bears it; raises `Missing`."""
    found = _masks(user).select_related("case").filter(hash=mask_hash).first()
    if found is None:
        raise Missing("mask")
    return found


def slice_for(user: User | AnonymousUser, blob: str) -> str:
    """The blob's own hash, if a mask the user may see has such a slice; raises `Missing`."""
    masks = _masks(user).values("pk")
    if not blob or not MaskSlice.objects.filter(blob=blob, mask__in=masks).exists():
        raise Missing("slice")
    return blob


def _cases(user: User | AnonymousUser) -> QuerySet[Case]:
    if not isinstance(user, User) or not user.is_active:
        return Case.objects.none()
    if user.is_superuser:
        return Case.objects.all()
    return Case.objects.filter(project__in=projects_as(user, Role.COORDINATOR, Role.AUDITOR))


def cases(user: User | AnonymousUser) -> QuerySet[Case]:
    """The cases a coordinator or auditor oversees, with the states of their readings."""
    if not may_oversee(user):
        raise Missing("page")
    return (
        _cases(user)
        .select_related("protocol", "project", "subject")
        .prefetch_related(Prefetch("readings", Reading.objects.select_related("reader")))
    )


def case_for(user: User | AnonymousUser, case: UUID) -> Case:
    """One case the user oversees; raises `Missing`."""
    found = cases(user).filter(pk=case).first()
    if found is None:
        raise Missing("case")
    return found


def managed_reading_for(user: User | AnonymousUser, reading: UUID) -> Reading:
    """A reading whose state (not contents) the user manages as coordinator; raises `Missing`."""
    found = Reading.objects.select_related("case", "reader").filter(pk=reading).first()
    if (
        not isinstance(user, User)
        or found is None
        or not _cases(user).filter(pk=found.case_id).exists()
    ):
        raise Missing("reading")
    require_coordinator(user, found.case)
    return found


def require_coordinator(user: User, case: Case) -> None:
    """Let pass who coordinates the case's project, or an administrator."""
    if not may_coordinate(user, case):
        raise NotAllowed(
            "ROLE_NEEDED",
            "Only a coordinator of this project may do that.",
            "Ask a coordinator of this project.",
        )


def may_coordinate(user: User, case: Case) -> bool:
    """Whether the user assigns and holds the readings of a case."""
    if user.is_superuser:
        return True
    return projects_as(user, Role.COORDINATOR).filter(project_id=case.project_id).exists()


def may_audit(user: User, case: Case) -> bool:
    """Whether the user reads everything of a case."""
    if user.is_superuser:
        return True
    return projects_as(user, Role.AUDITOR).filter(project_id=case.project_id).exists()


def may_oversee(user: User | AnonymousUser) -> bool:
    """Whether the user has any cases to oversee at all."""
    if isinstance(user, User) and user.is_superuser and user.is_active:
        return True
    return holds(user, Role.COORDINATOR, Role.AUDITOR)


def overseen_projects(user: User) -> list[UUID]:
    """The ids of the projects whose cases the user oversees."""
    if user.is_superuser and user.is_active:
        return list(Project.objects.order_by("pk").values_list("pk", flat=True))
    held = projects_as(user, Role.COORDINATOR, Role.AUDITOR)
    return list(held.order_by("project_id").distinct())


def readers_of(case: Case) -> list[User]:
    """Who may be given a slot of a case."""
    return list(
        User.objects.filter(
            is_active=True,
            memberships__project=case.project_id,
            memberships__role=Role.READER.value,
        ).order_by("username")
    )


def cases_of_series(user: User, series: Series) -> list[tuple[str, str]]:
    """(Words, address) of each case of a series, or of what was made of it, that this user
    oversees."""
    read = [series.pk, *series.derived.values_list("pk", flat=True)]
    found = _cases(user).filter(series_id__in=read, superseded_by=None)
    found = found.select_related("protocol", "project")
    return [
        (f"{case.label} ({case.project.code}, {case.protocol.code})", f"/cases/{case.pk}/")
        for case in found.order_by("created")
    ]
