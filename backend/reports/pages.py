"""The pages of reports: a report in its frame, and the files of a case."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from backend.errors import ConcordError
from backend.reading.selectors import person
from backend.reports import reporting, selectors, services
from backend.reports.models import ExportFormat, ExportState
from backend.reports.presentation import report_json
from backend.reports.timeline_selectors import may_audit


@login_required
@require_safe
def report_page(request: HttpRequest, report: UUID) -> HttpResponse:
    """A report in a frame that can run and load nothing; before it is made, how far it is."""
    user = person(request.user)
    found = selectors.report_for(user, report)
    if not request.headers.get("HX-Request"):
        reporting.note_look(report=found, actor=user)
    context = {
        "report": found,
        "links": report_json(found),
        "case": found.case,
        "ready": found.state == ExportState.READY,
        "failed": found.state == ExportState.FAILED,
        "audits": may_audit(user, found.case_id),
    }
    return render(request, "reports/report.html", context)


@login_required
@require_POST
def make_report(request: HttpRequest, case: UUID) -> HttpResponse:
    """Have a report made and show how far it is."""
    user = person(request.user)
    found = selectors.reportable_case_for(user, case)
    report = reporting.request_report(case=found, actor=user)
    return redirect("report", report=report.pk)


@login_required
@require_POST
def retry_report(request: HttpRequest, report: UUID) -> HttpResponse:
    """Have a report that failed made once more."""
    user = person(request.user)
    found = reporting.retry_report(report=selectors.report_for(user, report), actor=user)
    return redirect("report", report=found.pk)


@login_required
@require_POST
def request_export(request: HttpRequest, reading: UUID, file_format: str) -> HttpResponse:
    """Ask for an export and go back to the case."""
    user = person(request.user)
    found = selectors.signed_reading_for(user, reading)
    services.request_export(reading=found, file_format=file_format, actor=user)
    name = ExportFormat(file_format).label
    messages.info(request, f"The {name} file is being written and compared; it appears below.")
    return redirect("case", case=found.case_id)


@login_required
@require_POST
def request_consensus_export(
    request: HttpRequest, consensus: UUID, file_format: str
) -> HttpResponse:
    """Ask for a file of the agreed nodes and go back to the case."""
    user = person(request.user)
    found = selectors.consensus_to_export(user, consensus, file_format)
    try:
        services.request_consensus_export(consensus=found, file_format=file_format, actor=user)
        name = ExportFormat(file_format).label
        messages.info(request, f"The {name} file is being written and compared; it appears below.")
    except ConcordError as error:
        messages.error(request, str(error))
    return redirect("case", case=found.case_id)


@login_required
@require_safe
def case_files(request: HttpRequest, case: UUID) -> HttpResponse:
    """The reports and exports of a case, as the part of its page that refreshes itself."""
    found = selectors.case_for(person(request.user), case)
    return render(request, "reports/case_files.html", {"case": {"id": found.pk}})
