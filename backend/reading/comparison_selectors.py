"""Who may see a comparison: its two readers once it is made, and who oversees the case."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import Prefetch, Q

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.errors import Missing
from backend.reading.models import Case, Comparison, Discrepancy
from backend.reading.selectors import projects_as
from backend.reading.vocabulary import ComparisonState
from backend.reading.workflow import ReadingState

_COMPARED = ReadingState.COMPARED.value
_DISCREPANCIES = Prefetch(
    "clusters__discrepancies", Discrepancy.objects.select_related("consensus")
)


def comparison_for(user: User | AnonymousUser, case: UUID) -> Comparison:
    """The latest comparison of a case with its clusters; raises `Missing`.

    A reader sees it only while both readings stand: with one of them returned, the next round is
    read blind again.
    """
    if not isinstance(user, User) or not user.is_active:
        raise Missing("case")
    found = Comparison.objects.filter(case=case, state=ComparisonState.MADE)
    if not user.is_superuser:
        both = Q(first__state=_COMPARED, second__state=_COMPARED)
        own = both & (Q(first__reader=user) | Q(second__reader=user))
        overseen = projects_as(user, Role.COORDINATOR, Role.AUDITOR)
        found = found.filter(own | Q(case__project__in=overseen))
    comparison = (
        found.select_related("case__protocol")
        .prefetch_related("clusters", _DISCREPANCIES)
        .order_by("-created")
        .first()
    )
    if comparison is None:
        raise Missing("case")
    return comparison


def latest_comparison(case: Case) -> Comparison | None:
    """How far the comparison of an overseen case is; its clusters for counting."""
    return (
        case.comparisons.prefetch_related("clusters", _DISCREPANCIES).order_by("-created").first()
    )
