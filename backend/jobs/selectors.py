"""What may be read of models, runs and workers, and by whom."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet
from django.utils import timezone

from backend.accounts.models import User
from backend.errors import Missing
from backend.jobs import queue, registry
from backend.jobs.model_states import ModelState, model_state
from backend.jobs.models import ModelVersion, Run, RunAttempt, WorkerSession

# A worker says something every second; after this long its socket counts as gone.
SOCKET_SILENCE = timedelta(seconds=6)


def default_model() -> ModelVersion | None:
    """The model that pre-segments unless a protocol has another; None if none is fit to."""
    return ModelVersion.objects.filter(
        is_default=True, retired=None, verified__isnull=False
    ).first()


def model_named(model: uuid.UUID) -> ModelVersion:
    """One model; raises `Missing`."""
    found = ModelVersion.objects.filter(pk=model).first()
    if found is None:
        raise Missing("model")
    return found


def is_held_at_work(model: ModelVersion) -> bool:
    """Whether some live worker holds this very model; who names no models is taken to."""
    return any(_holds(worker, model) for worker in workers() if worker.alive)


def states_of(models: Sequence[ModelVersion]) -> list[ModelState]:
    """Where each model stands."""
    at_work = [worker for worker in workers() if worker.alive]
    return [
        model_state(
            retired=model.retired is not None,
            verified=model.verified is not None,
            damaged=bool(model.fault),
            has_worker=any(_runs(worker, model) and _holds(worker, model) for worker in at_work),
        )
        for model in models
    ]


def _runs(worker: WorkerStatus, model: ModelVersion) -> bool:
    kinds = worker.facts.get("kinds")
    return isinstance(kinds, list) and model.kind in kinds


def _holds(worker: WorkerStatus, model: ModelVersion) -> bool:
    held = worker.facts.get("models")
    return not isinstance(held, list) or model.description in held


def default_of(model: ModelVersion) -> list[str]:
    """Whose default a model is, in words."""
    own = ["every protocol without one of its own"] if model.is_default else []
    return own + [words for said in registry.default_of for words in said(model)]


def may_verify_models(user: User | AnonymousUser) -> bool:
    """Whether the user may have a model's files verified."""
    if not isinstance(user, User):
        return False
    return user.is_superuser or any(manages(user) for manages in registry.manages_models)


def runs_seen_by(user: User | AnonymousUser) -> QuerySet[Run]:
    """Runs this user may look at."""
    return _allowed(user, registry.runs_seen_by + registry.runs_managed_by)


def runs_managed_by(user: User | AnonymousUser) -> QuerySet[Run]:
    """Runs this user may cancel and retry."""
    return _allowed(user, registry.runs_managed_by)


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


def runs_visitor(user: User | AnonymousUser) -> User:
    """The user, if the pages of runs and models are theirs; raises `Missing`."""
    if not opens_runs_page(user):
        raise Missing("page")
    return person(user)


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
    gauge: dict[str, float]


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
            gauge=session.gauge,
        )
        for session in WorkerSession.objects.filter(heard__gt=now - recent)[:50]
    ]
    return sorted(known, key=lambda worker: not worker.alive)


def gauge_of_run(run: uuid.UUID) -> dict[str, float]:
    """What the worker that does a run now said last of its machine; empty where none does it."""
    at_it = RunAttempt.objects.select_related("session").filter(run=run, ended=None).first()
    return dict(at_it.session.gauge) if at_it is not None and at_it.session is not None else {}


def socket_is_open(session: WorkerSession, now: datetime) -> bool:
    """Whether the worker's socket stands, as far as the database knows."""
    return session.gone is None and now - session.heard < SOCKET_SILENCE


def _allowed(user: User | AnonymousUser, rules: list[Callable[[User], Q]]) -> QuerySet[Run]:
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
