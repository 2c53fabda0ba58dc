"""Where files come from, and the look at what no rule could clean: pages for coordinators."""

from __future__ import annotations

from typing import cast
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from backend.accounts.models import User
from backend.archive import reviewing
from backend.archive.deidentify.doors import names_of
from backend.archive.models import Door, Source
from backend.archive.origins import add_source, set_deidentify, set_issuer
from backend.archive.visibility import require_upload
from backend.errors import BadInput, Missing

FRAMES_SHOWN = 200


@require_http_methods(["GET", "POST"])
@login_required
def sources(request: HttpRequest) -> HttpResponse:
    """`/archive/sources/`: every source, and whether it is de-identified.

    `POST` of a `name` by an administrator adds one that can be chosen on the upload page.
    """
    user = _uploader(request)
    if request.method == "POST":
        add_source(door=Door.UPLOAD, name=request.POST.get("name", ""), actor=user)
        return HttpResponseRedirect(reverse("archive-sources"))
    context = {"sources": Source.objects.all(), "may_switch": user.is_superuser}
    return render(request, "archive/sources.html", context)


@require_POST
@login_required
def switch(request: HttpRequest, source: UUID) -> HttpResponse:
    """`POST /archive/sources/{source}`: `deidentify` = on or off, or `issuer`; with a `reason`."""
    user = _uploader(request)
    found = Source.objects.filter(pk=source).first()
    if found is None:
        raise Missing("source")
    reason = request.POST.get("reason", "")
    issuer = request.POST.get("issuer")
    if issuer is not None:
        set_issuer(source=found, issuer=issuer, actor=user, reason=reason)
        return HttpResponseRedirect(reverse("archive-sources"))
    wanted = request.POST.get("deidentify")
    if wanted not in ("on", "off"):
        raise BadInput("BAD_INPUT", "Say on or off.", "Send deidentify=on or deidentify=off.")
    set_deidentify(source=found, on=wanted == "on", actor=user, reason=reason)
    return HttpResponseRedirect(reverse("archive-sources"))


@login_required
def review(request: HttpRequest, kept: UUID) -> HttpResponse:
    """`/archive/review/{kept}`: what it shows; POST `decision` = release or discard, `reason`."""
    user = _uploader(request)
    file = reviewing.waiting(user, kept)
    if request.method == "POST":
        decide = {"release": reviewing.release, "discard": reviewing.discard}
        decision = decide.get(request.POST.get("decision", ""))
        if decision is None:
            raise BadInput("BAD_INPUT", "Say release or discard.", "Choose one of the two.")
        decision(kept=file, actor=user, reason=request.POST.get("reason", ""))
        return HttpResponseRedirect(reverse("archive"))
    lines, frames = reviewing.cleaned_header_of(file)
    context = {
        "file": file,
        "name": names_of([file])[file.pk],
        "lines": lines,
        "frames": range(1, min(frames, FRAMES_SHOWN) + 1),
        "frames_in_all": frames,
    }
    return render(request, "archive/review.html", context)


@require_GET
@login_required
def picture(request: HttpRequest, kept: UUID, number: int) -> HttpResponse:
    """`/archive/review/{kept}/{number}`: one frame as PNG, never kept by a browser."""
    file = reviewing.waiting(_uploader(request), kept)
    data = reviewing.picture_of(file, number - 1)
    return HttpResponse(data, content_type="image/png", headers={"Cache-Control": "no-store"})


def _uploader(request: HttpRequest) -> User:
    return require_upload(cast(User, request.user))
