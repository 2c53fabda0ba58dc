"""Trainings on pages: started from the list of models, watched on the run, then compared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.views.decorators.http import require_POST, require_safe

from backend.errors import BadInput, ConcordError, Missing
from backend.jobs.models import ModelVersion, Run
from backend.jobs.protocol import RunKind
from backend.jobs.selectors import runs_visitor
from backend.pages import chosen_id, said_back
from backend.reading.selectors import person
from backend.reports.releases.selectors import coordinates, releases_of, sees_what_was_agreed
from backend.reports.training.keeping import ask_registration
from backend.reports.training.models import Curve, Training, TrainingPoint
from backend.reports.training.selectors import (
    LOCKED,
    models_to_train,
    releases_to_train_on,
    somebody_trains,
    training_of,
    trainings_of,
)
from backend.reports.training.starting import MINUTES, MOST_THREADS, THREADS, start_training
from backend.reports.trial_selectors import cases_to_try

SHOWN = 12
FIGURES = {
    "recall_5mm": "Recall, nodes of 5 mm and more",
    "recall_10mm": "Recall, 10 mm and more",
    "recall_15mm": "Recall, 15 mm and more",
    "recall": "Recall, all nodes",
    "false_positives": "False positives a scan",
    "dice": "Dice of localised nodes",
    "surface_mm": "Average surface distance (mm)",
}
"""What is measured against the agreed masks, in the order of the pages."""


@login_required
@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Start a training (`release`, `parent`, `minutes`, `threads`, `seed`)."""
    user = runs_visitor(request.user)
    named, begun_from = (
        chosen_id(request.POST.get(field, ""), what)
        for field, what in (("release", "release"), ("parent", "model"))
    )
    release = releases_of(user).filter(pk=named).first()
    parent = ModelVersion.objects.filter(pk=begun_from).first()
    if release is None:
        raise Missing("release")
    if parent is None:
        raise Missing("model")
    try:
        training = start_training(
            release=release,
            parent=parent,
            actor=user,
            minutes=_number(request, "minutes", MINUTES),
            threads=int(_number(request, "threads", THREADS)),
            seed=int(_number(request, "seed", 0)),
        )
    except ConcordError as error:
        return said_back(request, error, "models")
    return redirect("run", run=training.run_id)


@login_required
@require_POST
def register_again(request: HttpRequest, run: UUID) -> HttpResponse:
    """Have what was trained registered once more, where that failed."""
    user = person(request.user)
    training = training_of(user, run)
    if not coordinates(user, training.release.project):
        raise Missing("training")
    if training.weights and training.model is None:
        ask_registration(training.pk)
    return redirect("run", run=run)


@login_required
@require_safe
def points(request: HttpRequest, run: UUID) -> JsonResponse:
    """The curves: `{"training": [[step, seconds, loss], …], "validation": …, "figures": …}`.

    `figures` are the scores on the validation people, newest last, or null for who may not see
    what readers agreed on.
    """
    user = person(request.user)
    training = training_of(user, run)
    found = list(training.points.all())
    seen = sees_what_was_agreed(user, training.release)
    body: dict[str, Any] = {curve: _line(found, curve) for curve in Curve.values}
    measured = (point for point in found if point.curve == Curve.VALIDATION)
    body["figures"] = (
        [{"step": point.step, "seconds": point.seconds, **point.figures} for point in measured]
        if seen
        else None
    )
    return JsonResponse(body, headers={"Cache-Control": "private, no-store"})


def _line(found: Iterable[TrainingPoint], curve: str) -> list[list[float]]:
    return [[p.step, round(p.seconds, 2), round(p.loss, 4)] for p in found if p.curve == curve]


def run_panel(request: HttpRequest, run: Run) -> str:
    """The curves of a training and what became of it, on its run's page; "" for other runs."""
    if run.kind != RunKind.TRAIN:
        return ""
    user = person(request.user)
    try:
        training = training_of(user, run.pk)
    except Missing:
        return ""
    seen = sees_what_was_agreed(user, training.release)
    newest = training.points.filter(curve=Curve.VALIDATION).order_by("-step").first()
    result = run.result or {}
    context = {
        "training": training,
        "run": run,
        "seen": seen,
        "begun": training.points.exists(),
        "coordinates": coordinates(user, training.release.project),
        "counts": _counts(training),
        "validation": figure_rows(newest.figures if newest else {}) if seen else [],
        "names": FIGURES.items(),
        "held_out": figure_rows(result.get("held_out") or {}) if seen else [],
        "watched": training.release.items.filter(split="validation").exists(),
        "somebody_trains": somebody_trains(),
        "may_compare": _may_compare(request, training),
    }
    return render_to_string("reports/training.html", context, request)


def models_panel(request: HttpRequest) -> str:
    """A form for a training, and those that were started, above the list of models."""
    user = person(request.user)
    trainings = list(trainings_of(user)[:SHOWN])
    releases = list(releases_to_train_on(user))
    if not trainings and not releases:
        return ""
    context = {
        "trainings": trainings,
        "releases": releases,
        "parents": models_to_train(),
        "minutes": MINUTES,
        "threads": THREADS,
        "most_threads": MOST_THREADS,
        "somebody_trains": somebody_trains(),
    }
    return render_to_string("reports/trainings.html", context, request)


def model_panel(request: HttpRequest, model: ModelVersion) -> str:
    """Where a trained model comes from, on its page; "" for others and for who may not know."""
    user = person(request.user)
    training = trainings_of(user).filter(model=model).first()
    if training is None or training.run is None:
        return ""
    seen = sees_what_was_agreed(user, training.release)
    result = training.run.result or {}
    context = {
        "training": training,
        "model": model,
        "seen": seen,
        "validation": figure_rows(result.get("validation") or {}) if seen else [],
        "held_out": figure_rows(result.get("held_out") or {}) if seen else [],
        "may_compare": _may_compare(request, training),
    }
    return render_to_string("reports/training_origin.html", context, request)


def figure_rows(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Scores under their names, in their order; those that were measured."""
    return [
        {"name": name, "words": words, "value": figures[name]}
        for name, words in FIGURES.items()
        if figures.get(name) is not None
    ]


def _may_compare(request: HttpRequest, training: Training) -> bool:
    """Whether new version and parent take runs, on cases this user may try models on."""
    model, parent = training.model, training.parent
    if model is None or any(m.retired or m.verified is None for m in (model, parent)):
        return False
    cases = cases_to_try(person(request.user))
    return cases.filter(pk__in=training.release.items.values("case")).exists()


def _counts(training: Training) -> list[dict[str, Any]]:
    items = training.release.items
    return [
        {"words": words, "cases": items.filter(split=split).count()}
        for split, words in (
            ("train", "training"),
            ("validation", "validation"),
            (LOCKED, "held out"),
        )
    ]


def _number(request: HttpRequest, name: str, usual: float) -> float:
    text = request.POST.get(name, "").strip()
    try:
        value = float(text) if text else float(usual)
        if value != value or abs(value) > 1e9:
            raise ValueError(text)
    except ValueError:
        raise BadInput(
            "NO_NUMBER", f"{text[:40]} is no number of {name}.", f"Type {usual:g}."
        ) from None
    return value
