"""Pages of what models do on cases: try one, look at it, compare two, choose a protocol's."""

from __future__ import annotations

import uuid
from functools import lru_cache
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.views.decorators.http import require_POST, require_safe

from backend.archive.models import Instance
from backend.archive.volume import hounsfield
from backend.errors import ConcordError, Missing
from backend.imaging.masks import Labels
from backend.jobs.models import ModelVersion, Run
from backend.jobs.protocol import RunKind
from backend.jobs.selectors import model_named, person, runs_visitor
from backend.pages import chosen_id, said_back
from backend.reading import maskstore
from backend.reading.models import Case, Protocol
from backend.reading.services.protocol_models import choose_model, chosen_model, may_choose_model
from backend.reports.model_differences import slices_to_show
from backend.reports.overlay import box_around, slice_picture
from backend.reports.trial_selectors import (
    case_to_try,
    cases_to_try,
    comparison_for,
    comparisons_for,
    releases_to_compare_on,
    sees_truth,
    trial_for,
    trials_of,
    truth_in,
)
from backend.reports.trying import compare_models, labels_of, try_model

SHOWN = 12
SHOWN_CASES = 300


@login_required
@require_POST
def try_on(request: HttpRequest, model: uuid.UUID) -> HttpResponse:
    """Try a model on a `case`."""
    user = runs_visitor(request.user)
    found = model_named(model)
    case = case_to_try(user, chosen_id(request.POST.get("case", ""), "case"))
    try:
        run = try_model(model=found, case=case, actor=user)
    except ConcordError as error:
        return said_back(request, error, "model", model=model)
    return redirect("run", run=run.pk)


@login_required
@require_POST
def compare(request: HttpRequest, model: uuid.UUID) -> HttpResponse:
    """Compare with another model (`with`) on a `case`, or on all of a release (`release:…`)."""
    user = runs_visitor(request.user)
    first = model_named(model)
    second = model_named(chosen_id(request.POST.get("with", ""), "model"))
    asked = request.POST.get("case", "")
    try:
        release = None
        if asked.startswith("release:"):
            named = chosen_id(asked.removeprefix("release:"), "release")
            release = releases_to_compare_on(user).filter(pk=named).first()
            if release is None:
                raise Missing("release")
            listed = release.items.values("case")
            cases = list(cases_to_try(user).filter(pk__in=listed))
        else:
            cases = [case_to_try(user, chosen_id(asked, "case"))]
        comparison = compare_models(
            first=first, second=second, cases=cases, actor=user, release=release
        )
    except ConcordError as error:
        return said_back(request, error, "model", model=model)
    return redirect("model-comparison", comparison=comparison.pk)


@login_required
@require_POST
def choose(request: HttpRequest, model: uuid.UUID) -> HttpResponse:
    """Make a model the default of a `protocol`'s new cases, with a `reason`."""
    user = runs_visitor(request.user)
    found = model_named(model)
    wanted = chosen_id(request.POST.get("protocol", ""), "protocol")
    protocol = Protocol.objects.filter(pk=wanted).first()
    if protocol is None:
        raise Missing("protocol")
    reason = request.POST.get("reason", "")
    try:
        choose_model(protocol=protocol, model=found, reason=reason, actor=user)
    except ConcordError as error:
        return said_back(request, error, "model", model=model)
    return redirect("model", model=model)


@login_required
@require_safe
def comparison_page(request: HttpRequest, comparison: uuid.UUID) -> HttpResponse:
    """Two models side by side: figures, node list, slices."""
    found = comparison_for(request.user, comparison)
    cases = found.result.get("cases", [])
    asked = request.GET.get("case", "")
    chosen = next((case for case in cases if case["case"] == asked), cases[0] if cases else None)
    count = Case.objects.get(pk=chosen["case"]).grid.shape[0] if chosen else 0
    context = {
        "comparison": found,
        "result": found.result,
        "cases": cases,
        "chosen": chosen,
        "rows": [{**row, "slice_number": count - row["slice"]} for row in chosen["rows"]]
        if chosen
        else [],
        "slices": _numbered(chosen["slices"], count) if chosen else [],
        "truth": found.release if sees_truth(person(request.user), found) else None,
    }
    return render(request, "reports/model_comparison.html", context)


