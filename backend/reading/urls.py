"""Addresses of the reading room."""

from django.urls import include, path

from backend.reading import (
    api,
    beside_api,
    beside_pages,
    blobs,
    comparison_api,
    comparison_pages,
    consensus_api,
    incidental_api,
    incidental_pages,
    newer_api,
    pages,
    prompt_api,
    series_pages,
)

urlpatterns = [
    path("", include("backend.reading.label_urls")),
    path("", pages.worklist, name="worklist"),
    path("worklist/rows", pages.worklist_rows, name="worklist-rows"),
    path("worklist/rows/", pages.worklist_rows),
    path("worklist/deferred/", pages.deferred_rows, name="deferred-rows"),
    path("cases/", pages.cases, name="cases"),
    path("cases/rows/", pages.case_rows, name="case-rows"),
    path("cases/<uuid:case>/", pages.case, name="case"),
    path("cases/<uuid:case>/assign", pages.assign, name="case-assign"),
    path("cases/<uuid:case>/series", series_pages.read_instead, name="case-series"),
    path("cases/<uuid:case>/presegment", pages.presegment_again, name="case-presegment"),
    path(
        "cases/<uuid:case>/incidental/<uuid:finding>",
        incidental_pages.take_up,
        name="case-incidental",
    ),
    path("cases/<uuid:case>/compare", comparison_pages.compare_again, name="case-compare"),
    path("cases/readings/<uuid:reading>/hold", pages.hold, name="reading-hold"),
    path("cases/readings/<uuid:reading>/release", pages.release, name="reading-release"),
    path("cases/readings/<uuid:reading>/withdraw", pages.withdraw, name="reading-withdraw"),
    path("api/worklist", api.WorklistView.as_view(), name="api-worklist"),
    path("api/readings/<uuid:reading>", api.ReadingView.as_view(), name="api-reading"),
    path("api/readings/<uuid:reading>/lease", api.LeaseView.as_view(), name="api-lease"),
    path("api/readings/<uuid:reading>/changes", api.ChangesView.as_view(), name="api-changes"),
    path("api/readings/<uuid:reading>/prompt", prompt_api.PromptsView.as_view(), name="api-prompt"),
    path(
        "api/readings/<uuid:reading>/prompts/<uuid:prompt>",
        prompt_api.PromptView.as_view(),
        name="api-prompt-one",
    ),
    path(
        "api/readings/<uuid:reading>/prompts/<uuid:prompt>/cancel",
        prompt_api.CancelPromptView.as_view(),
        name="api-prompt-cancel",
    ),
    path(
        "api/readings/<uuid:reading>/proposal",
        newer_api.NewerProposalView.as_view(),
        name="api-newer-proposal",
    ),
    path(
        "api/readings/<uuid:reading>/incidental",
        incidental_api.IncidentalView.as_view(),
        name="api-incidental",
    ),
    path("api/readings/<uuid:reading>/beside", beside_api.BesideView.as_view(), name="api-beside"),
    path(
        "api/readings/<uuid:reading>/beside/<uuid:series>/volume",
        beside_api.BesideVolumeView.as_view(),
        name="api-beside-volume",
    ),
    path(
        "api/readings/<uuid:reading>/beside/<uuid:series>/registration",
        beside_api.RegistrationView.as_view(),
        name="api-registration",
    ),
    path("readings/<uuid:reading>/window/", beside_pages.second_window, name="second-window"),
    path("api/readings/<uuid:reading>/seen", api.SeenView.as_view(), name="api-seen"),
    path("api/readings/<uuid:reading>/submit", api.SubmitView.as_view(), name="api-submit"),
    path(
        "api/cases/<uuid:case>/comparison",
        comparison_api.ComparisonView.as_view(),
        name="api-comparison",
    ),
    path(
        "api/consensus/<uuid:consensus>",
        consensus_api.ConsensusView.as_view(),
        name="api-consensus",
    ),
    path(
        "api/consensus/<uuid:consensus>/volumes/<str:volume>",
        consensus_api.ConsensusVolumeView.as_view(),
        name="api-consensus-volume",
    ),
    path(
        "api/consensus/<uuid:consensus>/agree",
        consensus_api.AgreeHereView.as_view(),
        name="api-agree-here",
    ),
    path(
        "api/discrepancies/<uuid:discrepancy>/propose",
        consensus_api.ProposeView.as_view(),
        name="api-propose",
    ),
    path(
        "api/discrepancies/<uuid:discrepancy>/agree",
        consensus_api.AgreeView.as_view(),
        name="api-agree",
    ),
    path(
        "api/discrepancies/<uuid:discrepancy>/defer",
        consensus_api.DeferView.as_view(),
        name="api-defer",
    ),
    path(
        "api/discrepancies/<uuid:discrepancy>/resolve",
        consensus_api.ResolveView.as_view(),
        name="api-resolve",
    ),
    path("api/masks/<str:mask>", blobs.MaskView.as_view(), name="api-mask"),
    path("api/masks/<str:mask>/volume", blobs.MaskVolumeView.as_view(), name="api-mask-volume"),
    path("api/slices/<str:blob>", blobs.SliceView.as_view(), name="api-slice"),
]
