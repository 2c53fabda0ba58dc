"""Addresses of reports and exports."""

from django.urls import path

from backend.reports import api, pages, timeline_node, timeline_pages

urlpatterns = [
    path("reports/<uuid:report>/", pages.report_page, name="report"),
    path("cases/<uuid:case>/files", pages.case_files, name="case-files"),
    path("cases/<uuid:case>/timeline/", timeline_pages.case_timeline, name="case-timeline"),
    path(
        "cases/<uuid:case>/timeline/strokes/<int:first>",
        timeline_pages.strokes,
        name="case-timeline-strokes",
    ),
    path("cases/<uuid:case>/timeline/verdict", timeline_pages.verdict, name="case-verdict"),
    path("cases/<uuid:case>/timeline/verify", timeline_pages.verify, name="case-verify"),
    path("cases/<uuid:case>/timeline.csv", timeline_pages.timeline_csv, name="case-timeline-csv"),
    path("cases/<uuid:case>/nodes/<uuid:node>/", timeline_node.node_timeline, name="node-timeline"),
    path(
        "cases/<uuid:case>/nodes/<uuid:node>/picture.svg",
        timeline_node.node_picture,
        name="node-picture",
    ),
    path("reports/<uuid:report>/retry", pages.retry_report, name="retry-report"),
    path("cases/<uuid:case>/report", pages.make_report, name="make-report"),
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
    path("api/cases/<uuid:case>/report", api.MakeReportView.as_view(), name="api-make-report"),
    path("api/cases/<uuid:case>/record.zip", api.RecordFileView.as_view(), name="api-record"),
    path("api/reports/<uuid:report>", api.ReportView.as_view(), name="api-report"),
    *(
        path(
            f"api/reports/<uuid:report>{ending}",
            api.ReportFileView.as_view(),
            {"ending": ending},
            name=f"api-report-{name}",
        )
        for ending, (name, _) in api.ENDINGS.items()
    ),
    path("api/exports", api.ExportsView.as_view(), name="api-exports"),
    path("api/exports/<uuid:export>", api.ExportView.as_view(), name="api-export"),
    path("api/exports/<uuid:export>/file", api.ExportFileView.as_view(), name="api-export-file"),
    path(
        "api/exports/<uuid:export>/sidecar",
        api.ExportSidecarView.as_view(),
        name="api-export-sidecar",
    ),
]
