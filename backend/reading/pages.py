"""The pages of the reading room: a reader's worklist, the coordinator's cases."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.audit.news import heads_now
from backend.errors import BadInput, ConcordError
from backend.reading import selectors, services
from backend.reading.comparison_presentation import panel_of
from backend.reading.comparison_selectors import latest_comparison
from backend.reading.consensus_lists import deferred_rows as deferred_of
from backend.reading.consensus_lists import panel_of as settling_panel_of
from backend.reading.consensus_lists import settle_rows
from backend.reading.consumers import audiences_of_person
from backend.reading.hand_selectors import hands_shown_to
from backend.reading.incidental_pages import incidentals_of, waiting_in
from backend.reading.label_selectors import abstracts
from backend.reading.models import Case, Reading
from backend.reading.presentation import case_json, model_json, runs_of
from backend.reading.presentation import worklist_rows as rows_of
from backend.reading.reopening_pages import reopening_of
from backend.reading.series_pages import series_of
from backend.reading.services.rerunning import why_not_again
from backend.reading.vocabulary import AiState
from backend.reading.workflow import ReadingState, possible

SHOWN_READINGS = 200
SHOWN_CASES = 500
LONGEST_REASON = 2000
# What a coordinator does with a reading, of what its table allows.
MANAGED = ("hold", "release", "withdraw")


@login_required
@require_safe
def worklist(request: HttpRequest) -> HttpResponse:
    """The user's own readings; who has none is shown the cases they oversee or abstract."""
    user = selectors.person(request.user)
    seen = _news_seen(user)
    readings = list(selectors.worklist(user)[:SHOWN_READINGS])
    adjudicates = selectors.holds(user, Role.ADJUDICATOR)
    if not readings and not adjudicates and abstracts(user):
        return redirect("evidence")
    if not readings and not adjudicates and selectors.may_oversee(user):
        return redirect("cases")
    context = {
        "rows": rows_of(user, readings, settle_rows(user)),
        "adjudicates": adjudicates,
        "deferred": deferred_of(user) if adjudicates else [],
        "seen": seen,
    }
    return render(request, "reading/worklist.html", context)


def _news_seen(user: User) -> str:
    """Which news a page already shows that is drawn from now on: its script asks for the rest."""
    return json.dumps(heads_now(audiences_of_person(user)))


@login_required
@require_safe
def worklist_rows(request: HttpRequest) -> HttpResponse:
    """The rows alone, for the page to refresh itself."""
    user = selectors.person(request.user)
    readings = list(selectors.worklist(user)[:SHOWN_READINGS])
    rows = rows_of(user, readings, settle_rows(user))
    return render(request, "reading/worklist_rows.html", {"rows": rows})


@login_required
@require_safe
def deferred_rows(request: HttpRequest) -> HttpResponse:
    """What was left to the user as adjudicator, for the page to refresh itself."""
    user = selectors.person(request.user)
    return render(request, "reading/deferred_rows.html", {"deferred": deferred_of(user)})


@login_required
@require_safe
def cases(request: HttpRequest) -> HttpResponse:
    """All cases the user oversees."""
    seen = _news_seen(selectors.person(request.user))
    context = {"rows": _case_rows(request), "seen": seen}
    return render(request, "reading/cases.html", context)


@login_required
@require_safe
def case_rows(request: HttpRequest) -> HttpResponse:
    """The rows alone, for the page to refresh itself."""
    return render(request, "reading/case_rows.html", {"rows": _case_rows(request)})


def _case_rows(request: HttpRequest) -> list[dict[str, Any]]:
    user = selectors.person(request.user)
    found = list(selectors.cases(user).order_by("-created")[:SHOWN_CASES])
    runs, incidentals = runs_of(found), waiting_in(found)
    rows = [_case_row(case, runs) for case in found]
    return [{**row, "incidentals": incidentals.get(UUID(row["id"]), 0)} for row in rows]


def _case_row(case: Case, runs: dict[UUID, Any]) -> dict[str, Any]:
    run = runs.get(case.ai_run_id) if case.ai_run_id else None
    working = run is not None and case.ai_state in (AiState.QUEUED, AiState.RUNNING)
    return {
        **case_json(case),
        "protocol_version": case.protocol.version,
        "project": case.project.code,
        "subject": case.subject.pseudonym,
        "stage": case.stage,
        "url": f"/cases/{case.pk}/",
        "ai": {
            "state": case.ai_state,
            "progress": run.progress if run and working else float(case.ai_state == AiState.READY),
            "stage": run.stage if run and working else "",
            "message": case.ai_message,
            "run": str(case.ai_run_id) if case.ai_run_id else None,
            "model": model_json(run) if run else None,
        },
        "readings": [_reading_row(reading) for reading in _ordered(case)],
    }


