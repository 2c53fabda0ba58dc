"""Addresses of reports and exports."""

from django.urls import path

from backend.reports import api, pages, timeline_node, timeline_pages, trial_pages
from backend.reports.presentation import ENDINGS
from backend.reports.releases import pages as releases
from backend.reports.training import doors
from backend.reports.training import pages as trainings

urlpatterns = [
    path("models/<uuid:model>/try", trial_pages.try_on, name="model-try"),
    path("models/<uuid:model>/compare", trial_pages.compare, name="model-compare"),
    path("models/<uuid:model>/choose", trial_pages.choose, name="model-choose"),
    path(
        "models/comparisons/<uuid:comparison>/",
        trial_pages.comparison_page,
        name="model-comparison",
    ),
    path(
        "models/comparisons/<uuid:comparison>/<uuid:case>/<int:number>.png",
        trial_pages.comparison_slice,
        name="model-comparison-slice",
    ),
    path("runs/<uuid:run>/slices/<int:number>.png", trial_pages.trial_slice, name="trial-slice"),
    path("models/train", trainings.start, name="training-start"),
    path("runs/<uuid:run>/points.json", trainings.points, name="training-points"),
    path("runs/<uuid:run>/register", trainings.register_again, name="training-register"),
    path(
        "api/runs/<uuid:run>/attempts/<int:attempt>/references/<uuid:case>",
        doors.ReferenceView.as_view(),
        name="training-reference",
    ),
    path(
        "api/runs/<uuid:run>/attempts/<int:attempt>/references/<uuid:case>/ignored",
        doors.IgnoredView.as_view(),
        name="training-ignored",
    ),
    path("releases/", releases.releases_page, name="releases"),
    path("releases/draft", releases.draft, name="release-draft"),
    path("releases/<uuid:release>/", releases.release_page, name="release"),
    path("releases/<uuid:release>/manifest.json", releases.manifest, name="release-manifest"),
    path("releases/<uuid:release>/nodes.csv", releases.nodes, name="release-nodes"),
    path("releases/<uuid:release>/freeze", releases.freeze, name="release-freeze"),
    path("releases/<uuid:release>/withdraw", releases.withdraw, name="release-withdraw"),
    path("releases/<uuid:release>/cases/<uuid:case>/list", releases.list_case, name="release-list"),
    path(
        "releases/<uuid:release>/cases/<uuid:case>/unlist",
        releases.unlist_case,
        name="release-unlist",
    ),
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
        for ending, (name, _) in ENDINGS.items()
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
