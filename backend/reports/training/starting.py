"""Starting a training from a frozen release."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction

from backend.accounts.models import User
from backend.audit.services import record
from backend.errors import BadInput, NotAllowed, WrongState
from backend.jobs import services as jobs
from backend.jobs.model_acts import require_fit
from backend.jobs.models import UNDERWAY_STATES, ModelVersion
from backend.jobs.protocol import RunKind
from backend.reports.releases.models import Release, ReleaseState
from backend.reports.releases.selectors import coordinates
from backend.reports.releases.splitting import Split
from backend.reports.training.models import Training
from backend.reports.training.selectors import TRAINED

MINUTES, THREADS = 20.0, 2
"""Of processor time and processor threads, unless somebody asks for more."""
MOST_MINUTES, MOST_THREADS = 7 * 24 * 60.0, 64
LEAST_MINUTES = 0.05
_MARK = "-t"


@transaction.atomic
def start_training(
    *,
    release: Release,
    parent: ModelVersion,
    actor: User,
    minutes: float = MINUTES,
    threads: int = THREADS,
    seed: int = 0,
) -> Training:
    """Queue a training of the parent's next version on a frozen release.

    Raises:
        BadInput: minutes, threads or seed are out of range.
        NotAllowed: the actor does not coordinate the release's project.
        WrongState: the release is not frozen, or gives nobody to train on; the parent cannot be
            trained or is not runnable; the same training is underway.
    """
    if not coordinates(actor, release.project):
        raise NotAllowed(
            "ROLE_NEEDED",
            "Only a coordinator starts a training from a release.",
            "Ask a coordinator of this project.",
        )
    _require_within(minutes, threads, seed)
    found = Release.objects.select_for_update(of=("self",)).get(pk=release.pk)
    if found.state != ReleaseState.FROZEN.value:
        raise WrongState(
            "NOT_FROZEN",
            f"{found.name} is {found.state}; a training needs a frozen release.",
            "Freeze it first, or choose another.",
        )
    if parent.kind != TRAINED:
        raise WrongState(
            "CANNOT_TRAIN",
            f"{parent} is of kind {parent.kind}, which cannot be trained here.",
            f"Choose a model of kind {TRAINED}.",
        )
    require_fit(parent)
    if not found.items.filter(split=Split.TRAIN.value).exists():
        raise WrongState(
            "NOBODY_TO_TRAIN_ON",
            f"Everybody in {found.name} is held out or watched; nobody is left to train on.",
            "Freeze a release of more people, or hold out a smaller share.",
        )
    underway = Training.objects.filter(
        release=found, parent=parent, run__state__in=UNDERWAY_STATES
    ).first()
    if underway is not None:
        raise WrongState(
            "TRAINS_ALREADY",
            f"{underway} is being trained on {found.name} already.",
            "Wait for it, or cancel it on its page.",
        )
    training = Training.objects.create(
        release=found,
        parent=parent,
        version=next_version(parent),
        plan={"minutes": minutes, "threads": threads, "seed": seed},
        asked_by=actor,
    )
    record(
        "training.started",
        training,
        actor=actor,
        release=str(found.pk),
        release_sha256=found.sha256,
        parent=parent.named,
        version=training.version,
        plan=training.plan,
    )
    training.run = jobs.enqueue(
        kind=RunKind.TRAIN,
        subject=training,
        series_id=training.pk,
        study_uid="",
        series_uid="",
        model=parent,
        parameters={
            "plan": training.plan,
            "cases": cases_of(found),
            "manifest": parent.manifest,
        },
        actor=actor,
        chain="system",
    )
    training.save(update_fields=["run"])
    return training


def cases_of(release: Release) -> list[dict[str, Any]]:
    """What a worker is told of a release: where its images are, and what each case is for."""
    items = release.items.select_related("case").order_by("case__label")
    return [
        {
            "case": str(item.case_id),
            "study": item.case.study_uid,
            "series": item.case.series_uid,
            "geometry_hash": item.case.geometry_hash,
            "split": item.split,
        }
        for item in items
    ]


def next_version(parent: ModelVersion) -> str:
    """The version after the newest that was trained of this model: 0.2.0 → 0.2.0-t1, -t2 …"""
    first = parent.version.split(_MARK)[0][:30]
    taken = set(ModelVersion.objects.filter(name=parent.name).values_list("version", flat=True))
    taken |= set(
        Training.objects.filter(parent__name=parent.name).values_list("version", flat=True)
    )
    number = 1
    while f"{first}{_MARK}{number}" in taken:
        number += 1
    return f"{first}{_MARK}{number}"


def _require_within(minutes: float, threads: int, seed: int) -> None:
    if not LEAST_MINUTES <= minutes <= MOST_MINUTES:
        raise BadInput(
            "MINUTES",
            f"A training takes {LEAST_MINUTES:g} to {MOST_MINUTES:g} minutes of processor time.",
            f"Type a number of minutes; {MINUTES:g} is usual.",
        )
    if not 1 <= threads <= MOST_THREADS:
        raise BadInput(
            "THREADS", f"A training has 1 to {MOST_THREADS} threads.", f"{THREADS} are usual."
        )
    if not 0 <= seed < 2**31:
        raise BadInput("SEED", "A seed is a whole number from 0 on.", "Type 0.")


def training_named(training: uuid.UUID) -> Training:
    """A training and what it hangs on."""
    return Training.objects.select_related("release", "parent", "run", "asked_by").get(pk=training)
