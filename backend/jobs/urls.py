"""Addresses of the jobs room."""

from django.urls import path

from backend.jobs import api, health, pages

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("api/runs/<uuid:run>", api.RunView.as_view(), name="run-json"),
    path("api/runs/<uuid:run>/cancel", api.CancelRun.as_view(), name="run-cancel-json"),
    path("api/runs/<uuid:run>/retry", api.RetryRun.as_view(), name="run-retry-json"),
    path("api/runs/<uuid:run>/attempts/<int:attempt>/mask", api.PutMask.as_view()),
    path("api/runs/<uuid:run>/attempts/<int:attempt>/result", api.PutResult.as_view()),
    path("runs/", pages.runs_page, name="runs"),
    path("runs/<uuid:run>/", pages.run_page, name="run"),
    path("runs/<uuid:run>/cancel", pages.cancel_run, name="run-cancel"),
    path("runs/<uuid:run>/retry", pages.retry_run, name="run-retry"),
    path("models/<uuid:model>/", pages.model_page, name="model"),
]
