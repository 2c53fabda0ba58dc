"""Addresses of reports and exports."""

from django.urls import path

from backend.reports import api, pages

urlpatterns = [
    path("reports/<uuid:report>/", pages.report_page, name="report"),
    path("cases/<uuid:case>/files", pages.case_files, name="case-files"),
    path("readings/<uuid:reading>/report", pages.make_report, name="make-report"),
    path(
        "readings/<uuid:reading>/exports/<str:file_format>",
        pages.request_export,
        name="request-export",
    ),
    path("api/readings/<uuid:reading>/report", api.MakeReportView.as_view(), name="api-report"),
    path("api/reports/<uuid:report>.html", api.ReportHtmlView.as_view(), name="api-report-html"),
    path("api/reports/<uuid:report>.json", api.ReportJsonView.as_view(), name="api-report-json"),
    path("api/exports", api.ExportsView.as_view(), name="api-exports"),
    path("api/exports/<uuid:export>", api.ExportView.as_view(), name="api-export"),
    path("api/exports/<uuid:export>/file", api.ExportFileView.as_view(), name="api-export-file"),
]
