"""The second window of a reading: images alone, for another monitor. It never writes."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from backend.reading import selectors, services


@login_required
@require_safe
def second_window(request: HttpRequest, reading: UUID) -> HttpResponse:
    """Coronal, sagittal and what lies beside, following the window in which one reads."""
    user = selectors.person(request.user)
    found = selectors.reading_for(user, reading)
    services.note_look(user=user, case=found.case, reading=found, what="second window")
    return render(request, "reading/second_window.html", {"reading": found})
