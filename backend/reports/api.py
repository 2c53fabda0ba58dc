"""The API of reports and exports. Views translate; services act."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.archive.streaming import streamed
from backend.errors import WrongState
from backend.reading.selectors import person
from backend.reading.serializers import ErrorAnswer
from backend.reports import recording, render, reporting, selectors, services
from backend.reports.formats import FORMATS
from backend.reports.models import ExportState, Report
from backend.reports.presentation import ENDINGS, export_json, report_json
from backend.reports.record.blobs import BlobFault
from backend.reports.serializers import (
    ExportAnswer,
    ExportRequest,
    ReportAnswer,
)
from backend.reports.timeline_selectors import audited_case
from backend.store import store

ERRORS: dict[Any, Any] = {404: ErrorAnswer, 409: ErrorAnswer}


class MakeReportView(APIView):
    """`POST /api/cases/{id}/report`."""

    @extend_schema(
        operation_id="make_report",
        request=None,
        responses={202: ReportAnswer, 403: ErrorAnswer, **ERRORS},
    )
    def post(self, request: Request, case: UUID) -> Response:
        """Ask for a report of a case as it stands; follow its state until it is ready."""
        user = person(request.user)
        found = selectors.reportable_case_for(user, case)
        report = reporting.request_report(case=found, actor=user)
        return Response(report_json(report), status=status.HTTP_202_ACCEPTED)


class ReportView(APIView):
    """`GET` and `POST /api/reports/{id}`."""

    @extend_schema(operation_id="report", responses={200: ReportAnswer, 404: ErrorAnswer})
    def get(self, request: Request, report: UUID) -> Response:
        """How far a report is."""
        return Response(report_json(selectors.report_for(person(request.user), report)))

    @extend_schema(
        operation_id="retry_report", request=None, responses={202: ReportAnswer, **ERRORS}
    )
    def post(self, request: Request, report: UUID) -> Response:
        """Have a report that failed made once more."""
        user = person(request.user)
        found = reporting.retry_report(report=selectors.report_for(user, report), actor=user)
        return Response(report_json(found), status=status.HTTP_202_ACCEPTED)


class ReportFileView(APIView):
    """`GET /api/reports/{id}.html`, `.pdf`, `.json`, `.csv`, `-steps.csv`, `-readings.csv`."""

    @extend_schema(
        operation_id="report_file",
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY, **ERRORS},
    )
    def get(self, request: Request, report: UUID, ending: str) -> HttpResponse:
        """One file of a finished report, the stored bytes."""
        return file_answer(selectors.report_for(person(request.user), report), ending)


class RecordFileView(APIView):
    """`GET /api/cases/{id}/record.zip`."""

    @extend_schema(
        operation_id="case_record",
        responses={(200, "application/zip"): OpenApiTypes.BINARY, **ERRORS},
    )
    def get(self, request: Request, case: UUID) -> HttpResponseBase:
        """Every event of a case and every file they name, for whoever audits; recorded."""
        user = person(request.user)
        found = audited_case(user, case)
        try:
            parts = recording.hand_out_record(case=found, actor=user)
        except BlobFault as fault:
            cure = "An administrator runs manage.py verify_audit and restores what is missing."
            raise WrongState("RECORD_DAMAGED", str(fault), cure) from fault
        answer = streamed(request._request, parts, "application/zip")
        answer.headers["Content-Disposition"] = f'attachment; filename="{found.label}_record.zip"'
        answer.headers["Cache-Control"] = "private, no-store"
        return answer


class ExportsView(APIView):
    """`POST /api/exports`."""

    @extend_schema(
        operation_id="request_export",
        request=ExportRequest,
        responses={202: ExportAnswer, 400: ErrorAnswer, **ERRORS},
    )
    def post(self, request: Request) -> Response:
        """Ask for a file of a signed reading or a published consensus; follow its state."""
        asked = ExportRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        user, what = person(request.user), asked.validated_data
        if "consensus" in what:
            export = services.request_consensus_export(
                consensus=selectors.consensus_to_export(user, what["consensus"], what["format"]),
                file_format=what["format"],
                actor=user,
            )
        else:
            export = services.request_export(
                reading=selectors.signed_reading_for(user, what["reading"]),
                file_format=what["format"],
                actor=user,
            )
        return Response(export_json(export), status=status.HTTP_202_ACCEPTED)


class ExportView(APIView):
    """`GET /api/exports/{id}`."""

    @extend_schema(operation_id="export", responses={200: ExportAnswer, 404: ErrorAnswer})
    def get(self, request: Request, export: UUID) -> Response:
        """How far an export is."""
        return Response(export_json(selectors.export_for(person(request.user), export)))


class ExportFileView(APIView):
    """`GET /api/exports/{id}/file`."""

    @extend_schema(
        operation_id="export_file",
        responses={**ERRORS, (200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, export: UUID) -> HttpResponse:
        """The file, once it was read back and found equal; the download is recorded."""
        found = selectors.export_for(person(request.user), export)
        data = services.hand_out(export=found, actor=person(request.user))
        answer = HttpResponse(data, content_type=FORMATS[found.format].content_type)
        answer.headers["Content-Disposition"] = f'attachment; filename="{found.filename}"'
        answer.headers["Cache-Control"] = "private, no-store"
        return answer


class ExportSidecarView(APIView):
    """`GET /api/exports/{id}/sidecar`."""

    @extend_schema(
        operation_id="export_sidecar",
        responses={**ERRORS, (200, "application/json"): OpenApiTypes.OBJECT},
    )
    def get(self, request: Request, export: UUID) -> HttpResponse:
        """What the numbers of an exported label map mean; the download is recorded."""
        found = selectors.export_for(person(request.user), export)
        data = services.hand_out(export=found, actor=person(request.user), sidecar=True)
        name = found.filename.removesuffix(FORMATS[found.format].suffix)
        answer = HttpResponse(data, content_type="application/json")
        answer.headers["Content-Disposition"] = f'attachment; filename="{name}.json"'
        answer.headers["Cache-Control"] = "private, no-store"
        return answer


def file_answer(report: Report, ending: str) -> HttpResponse:
    """A stored file; the page under a policy that lets it load nothing, framed by us alone."""
    name, content_type = ENDINGS[ending]
    if report.state != ExportState.READY or name not in report.files:
        failed = report.state == ExportState.FAILED
        raise WrongState(
            "REPORT_NOT_READY",
            report.message or f"This report is {report.state}.",
            "Ask for it again." if failed else "Wait until it is ready.",
            possible=["retry"] if failed else ["wait"],
        )
    blob = report.files[name]
    answer = HttpResponse(store().read(blob), content_type=content_type)
    answer.headers["ETag"] = f'"{blob}"'
    answer.headers["Cache-Control"] = "private, no-cache"
    if name == "html":
        answer.headers["Content-Security-Policy"] = render.policy()
        answer.headers["X-Frame-Options"] = "SAMEORIGIN"
    elif name != "document":
        filename = f"{report.case.label}_report{ending}"
        answer.headers["Content-Disposition"] = f'inline; filename="{filename}"'
    return answer
