"""Who may try models on which cases, and look at what came of it.

Who coordinates or does science in the case's project, and administrators; never someone who reads
the same images, in whatever project. What is hidden and what is absent are the same `Missing`.
"""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.errors import Missing
from backend.jobs.models import ModelVersion, Run
from backend.jobs.protocol import RunKind, RunState
from backend.reading.models import Case, Consensus, Membership, Reading
from backend.reports.models import ModelComparison
from backend.reports.releases.models import Release, ReleaseState
from backend.reports.releases.selectors import releases_of, sees_what_was_agreed

_ROLES = (Role.COORDINATOR.value, Role.SCIENTIST.value)
# A mask of either is what a model makes of a case.
_KINDS = (RunKind.TRIAL.value, RunKind.PRESEGMENT.value)


def cases_to_try(user: User | AnonymousUser) -> QuerySet[Case]:
    """The cases on which this user may try models."""
    if not isinstance(user, User) or not user.is_active:
        return Case.objects.none()
    found = Case.objects.filter(superseded_by=None)
    if not user.is_superuser:
        projects = Membership.objects.filter(user=user, role__in=_ROLES).values("project")
        found = found.filter(project__in=projects)
    read = Reading.objects.filter(reader=user).values("case__study_uid")
    return found.exclude(study_uid__in=read).select_related("project", "protocol")


def case_to_try(user: User | AnonymousUser, case: UUID) -> Case:
    """One of them; raises `Missing`."""
    found = cases_to_try(user).filter(pk=case).first()
    if found is None:
        raise Missing("case")
    return found


def trials_of(user: User | AnonymousUser, model: ModelVersion) -> QuerySet[Run]:
    """The trials of a model that this user may look at, the newest first."""
    return Run.objects.filter(
        kind=RunKind.TRIAL,
        model=model,
        subject_type=Case._meta.label_lower,
        subject_id__in=cases_to_try(user).values("pk"),
    )


def trial_for(user: User | AnonymousUser, run: UUID) -> tuple[Run, Case]:
    """A trial whose mask this user may look at, and its case; raises `Missing`."""
    found = Run.objects.select_related("model").filter(pk=run, kind=RunKind.TRIAL).first()
    if found is None:
        raise Missing("trial")
    return found, case_to_try(user, found.subject_id)


def comparisons_for(user: User | AnonymousUser) -> QuerySet[ModelComparison]:
    """The comparisons of models on cases all of which this user may try models on."""
    allowed = {str(pk) for pk in cases_to_try(user).values_list("pk", flat=True)}
    known = ModelComparison.objects.values_list("pk", "cases")
    mine = [pk for pk, cases in known if cases and set(cases) <= allowed]
    return ModelComparison.objects.filter(pk__in=mine).select_related(
        "first", "second", "project", "release"
    )


def comparison_for(user: User | AnonymousUser, comparison: UUID) -> ModelComparison:
    """One of them; raises `Missing`."""
    found = comparisons_for(user).filter(pk=comparison).first()
    if found is None:
        raise Missing("comparison")
    return found


def runs_on(model: ModelVersion, case: Case) -> QuerySet[Run]:
    """What this model did on a case, the newest first."""
    return Run.objects.filter(
        kind__in=_KINDS, model=model, subject_type=Case._meta.label_lower, subject_id=case.pk
    )


def run_on(model: ModelVersion, case: Case) -> Run | None:
    """The newest run of this model on a case that succeeded."""
    return runs_on(model, case).filter(state=RunState.SUCCEEDED.value).first()


def release_with(case: Case) -> Release | None:
    """The newest frozen release that lists a case: what of it may be held against a model."""
    return Release.objects.filter(state=ReleaseState.FROZEN.value, items__case=case).first()


def truth_in(release: Release | None, case: Case) -> Consensus | None:
    """The version of a case's consensus that a release lists; None without one."""
    if release is None:
        return None
    items = release.items.select_related("consensus__mask__case", "consensus__ignored__case")
    item = items.filter(case=case).first()
    return item.consensus if item else None


def releases_to_compare_on(user: User) -> QuerySet[Release]:
    """The frozen releases with cases on which this user may try models."""
    frozen = releases_of(user).filter(state=ReleaseState.FROZEN.value)
    return frozen.filter(items__case__in=cases_to_try(user).values("pk")).distinct()


def sees_truth(user: User, comparison: ModelComparison) -> bool:
    """Whether the user may see how the models stand against what readers agreed on."""
    return comparison.release is not None and sees_what_was_agreed(user, comparison.release)
