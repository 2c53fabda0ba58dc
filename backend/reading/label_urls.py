"""Addresses of labels, evidence and the signatures under a consensus."""

from django.urls import path

from backend.reading import evidence_pages, label_api, reopening_pages

urlpatterns = [
    path("evidence/", evidence_pages.evidence_list, name="evidence"),
    path("evidence/<uuid:case>/", evidence_pages.evidence_case, name="evidence-case"),
    path("evidence/<uuid:case>/enter", evidence_pages.evidence_enter, name="evidence-enter"),
    path(
        "evidence/items/<uuid:evidence>/withdraw",
        evidence_pages.evidence_withdraw,
        name="evidence-withdraw",
    ),
    path("cases/<uuid:case>/reopen", reopening_pages.reopen, name="case-reopen"),
    path(
        "api/consensus/<uuid:consensus>/nodes/<int:number>/label",
        label_api.LabelView.as_view(),
        name="api-label",
    ),
    path(
        "api/consensus/<uuid:consensus>/nodes/<int:number>/defer",
        label_api.DeferLabelView.as_view(),
        name="api-label-defer",
    ),
    path("api/consensus/<uuid:consensus>/sign", label_api.SignView.as_view(), name="api-sign"),
    path(
        "api/consensus/<uuid:consensus>/object", label_api.ObjectView.as_view(), name="api-object"
    ),
    path(
        "api/consensus/<uuid:consensus>/reopen", label_api.ReopenView.as_view(), name="api-reopen"
    ),
    path("api/cases/<uuid:case>/evidence", label_api.EvidenceView.as_view(), name="api-evidence"),
    path(
        "api/evidence/<uuid:evidence>/withdraw",
        label_api.WithdrawView.as_view(),
        name="api-withdraw",
    ),
]
