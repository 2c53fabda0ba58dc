"""Who may start a training, watch it, and see how it stands against what readers agreed on.

Who makes releases starts trainings from them. Whoever may know of a frozen release may watch what
is trained on it; how well that does is for those alone who may see what was agreed.
"""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q, QuerySet

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.errors import Missing
from backend.jobs.models import ModelVersion, Run
from backend.jobs.protocol import RunKind
from backend.jobs.selectors import workers
from backend.reading.selectors import projects_as
from backend.reports.releases.models import Release, ReleaseItem, ReleaseState
from backend.reports.releases.selectors import projects_coordinated, releases_of
from backend.reports.releases.splitting import Split
from backend.reports.training.models import Training

TRAINED = "foveal"
"""The kind of model that can be trained here."""

OF_TRAININGS = Training._meta.label_lower
LOCKED = Split.LOCKED_TEST.value


def trainings_of(user: User) -> QuerySet[Training]:
    """The trainings this user may watch, the newest first."""
    found = Training.objects.filter(release__in=releases_of(user))
    return found.select_related("release__project", "parent", "run", "model", "asked_by")


def training_of(user: User, run: UUID) -> Training:
    """The training of a run; raises `Missing`."""
    found = trainings_of(user).filter(run=run).first()
    if found is None:
        raise Missing("training")
    return found


def runs_seen_by(user: User) -> Q:
    """The runs of the trainings this user may watch."""
    return _runs_of(trainings_of(user))


def runs_managed_by(user: User) -> Q:
    """The runs of the trainings this user may stop: of projects they coordinate."""
    coordinated = projects_as(user, Role.COORDINATOR)
    return _runs_of(Training.objects.filter(release__project__in=coordinated))


def releases_to_train_on(user: User) -> QuerySet[Release]:
    """The frozen releases from which this user may start a training."""
    return Release.objects.filter(
        project__in=projects_coordinated(user), state=ReleaseState.FROZEN.value
    ).select_related("project")


def models_to_train() -> QuerySet[ModelVersion]:
    """The models from which a training can go on."""
    return ModelVersion.objects.filter(kind=TRAINED, retired=None, verified__isnull=False)


def somebody_trains() -> bool:
    """Whether a worker at work says that it trains models."""
    return any(worker.alive and worker.facts.get("trains") is True for worker in workers())


def series_opened(run: Run) -> list[UUID]:
    """The series a training's worker may fetch: of people held out only once weights are sealed."""
    if run.kind != RunKind.TRAIN:
        return []
    training = Training.objects.filter(pk=run.subject_id).first()
    if training is None:
        return []
    items = items_open_to(training, run)
    return list(items.values_list("case__series_id", flat=True))


def items_open_to(training: Training, run: Run) -> QuerySet[ReleaseItem]:
    """The cases of its release that a training's current attempt may see; none once withdrawn."""
    items = ReleaseItem.objects.filter(
        release=training.release_id, release__state=ReleaseState.FROZEN.value
    )
    sealed = run.attempts.filter(number=run.attempt, ended=None).exclude(weights_blob="")
    return items if sealed.exists() else items.exclude(split=LOCKED)


def _runs_of(trainings: QuerySet[Training]) -> Q:
    return Q(subject_type=OF_TRAININGS, subject_id__in=trainings.values("pk"))
