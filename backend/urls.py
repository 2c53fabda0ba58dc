"""Every address of Concord, room by room."""

from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView

from backend import viewer

urlpatterns = [
    path("", include("backend.accounts.urls")),
    path("", include("backend.jobs.urls")),
    path("", include("backend.archive.urls")),
    path("", include("backend.reading.urls")),
    path("", include("backend.reports.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    re_path(r"^viewer/(?P<path>.*)$", viewer.serve, name="viewer"),
]
handler400 = "backend.pages.unreadable"
handler404 = "backend.pages.not_found"
