"""The coordinator's part in a comparison: having one that failed made again."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from backend.errors import ConcordError
from backend.reading import selectors, services


@login_required
@require_POST
def compare_again(request: HttpRequest, case: UUID) -> HttpResponse:
    """Queue a failed comparison once more."""
    user = selectors.person(request.user)
    found = selectors.case_for(user, case)
    selectors.require_coordinator(user, found)
    try:
        services.compare_again(case=found, actor=user)
    except ConcordError as error:
        messages.error(request, str(error))
    return redirect("case", case=found.pk)