@login_required
@require_safe
def comparison_slice(
    request: HttpRequest, comparison: uuid.UUID, case: uuid.UUID, number: int
) -> HttpResponse:
    """One slice of a compared case with the outlines of both models, and of the truth."""
    found = comparison_for(request.user, comparison)
    said = next((one for one in found.result.get("cases", []) if one["case"] == str(case)), None)
    if said is None:
        raise Missing("picture")
    of = case_to_try(request.user, case)
    first, second = (_labels(said["runs"][side]) for side in ("first", "second"))
    seen = sees_truth(person(request.user), found) and said["consensus"]
    truth = truth_in(found.release, of) if seen else None
    mask = maskstore.volume(truth.mask) if truth and truth.mask else None
    return _picture(of, number, first, second, mask)


@login_required
@require_safe
def trial_slice(request: HttpRequest, run: uuid.UUID, number: int) -> HttpResponse:
    """One slice of a tried case with the model's outlines."""
    found, case = trial_for(request.user, run)
    if not found.mask_blob:
        raise Missing("picture")
    return _picture(case, number, labels_of(found), None, None)


def trial_panel(request: HttpRequest, run: Run) -> str:
    """What a trial found, on its run's page; "" for other runs and for who may not look."""
    if run.kind != RunKind.TRIAL:
        return ""
    try:
        _, case = trial_for(request.user, run.pk)
    except Missing:
        return ""
    nodes, count = (run.result or {}).get("nodes", []), case.grid.shape[0]
    rows = [
        {
            "label": node["label"],
            "score": node.get("score"),
            "sad_mm": node["measures"]["sad_mm"],
            "volume_ml": node["measures"]["volume_mm3"] / 1000,
            "slice": node["measures"]["slice_index"],
            "slice_number": count - node["measures"]["slice_index"],
        }
        for node in sorted(nodes, key=lambda one: -one["measures"]["sad_mm"])
    ]
    shapes: list[dict[str, Any]] = [
        {"first": row, "second": None, "dice": None, "slice": row["slice"]} for row in rows
    ]
    context = {
        "run": run,
        "case": case,
        "rows": rows,
        "slices": _numbered(slices_to_show(shapes, case.grid) if run.mask_blob else [], count),
    }
    return render_to_string("reports/trial.html", context, request)


def _numbered(indices: list[int], count: int) -> list[tuple[int, int]]:
    """Slices as (index from the feet, number from the head, as everywhere a person reads one)."""
    return [(index, count - index) for index in reversed(indices)]


def model_panel(request: HttpRequest, model: ModelVersion) -> str:
    """Try, compare, choose; on a model's page."""
    user = person(request.user)
    cases = list(cases_to_try(user).order_by("-created")[:SHOWN_CASES])
    others = ModelVersion.objects.filter(retired=None).exclude(pk=model.pk)
    mine = comparisons_for(user)
    context = {
        "model": model,
        "fit": model.retired is None and model.verified is not None,
        "cases": cases,
        "others": others.filter(verified__isnull=False),
        "releases": releases_to_compare_on(user),
        "trials": [(run, _label(run, cases)) for run in trials_of(user, model)[:SHOWN]],
        "comparisons": [c for c in mine[:100] if model.pk in (c.first_id, c.second_id)][:SHOWN],
        "protocols": _protocols(model) if may_choose_model(user) else [],
    }
    return render_to_string("reports/model_panel.html", context, request)


def _protocols(model: ModelVersion) -> list[Protocol]:
    """The protocols whose new cases could get this model."""
    active = Protocol.objects.filter(active=True)
    return [p for p in active if p.leaves_model_open and chosen_model(p) != model]


def _label(run: Run, cases: list[Case]) -> str:
    return next((case.label for case in cases if case.pk == run.subject_id), "a case")


def _picture(
    case: Case, number: int, first: Labels, second: Labels | None, truth: Labels | None
) -> HttpResponse:
    grid = case.grid
    if not 0 <= number < grid.shape[0]:
        raise Missing("picture")
    instance = Instance.objects.filter(series=case.series_id, sop_uid=grid.sop_uids[number]).first()
    if instance is None:
        raise Missing("picture")
    every = [mask.max(axis=0) for mask in (first, second, truth) if mask is not None]
    png = slice_picture(
        hounsfield(instance),
        grid,
        box_around(every, grid),
        first=first[number] > 0,
        second=None if second is None else second[number] > 0,
        truth=None if truth is None else truth[number] > 0,
    )
    headers = {"Cache-Control": "private, no-store"}
    return HttpResponse(png, content_type="image/png", headers=headers)


@lru_cache(maxsize=4)
def _labels(run: str) -> Labels:
    """A run's label map; several slices of it are asked for at once. Never changed."""
    labels = labels_of(Run.objects.get(pk=run))
    labels.setflags(write=False)
    return labels
