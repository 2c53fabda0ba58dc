"""The page of runs: what waits, runs and ended, which workers live."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_POST, require_safe

from backend.audit.news import heads_now
from backend.errors import WrongState
from backend.jobs import registry, selectors, services
from backend.jobs.models import Run
from backend.jobs.presentation import flat, gauge_of, stage_bars, worker_row
from backend.jobs.protocol import TRANSITIONS, RunAction, RunKind, RunState
from backend.jobs.run_filters import KINDS, RunFilters

SHOWN_RUNS = 100


@login_required
@require_safe
def runs_page(request: HttpRequest) -> HttpResponse:
    """All runs this person may look at, the newest first; the list refreshes itself."""
    selectors.runs_visitor(request.user)
    wanted = RunFilters.of(request.GET)
    runs = list(wanted.on(selectors.runs_seen_by(request.user))[:SHOWN_RUNS])
    managed = set(
        selectors.runs_managed_by(request.user)
        .filter(pk__in=[run.pk for run in runs])
        .values_list("pk", flat=True)
    )
    context = {
        "rows": [_row(run, managed=run.pk in managed) for run in runs],
        "workers": [worker_row(worker) for worker in selectors.workers()],
        "filters": wanted.choices(),
        "filtered": wanted.any,
        "address": request.get_full_path(),
        "most": SHOWN_RUNS if len(runs) == SHOWN_RUNS else None,
    }
    part = request.headers.get("HX-Request") == "true"
    return render(request, "jobs/_runs.html" if part else "jobs/runs.html", context)


@login_required
@require_safe
def run_page(request: HttpRequest, run: uuid.UUID) -> HttpResponse:
    """One run: stages with their times, attempts, provenance."""
    selectors.runs_visitor(request.user)
    found = selectors.run_seen_by(request.user, run)
    managed = selectors.runs_managed_by(request.user).filter(pk=found.pk).exists()
    result = found.result or {}
    context = {
        "row": _row(found, managed=managed),
        "stages": stage_bars(found.timings),
        "steps": [(name, name == found.stage) for name in RunKind(found.kind).stage_share],
        "attempts": found.attempts.all(),
        "gauge": gauge_of(found),
        "seen": json.dumps(heads_now([f"run:{found.pk}"])),
        "provenance": flat(result.get("provenance") or {}),
        "nodes": len(result["nodes"]) if "nodes" in result else None,
        "panels": [mark_safe(panel(request, found)) for panel in registry.run_panels],  # noqa: S308
    }
    return render(request, "jobs/run.html", context)


@login_required
@require_POST
def cancel_run(request: HttpRequest, run: uuid.UUID) -> HttpResponse:
    """The page's cancel button."""
    selectors.run_managed_by(request.user, run)
    return _done(
        request, run, lambda: services.cancel(run=run, actor=selectors.person(request.user))
    )


@login_required
@require_POST
def retry_run(request: HttpRequest, run: uuid.UUID) -> HttpResponse:
    """The page's retry button."""
    selectors.run_managed_by(request.user, run)
    return _done(
        request, run, lambda: services.retry(run=run, actor=selectors.person(request.user))
    )


def _done(request: HttpRequest, run: uuid.UUID, act: Callable[[], Run]) -> HttpResponse:
    """Do it, and back to the run; what came too late is said there."""
    try:
        act()
    except WrongState as error:
        messages.error(request, str(error))
    return redirect("run", run=run)


def _row(run: Run, *, managed: bool) -> dict[str, object]:
    state = RunState(run.state)
    return {
        "run": run,
        "kind": KINDS[run.kind],
        "percent": round(100 * run.progress),
        "can_cancel": managed and (state, RunAction.CANCEL) in TRANSITIONS,
        "can_retry": managed and state in {RunState.DEAD, RunState.CANCELLED},
        "seconds": round(sum(run.timings.values()), 1) if run.timings else None,
    }
