"""The page of runs: what waits, runs and ended, which workers live."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from backend.errors import Missing
from backend.jobs import selectors, services
from backend.jobs.models import ModelVersion, Run
from backend.jobs.protocol import STAGES, TRANSITIONS, RunAction, RunState

SHOWN_RUNS = 100


@login_required
@require_safe
def runs_page(request: HttpRequest) -> HttpResponse:
    """All runs this person may look at, the newest first; the list refreshes itself."""
    if not selectors.opens_runs_page(request.user):
        raise Missing("page")
    runs = selectors.runs_seen_by(request.user)[:SHOWN_RUNS]
    managed = set(selectors.runs_managed_by(request.user).values_list("pk", flat=True))
    context = {
        "rows": [_row(run, managed=run.pk in managed) for run in runs],
        "workers": selectors.workers(),
        "models": ModelVersion.objects.filter(retired=None),
    }
    part = request.headers.get("HX-Request") == "true"
    return render(request, "jobs/_runs.html" if part else "jobs/runs.html", context)


@login_required
@require_safe
def run_page(request: HttpRequest, run: uuid.UUID) -> HttpResponse:
    """One run: stages with their times, attempts, provenance."""
    if not selectors.opens_runs_page(request.user):
        raise Missing("page")
    found = selectors.run_seen_by(request.user, run)
    managed = selectors.runs_managed_by(request.user).filter(pk=found.pk).exists()
    result = found.result or {}
    context = {
        "row": _row(found, managed=managed),
        "timings": [
            (name, found.timings[name]) for name in ("wait", *STAGES) if name in found.timings
        ],
        "attempts": found.attempts.all(),
        "provenance": _flat(result.get("provenance") or {}),
        "nodes": len(result["nodes"]) if result else None,
    }
    return render(request, "jobs/run.html", context)


@login_required
@require_safe
def model_page(request: HttpRequest, model: uuid.UUID) -> HttpResponse:
    """A model's card: what it is for, its files and their hashes, how it was trained."""
    if not selectors.opens_runs_page(request.user):
        raise Missing("page")
    found = ModelVersion.objects.filter(pk=model).first()
    if found is None:
        raise Missing("model")
    facts = {k: v for k, v in found.manifest.items() if k not in {"files", "training"}}
    context = {"model": found, "facts": _flat(facts), "files": found.manifest["files"].items()}
    return render(request, "jobs/model.html", context)


@login_required
@require_POST
def cancel_run(request: HttpRequest, run: uuid.UUID) -> HttpResponse:
    """The page's cancel button."""
    found = selectors.run_managed_by(request.user, run)
    services.cancel(run=found.id, actor=selectors.person(request.user))
    return redirect("runs")


@login_required
@require_POST
def retry_run(request: HttpRequest, run: uuid.UUID) -> HttpResponse:
    """The page's retry button."""
    found = selectors.run_managed_by(request.user, run)
    services.retry(run=found.id, actor=selectors.person(request.user))
    return redirect("runs")


def _row(run: Run, *, managed: bool) -> dict[str, object]:
    state = RunState(run.state)
    return {
        "run": run,
        "percent": round(100 * run.progress),
        "can_cancel": managed and (state, RunAction.CANCEL) in TRANSITIONS,
        "can_retry": managed and state in {RunState.DEAD, RunState.CANCELLED},
        "seconds": round(sum(run.timings.values()), 1) if run.timings else None,
    }


def _flat(value: dict[str, Any], above: str = "") -> list[tuple[str, object]]:
    """Nested facts as lines to show: ("input shape", "40, 128, 128"), …"""
    lines: list[tuple[str, object]] = []
    for key, part in sorted(value.items()):
        name = f"{above} {key}".strip().replace("_", " ")
        if isinstance(part, dict):
            lines += _flat(part, name)
        elif isinstance(part, list):
            lines.append((name, ", ".join(str(item) for item in part)))
        else:
            lines.append((name, "–" if part is None else part))
    return lines
