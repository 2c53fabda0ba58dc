"""A model tried on a case, and two models compared: nothing of the case changes.

A trial is a run of its own kind, on the log's `system` chain: neither the case, nor its record, nor
its report, nor any reader hears of it. No reading is ever offered its mask.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.audit.services import News, record
from backend.errors import BadInput, ConcordError, WrongState
from backend.imaging.masks import Labels, unpack_mask
from backend.jobs import services as jobs
from backend.jobs.model_acts import require_fit
from backend.jobs.models import UNDERWAY_STATES, ModelVersion, Run
from backend.jobs.protocol import RunKind
from backend.jobs.queue import defer
from backend.reading import maskstore
from backend.reading.models import Case
from backend.reports.model_differences import difference_of, summary_of
from backend.reports.models import ExportState, ModelComparison
from backend.reports.releases.models import Release
from backend.reports.releases.services import note_look
from backend.reports.releases.splitting import Split
from backend.reports.trial_selectors import case_to_try, release_with, run_on, runs_on, truth_in
from backend.store import store

logger = logging.getLogger(__name__)

TASK = "reports.compare_models"
MOST_CASES = 200
LOCKED = Split.LOCKED_TEST.value
# A comparison that is being measured and that nobody touched for so long is begun again.
PATIENCE = timedelta(seconds=180)
OF_CASES = Case._meta.label_lower


@transaction.atomic
def try_model(*, model: ModelVersion, case: Case, actor: User) -> Run:
    """Queue a run of a model on a case that changes nothing of it; raises `Missing`."""
    case = case_to_try(actor, case.pk)
    require_fit(model)
    if runs_on(model, case).filter(kind=RunKind.TRIAL, state__in=UNDERWAY_STATES).exists():
        raise WrongState(
            "TRIED_ALREADY",
            f"{model} is being tried on {case} already.",
            "Wait for it, or cancel it on its page.",
        )
    run = _enqueue(model, case, actor)
    record(
        "model.tried", model, actor=actor, run=str(run.pk), case=str(case.pk), sha256=model.sha256
    )
    return run


def _enqueue(model: ModelVersion, case: Case, actor: User) -> Run:
    return jobs.enqueue(
        kind=RunKind.TRIAL,
        subject=case,
        series_id=case.series_id,
        study_uid=case.study_uid,
        series_uid=case.series_uid,
        model=model,
        parameters={"geometry_hash": case.geometry_hash, "shape": list(case.grid.shape)},
        actor=actor,
        chain="system",
    )


@transaction.atomic
def compare_models(
    *,
    first: ModelVersion,
    second: ModelVersion,
    cases: Sequence[Case],
    actor: User,
    release: Release | None = None,
) -> ModelComparison:
    """Have two models compared on cases of one project; what was not run yet is tried first.

    The truth is what `release` lists; of one case alone, what the newest release with it does. A
    comparison on people held out counts as a look at them.
    """
    if first.pk == second.pk:
        raise BadInput(
            "SAME_MODEL", "A model is not compared with itself.", "Choose another model."
        )
    allowed = [case_to_try(actor, case.pk) for case in cases]
    if not allowed or len({case.project_id for case in allowed}) != 1:
        raise BadInput(
            "NO_CASES",
            "Models are compared on cases of one project, and none was chosen.",
            "Choose a case, or a frozen release.",
        )
    if len(allowed) > MOST_CASES:
        raise BadInput(
            "TOO_MANY_CASES",
            f"{len(allowed)} cases are more than the {MOST_CASES} that are compared at once.",
            "Choose fewer.",
        )
    for model in (first, second):
        for case in allowed:
            if runs_on(model, case).exclude(state__in=("dead", "cancelled")).exists():
                continue
            require_fit(model)
            _enqueue(model, case, actor)
    if release is None and len(allowed) == 1:
        release = release_with(allowed[0])
    comparison = ModelComparison.objects.create(
        project=allowed[0].project,
        release=release,
        first=first,
        second=second,
        cases=[str(case.pk) for case in allowed],
        asked_by=actor,
    )
    record(
        "models.compared",
        comparison,
        actor=actor,
        first=str(first.pk),
        second=str(second.pk),
        cases=comparison.cases,
        release=str(release.pk) if release else None,
    )
    if release is not None and release.items.filter(case__in=allowed, split=LOCKED).exists():
        for model in (first, second):
            note_look(release=release, actor=actor, model=str(model))
    return comparison


def offer_model_comparisons() -> int:
    """Every second: have what waits measured once both models are done with it; how many."""
    given = 0
    for waiting in ModelComparison.objects.filter(state=ExportState.QUEUED.value)[:20]:
        underway = Run.objects.filter(
            kind__in=(RunKind.TRIAL.value, RunKind.PRESEGMENT.value),
            model__in=(waiting.first_id, waiting.second_id),
            subject_type=OF_CASES,
            subject_id__in=waiting.cases,
            state__in=UNDERWAY_STATES,
        )
        if not underway.exists():
            given += _give(waiting.pk, ExportState.QUEUED)
    stale = ModelComparison.objects.filter(
        state=ExportState.RUNNING.value, touched__lt=timezone.now() - PATIENCE
    )
    return given + sum(_give(found.pk, ExportState.RUNNING) for found in stale[:20])


@transaction.atomic
def _give(comparison: uuid.UUID, state: ExportState) -> int:
    found = ModelComparison.objects.filter(pk=comparison, state=state.value)
    taken = found.update(state=ExportState.RUNNING.value, touched=timezone.now())
    if taken:
        defer(TASK, queueing_lock=f"models:{comparison}", comparison=str(comparison))
    return taken


def measure_comparison(comparison: uuid.UUID) -> ModelComparison:
    """Compare the masks of both models on every case. In the work process; safe to repeat."""
    found = ModelComparison.objects.select_related("first", "second", "release").get(pk=comparison)
    if found.state != ExportState.RUNNING:
        return found
    try:
        result = _measure(found)
    except DatabaseError:
        raise  # The database is away: it is offered again.
    except Exception as error:
        logger.exception("the comparison %s failed", comparison)
        message = error.message if isinstance(error, ConcordError) else str(error)
        return _end(comparison, ExportState.FAILED, {}, message or type(error).__name__)
    if not result["cases"]:
        why = result["left_out"][0]["why"] if result["left_out"] else "No case is left."
        return _end(comparison, ExportState.FAILED, {}, why)
    return _end(comparison, ExportState.READY, result, "")


def _measure(comparison: ModelComparison) -> dict[str, Any]:
    cases, left_out = [], []
    for case in Case.objects.filter(pk__in=comparison.cases).order_by("label"):
        runs = [run_on(model, case) for model in (comparison.first, comparison.second)]
        first, second = runs
        if first is None or second is None:
            why = _why(comparison, case)
            left_out.append({"case": str(case.pk), "label": case.label, "why": why})
            continue
        truth = truth_in(comparison.release, case)
        labels = maskstore.volume(truth.mask) if truth and truth.mask else None
        ignored = maskstore.volume(truth.ignored) if truth and truth.ignored else None
        said = difference_of(
            labels_of(first), labels_of(second), case.grid, truth=labels, ignored=ignored
        )
        cases.append(
            {
                "case": str(case.pk),
                "label": case.label,
                "runs": {"first": str(first.pk), "second": str(second.pk)},
                "seconds": {"first": _seconds(first), "second": _seconds(second)},
                "consensus": str(truth.pk) if truth else None,
                **said,
            }
        )
        ModelComparison.objects.filter(pk=comparison.pk).update(touched=timezone.now())
    return {"cases": cases, "left_out": left_out, "summary": summary_of(cases)}


def _why(comparison: ModelComparison, case: Case) -> str:
    """Why a case is left out: the run that gave no mask, and its own sentence."""
    for model in (comparison.first, comparison.second):
        if run_on(model, case) is None:
            last = runs_on(model, case).first()
            return f"{model} gave no mask of {case}: {last.message if last else 'it never ran'}"
    return "both ran"


def _seconds(run: Run) -> float | None:
    spent = [value for stage, value in run.timings.items() if stage != "wait"]
    return round(sum(spent), 2) if spent else None


def labels_of(run: Run) -> Labels:
    """The label map ``(slices, rows, columns)`` that a run made."""
    return unpack_mask(store().read(run.mask_blob)).to_volume()


@transaction.atomic
def _end(
    comparison: uuid.UUID, state: ExportState, result: dict[str, Any], message: str
) -> ModelComparison:
    found = ModelComparison.objects.select_for_update().get(pk=comparison)
    if found.state != ExportState.RUNNING:
        return found
    found.state, found.result, found.message = state.value, result, message
    found.finished = timezone.now()
    found.save()
    record(
        "models.measured",
        found,
        actor=None,
        outcome="success" if state is ExportState.READY else "failure",
        reason=message,
        news=[News(f"models:{found.pk}", "models.measured", {"state": found.state})],
        summary=result.get("summary"),
    )
    return found
