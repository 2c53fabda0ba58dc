"""What may be read of models, runs and workers, and by whom."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet
from django.utils import timezone

from backend.accounts.models import User
from backend.errors import Missing
from backend.jobs import queue, registry
from backend.jobs.models import ModelVersion, Run, WorkerSession

# A worker says something every second; after this long its socket counts as gone.
SOCKET_SILENCE = timedelta(seconds=6)


def default_model() -> ModelVersion | None:
    """The model that pre-segments unless a protocol names another; None if there is none."""
    return ModelVersion.objects.filter(is_default=True, retired=None).first()


def runs_seen_by(user: User | AnonymousUser) -> QuerySet[Run]:
    """Runs this user may look at."""
    return _runs(user, registry.runs_seen_by + registry.runs_managed_by)


def runs_managed_by(user: User | AnonymousUser) -> QuerySet[Run]:
    """Runs this user may cancel and retry."""
    return _runs(user, registry.runs_managed_by)


def run_seen_by(user: User | AnonymousUser, run: uuid.UUID) -> Run:
    """One run this user may look at; raises `Missing`."""
    return _one(runs_seen_by(user), run)


def run_managed_by(user: User | AnonymousUser, run: uuid.UUID) -> Run:
    """One run this user may cancel and retry; raises `Missing`."""
    return _one(runs_managed_by(user), run)


def opens_runs_page(user: User | AnonymousUser) -> bool:
    """Whether the pages of runs and models are for this user.

    An admin; whom a room above names; and who may look at any run at all.
    """
    if not isinstance(user, User):
        return False
    named = user.is_superuser or any(opens(user) for opens in registry.opens_runs_page)
    return named or runs_seen_by(user).exists()


def person(user: User | AnonymousUser) -> User:
    """The signed-in user of a request that let only them in."""
    if not isinstance(user, User):
        raise TypeError("Let only signed-in users reach this view.")
    return user


@dataclass(frozen=True)
class WorkerStatus:
    """A worker process as the runs page and `/readyz` show it."""

    name: str
    alive: bool
    connected: datetime
    heard: datetime
    facts: dict[str, object]


def workers(recent: timedelta = timedelta(hours=1)) -> list[WorkerStatus]:
    """Worker processes heard of lately, the live ones first."""
    held, _ = queue.held_locks()
    now = timezone.now()
    known = [
        WorkerStatus(
            name=session.name,
            alive=session.number in held or socket_is_open(session, now),
            connected=session.connected,
            heard=session.heard,
            facts=session.facts,
        )
        for session in WorkerSession.objects.filter(heard__gt=now - recent)[:50]
    ]
    return sorted(known, key=lambda worker: not worker.alive)


def socket_is_open(session: WorkerSession, now: datetime) -> bool:
    """Whether the worker's socket stands, as far as the database knows."""
    return session.gone is None and now - session.heard < SOCKET_SILENCE


def _runs(user: User | AnonymousUser, rules: list[Callable[[User], Q]]) -> QuerySet[Run]:
    everything = Run.objects.select_related("model")
    if not isinstance(user, User):
        return everything.none()
    if user.is_superuser:
        return everything
    allowed = Q(pk__in=[])
    for rule in rules:
        allowed |= rule(user)
    return everything.filter(allowed)


def _one(runs: QuerySet[Run], run: uuid.UUID) -> Run:
    found = runs.filter(pk=run).first()
    if found is None:
        raise Missing("run")
    return found