def _ordered(case: Case) -> list[Reading]:
    return sorted(case.readings.all(), key=lambda reading: (reading.slot, reading.assigned_at))


def _reading_row(reading: Reading) -> dict[str, Any]:
    """A reading as a coordinator may know it: who and where it stands, nothing of its content."""
    actions = [action for action in possible(ReadingState(reading.state)) if action in MANAGED]
    return {
        "id": str(reading.pk),
        "slot": reading.slot,
        "state": reading.state,
        "reader": reading.reader.shown_name,
        "assigned_at": reading.assigned_at,
        "opened_at": reading.opened_at,
        "submitted_at": reading.submitted_at,
        "actions": actions,
    }


@login_required
@require_safe
def case(request: HttpRequest, case: UUID) -> HttpResponse:
    """One case: stage, readings' states, exclusions, the AI's run, what can be done."""
    user = selectors.person(request.user)
    found = selectors.case_for(user, case)
    services.note_look(user=user, case=found, what="case page")
    row = _case_row(found, runs_of([found]))
    taken = {r["slot"] for r in row["readings"] if r["state"] not in ("withdrawn", "expired")}
    hands = hands_shown_to(user, found)
    for reading in row["readings"]:
        reading["hands"] = hands.get(UUID(reading["id"]))
    context = {
        "case": row,
        "may_coordinate": selectors.may_coordinate(user, found),
        "why_no_run": why_not_again(found),
        "slots": found.protocol.slots,
        "free_slots": _free_slots(found, taken),
        "readers": [
            {"username": reader.username, "name": reader.shown_name}
            for reader in selectors.readers_of(found)
        ],
        "comparison": panel_of(found, latest_comparison(found)),
        "reopening": reopening_of(found) if selectors.may_coordinate(user, found) else None,
        "settling": settling_panel_of(found, link=selectors.may_audit(user, found)),
        "incidentals": incidentals_of(found),
        "series": series_of(found),
        "series_facts": found.facts,
        "grid": {"shape": found.grid_json["shape"], "spacing_mm": found.grid_json["spacing_mm"]},
        "geometry": found.geometry_hash,
    }
    return render(request, "reading/case.html", context)


def _free_slots(case: Case, taken: set[str]) -> list[str]:
    if case.superseded_by_id is not None:
        return []
    return [slot for slot in case.protocol.slots if slot not in taken]


@login_required
@require_POST
def assign(request: HttpRequest, case: UUID) -> HttpResponse:
    """Give a slot of a case to a reader (`slot`, `reader`: a username)."""
    user = selectors.person(request.user)
    found = selectors.case_for(user, case)
    selectors.require_coordinator(user, found)
    readers = {reader.username: reader for reader in selectors.readers_of(found)}
    reader = readers.get(request.POST.get("reader", ""))
    try:
        if reader is None:
            raise BadInput("NO_SUCH_READER", "No reader was chosen.", "Choose one from the list.")
        services.assign(case=found, slot=request.POST.get("slot", ""), reader=reader, actor=user)
    except ConcordError as error:
        messages.error(request, str(error))
    return redirect("case", case=found.pk)


@login_required
@require_POST
def presegment_again(request: HttpRequest, case: UUID) -> HttpResponse:
    """Have the AI look at the case again, with the model that is in use now."""
    user = selectors.person(request.user)
    found = selectors.case_for(user, case)
    selectors.require_coordinator(user, found)
    try:
        services.presegment_again(case=found, actor=user)
    except ConcordError as error:
        messages.error(request, str(error))
    return redirect("case", case=found.pk)


@login_required
@require_POST
def hold(request: HttpRequest, reading: UUID) -> HttpResponse:
    """Hold a reading (`reason`)."""
    return _manage(request, reading, "hold")


@login_required
@require_POST
def release(request: HttpRequest, reading: UUID) -> HttpResponse:
    """Release a held reading."""
    return _manage(request, reading, "release")


@login_required
@require_POST
def withdraw(request: HttpRequest, reading: UUID) -> HttpResponse:
    """Withdraw a reading (`reason`)."""
    return _manage(request, reading, "withdraw")


def _manage(request: HttpRequest, reading: UUID, action: str) -> HttpResponse:
    user = selectors.person(request.user)
    found = selectors.managed_reading_for(user, reading)
    reason = request.POST.get("reason", "").strip()
    try:
        if action != "release" and not reason:
            raise BadInput("REASON_NEEDED", "This needs a reason.", "Say why in a few words.")
        if "\0" in reason or len(reason) > LONGEST_REASON:
            raise BadInput("BAD_REASON", "This reason cannot be kept.", "Say why in a few words.")
        verb = {"hold": services.hold, "release": services.release, "withdraw": services.withdraw}
        verb[action](reading=found, actor=user, reason=reason)
    except ConcordError as error:
        messages.error(request, str(error))
    return redirect("case", case=found.case_id)
