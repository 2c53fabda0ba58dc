"""The pages of what happened: the timeline of a case, the life of a node."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from backend.reports.timeline_selectors import audited_case


@login_required
@require_safe
def case_timeline(request: HttpRequest, case: UUID) -> HttpResponse:
    """Everything that happened to a case."""
    found = audited_case(request.user, case)
    return render(request, "reports/timeline.html", {"case": found})
