"""The API of reports and exports. Views translate; services act."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.reading.selectors import person
from backend.reading.serializers import ErrorAnswer
from backend.reports import render, selectors, services
from backend.reports.formats import FORMATS
from backend.reports.models import Report
from backend.reports.presentation import export_json, report_json
from backend.reports.serializers import (
    ExportAnswer,
    ExportRequest,
    ReportAnswer,
)
from backend.store import store

ERRORS: dict[Any, Any] = {404: ErrorAnswer, 409: ErrorAnswer}


class MakeReportView(APIView):
    """`POST /api/readings/{id}/report`."""

    @extend_schema(
        operation_id="make_report", request=None, responses={201: ReportAnswer, **ERRORS}
    )
    def post(self, request: Request, reading: UUID) -> Response:
        """Make a case report of a signed reading."""
        found = selectors.signed_reading_for(person(request.user), reading)
        report = services.build_case_report(reading=found, actor=person(request.user))
        return Response(report_json(report), status=status.HTTP_201_CREATED)


class ReportHtmlView(APIView):
    """`GET /api/reports/{id}.html`."""

    @extend_schema(
        operation_id="report_html",
        responses={(200, "text/html"): OpenApiTypes.BINARY, 404: ErrorAnswer},
    )
    def get(self, request: Request, report: UUID) -> HttpResponse:
        """The report as one self-contained page, the stored bytes."""
        return html_answer(selectors.report_for(person(request.user), report))


class ReportJsonView(APIView):
    """`GET /api/reports/{id}.json`."""

    @extend_schema(
        operation_id="report_json",
        responses={(200, "application/json"): OpenApiTypes.OBJECT, 404: ErrorAnswer},
    )
    def get(self, request: Request, report: UUID) -> HttpResponse:
        """The report's document, every number unrounded."""
        found = selectors.report_for(person(request.user), report)
        answer = HttpResponse(store().read(found.document_blob), content_type="application/json")
        return _immutable(answer, found.document_blob)


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


def html_answer(report: Report) -> HttpResponse:
    """The stored page, under a policy that lets it load nothing and be framed by us alone."""
    answer = HttpResponse(store().read(report.html_blob), content_type="text/html; charset=utf-8")
    answer.headers["Content-Security-Policy"] = render.policy()
    answer.headers["X-Frame-Options"] = "SAMEORIGIN"
    return _immutable(answer, report.html_blob)


def _immutable(answer: HttpResponse, blob: str) -> HttpResponse:
    answer.headers["ETag"] = f'"{blob}"'
    answer.headers["Cache-Control"] = "private, no-cache"
    return answer
