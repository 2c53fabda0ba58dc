"""The pages of models: the list, and one model with its card, its files and what may be done."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_POST, require_safe

from backend.accounts.models import User
from backend.audit.models import Event
from backend.errors import ConcordError, Missing
from backend.jobs import model_acts, registry, selectors
from backend.jobs.cards import card_html
from backend.jobs.model_files import card_of, folders_with_models, picture_of
from backend.jobs.model_states import MEANING, ModelState
from backend.jobs.models import ModelVersion
from backend.jobs.presentation import flat
from backend.pages import said_back

SHOWN_EVENTS = 30
_PICTURE_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
# What the list above says of itself instead.
_NOT_FACTS = {"files", "training", "name", "version", "kind", "notice", "intended_use", "weights"}


@login_required
@require_safe
def models_page(request: HttpRequest) -> HttpResponse:
    """All models and where each stands."""
    user = selectors.runs_visitor(request.user)
    found = sorted(
        ModelVersion.objects.all(), key=lambda m: (m.retired is not None, m.name, m.registered)
    )
    rows = [_row(*both) for both in zip(found, selectors.states_of(found), strict=True)]
    context = {
        "rows": rows,
        "checking": any(row["checking"] is not None for row in rows),
        "unregistered": _unregistered(found) if user.is_superuser else [],
        "may_register": user.is_superuser,
        "panels": [mark_safe(panel(request)) for panel in registry.models_panels],  # noqa: S308
    }
    return render(request, "jobs/models.html", context)


@login_required
@require_safe
def model_page(request: HttpRequest, model: uuid.UUID) -> HttpResponse:
    """One model: state, card, files with their hashes, what it may be made to do."""
    user = selectors.runs_visitor(request.user)
    found = selectors.model_named(model)
    facts = {k: v for k, v in found.manifest.items() if k not in _NOT_FACTS}
    card = card_of(found.folder)
    context = {
        "model": found,
        "row": _row(found, *selectors.states_of([found])),
        "facts": flat(facts),
        "files": _files(found),
        # Every word of it was escaped by `card_html`.
        "card": mark_safe(card_html(card, _address_of(found))) if card else None,  # noqa: S308
        "is_admin": user.is_superuser,
        "may_verify": selectors.may_verify_models(user) and found.retired is None,
        "events": _events(found),
        "panels": [mark_safe(panel(request, found)) for panel in registry.model_panels],  # noqa: S308
    }
    return render(request, "jobs/model.html", context)


@login_required
@require_safe
def picture(request: HttpRequest, model: uuid.UUID, picture: str) -> HttpResponse:
    """A picture of a model's card."""
    selectors.runs_visitor(request.user)
    found = selectors.model_named(model)
    if not _PICTURE_NAME.fullmatch(picture):
        raise Missing("picture")
    shown = picture_of(found.folder, picture, found.files)
    if shown is None:
        raise Missing("picture")
    data, media = shown
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache"}
    return HttpResponse(data, content_type=media, headers=headers)


@login_required
@require_POST
def register(request: HttpRequest) -> HttpResponse:
    """Register the model in a folder (`folder`: its name below CONCORD_MODELS)."""
    user = selectors.runs_visitor(request.user)
    try:
        name = request.POST.get("folder", "")
        found = model_acts.register_folder(name=name, actor=user)
    except ConcordError as error:
        return said_back(request, error, "models")
    return redirect("model", model=found.pk)


@login_required
@require_POST
def verify(request: HttpRequest, model: uuid.UUID) -> HttpResponse:
    """Have every file hashed again."""
    return _act(request, model, lambda u: model_acts.request_verification(model=model, actor=u))


@login_required
@require_POST
def trust(request: HttpRequest, model: uuid.UUID) -> HttpResponse:
    """Trust a bundle's own code (`trusted` = yes), or no longer; with a `reason`."""
    trusted = request.POST.get("trusted") == "yes"
    reason = request.POST.get("reason", "")
    return _act(
        request,
        model,
        lambda u: model_acts.trust(model=model, trusted=trusted, reason=reason, actor=u),
    )


@login_required
@require_POST
def make_default(request: HttpRequest, model: uuid.UUID) -> HttpResponse:
    """Make it the default of every protocol without one of its own."""
    return _act(request, model, lambda u: model_acts.make_default(model=model, actor=u))


@login_required
@require_POST
def retire(request: HttpRequest, model: uuid.UUID) -> HttpResponse:
    """Offer it no more; with a `reason`."""
    reason = request.POST.get("reason", "")
    return _act(request, model, lambda u: model_acts.retire(model=model, reason=reason, actor=u))


def _act(
    request: HttpRequest, model: uuid.UUID, act: Callable[[User], ModelVersion]
) -> HttpResponse:
    user = selectors.runs_visitor(request.user)
    selectors.model_named(model)
    try:
        act(user)
    except ConcordError as error:
        return said_back(request, error, "model", model=model)
    return redirect("model", model=model)


def _row(model: ModelVersion, state: ModelState) -> dict[str, Any]:
    return {
        "model": model,
        "state": state.value,
        "meaning": MEANING[state],
        "tone": {
            ModelState.RUNNABLE: "done",
            ModelState.VERIFIED: "live last",
            ModelState.DAMAGED: "bad",
        }.get(state, ""),
        "defaults": selectors.default_of(model),
        "checking": None if model.checking is None else round(100 * model.checking),
        "runs": model.runs.count(),
    }


def _files(model: ModelVersion) -> list[dict[str, Any]]:
    """Every file model.json names: expected and found hash."""
    return [
        {
            "name": name,
            "sha256": sha256,
            "state": model.checked.get(name, {}).get("state", "not checked"),
            "found": model.checked.get(name, {}).get("sha256", ""),
            "bytes": model.checked.get(name, {}).get("bytes"),
        }
        for name, sha256 in sorted(model.files.items())
    ]


def _address_of(model: ModelVersion) -> Callable[[str], str | None]:
    def address(name: str) -> str | None:
        if not _PICTURE_NAME.fullmatch(name):
            return None
        if picture_of(model.folder, name, model.files) is None:
            return None
        return reverse("model-picture", args=[model.pk, name])

    return address


def _unregistered(models: list[ModelVersion]) -> list[str]:
    taken = {model.folder for model in models if model.retired is None}
    return [name for name in folders_with_models() if name not in taken]


def _events(model: ModelVersion) -> list[dict[str, Any]]:
    """What was done with the model, the newest first."""
    found = Event.objects.filter(
        chain="system", subject_type="modelversion", subject_id=str(model.pk)
    )
    return [
        {
            "at": event.at,
            "words": event.action.removeprefix("model.").replace("_", " "),
            "actor_name": event.actor_name,
            "reason": event.reason,
        }
        for event in found.order_by("-position")[:SHOWN_EVENTS]
    ]
