"""Findings the study does not ask for, on the page of their case: what was said, who took it up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from backend.errors import ConcordError
from backend.reading import selectors, services
from backend.reading.models import Case, IncidentalFinding


def incidentals_of(case: Case) -> list[dict[str, Any]]:
    """All findings told of a case, those that wait first."""
    found = IncidentalFinding.objects.filter(reading__case=case).select_related(
        "reading__reader", "taken_up_by"
    )
    slices = case.grid_json["shape"][0]
    told = [_told(one, slices) for one in found]
    return sorted(told, key=lambda one: one["taken_up_at"] is not None)


def _told(found: IncidentalFinding, slices: int) -> dict[str, Any]:
    taken = found.taken_up_by
    return {
        "id": str(found.pk),
        "words": found.words,
        # As the viewer counts: the first slice is at the head.
        "slice": None if found.slice_index is None else slices - found.slice_index,
        "reader": found.reading.reader.shown_name,
        "reported_at": found.reported_at,
        "taken_up_at": found.taken_up_at,
        "taken_up_by": taken.shown_name if taken else "",
        "taken_up_words": found.taken_up_words,
    }


def waiting_in(cases: Iterable[Case]) -> dict[UUID, int]:
    """Case → how many findings wait there."""
    waiting = (
        IncidentalFinding.objects.filter(reading__case__in=list(cases), taken_up_at=None)
        .order_by()
        .values_list("reading__case")
        .annotate(count=Count("pk"))
    )
    return dict(waiting)


@login_required
@require_POST
def take_up(request: HttpRequest, case: UUID, finding: UUID) -> HttpResponse:
    """Say what is done about a finding (`words`)."""
    user = selectors.person(request.user)
    found = selectors.case_for(user, case)
    try:
        services.take_up_incidental(
            case=found, user=user, finding=finding, words=request.POST.get("words", "")
        )
    except ConcordError as error:
        messages.error(request, str(error))
    return redirect("case", case=found.pk)
