"""Who sees which series. Upper rooms say so; with nothing registered, nothing is visible."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, TypeAlias
from uuid import UUID

from django.db.models import Q, QuerySet

from backend.archive.models import Series
from backend.errors import Missing, NotAllowed

if TYPE_CHECKING:
    from backend.accounts.models import User

Rule: TypeAlias = "Callable[[User], Q]"
Scope: TypeAlias = "Callable[[User, UUID], QuerySet[Series]]"
Uploader: TypeAlias = "Callable[[User], bool]"

# The condition of a rule that lets its user see the whole archive.
EVERYTHING = ~Q(pk__in=[])

_rules: list[Rule] = []
_scopes: dict[str, Scope] = {}
_uploaders: list[Uploader] = []


def register(rule: Rule) -> None:
    """Let `rule(user)`, a condition on Series, add to what the user sees; an empty Q adds none."""
    _rules.append(rule)


def register_scope(name: str, scope: Scope) -> None:
    """Serve `/dicom-web/<name>/<id>/…`: the series `scope(user, id)` gives, images only.

    The function raises `errors.Missing` where the user may not know of the id.
    """
    _scopes[name] = scope


def register_uploader(rule: Uploader) -> None:
    """Let `rule(user)` say who may upload and see who the patient is."""
    _uploaders.append(rule)


def visible(user: User) -> QuerySet[Series]:
    """The series this user may know of."""
    if not user.is_authenticated or not user.is_active:
        return Series.objects.none()
    conditions = [condition for rule in _rules if (condition := rule(user))]
    if not conditions:
        return Series.objects.none()
    if EVERYTHING in conditions:  # Then a list of studies comes from one index.
        return Series.objects.all()
    seen = Series.objects.filter(reduce(or_, conditions))
    return Series.objects.filter(pk__in=seen.values("pk"))  # Rules join; no series comes twice.


def in_scope(name: str, user: User, scope_id: UUID) -> QuerySet[Series]:
    """The image series behind `/dicom-web/<name>/<scope_id>/`; raises `Missing`."""
    scope = _scopes.get(name)
    if scope is None or not user.is_authenticated or not user.is_active:
        raise Missing("study")
    return scope(user, scope_id).filter(is_image=True)


def require_upload(user: User, what: str = "the archive") -> User:
    """The user, who may add to the archive; raises `NotAllowed`, naming what they wanted to see."""
    if not may_upload(user):
        raise NotAllowed("NOT_ALLOWED", f"Only coordinators see {what}.", "Ask your coordinator.")
    return user


def may_upload(user: User) -> bool:
    """Whether this user may add to the archive (and sees names): superusers, and who rules say."""
    if not user.is_authenticated or not user.is_active:
        return False
    return user.is_superuser or any(rule(user) for rule in _uploaders)
