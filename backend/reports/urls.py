"""Addresses of reports and exports."""

from django.urls import path

from backend.reports import api, pages, timeline_pages

urlpatterns = [
    path("reports/<uuid:report>/", pages.report_page, name="report"),
    path("cases/<uuid:case>/files", pages.case_files, name="case-files"),
    path("cases/<uuid:case>/timeline/", timeline_pages.case_timeline, name="case-timeline"),
    path("readings/<uuid:reading>/report", pages.make_report, name="make-report"),
    path(
        "readings/<uuid:reading>/exports/<str:file_format>",
        pages.request_export,
        name="request-export",
    ),
    path(
        "consensus/<uuid:consensus>/exports/<str:file_format>",
        pages.request_consensus_export,
        name="request-consensus-export",
    ),
    path("api/readings/<uuid:reading>/report", api.MakeReportView.as_view(), name="api-report"),
    path("api/reports/<uuid:report>.html", api.ReportHtmlView.as_view(), name="api-report-html"),
    path("api/reports/<uuid:report>.json", api.ReportJsonView.as_view(), name="api-report-json"),
    path("api/exports", api.ExportsView.as_view(), name="api-exports"),
    path("api/exports/<uuid:export>", api.ExportView.as_view(), name="api-export"),
    path("api/exports/<uuid:export>/file", api.ExportFileView.as_view(), name="api-export-file"),
    path(
        "api/exports/<uuid:export>/sidecar",
        api.ExportSidecarView.as_view(),
        name="api-export-sidecar",
    ),
]
