"""Addresses of the jobs room."""

from django.urls import path

from backend.jobs import api, health, model_pages, pages

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("api/runs/<uuid:run>", api.RunView.as_view(), name="run-json"),
    path("api/runs/<uuid:run>/cancel", api.CancelRun.as_view(), name="run-cancel-json"),
    path("api/runs/<uuid:run>/retry", api.RetryRun.as_view(), name="run-retry-json"),
    path("api/runs/<uuid:run>/attempts/<int:attempt>/mask", api.PutMask.as_view()),
    path("api/runs/<uuid:run>/attempts/<int:attempt>/result", api.PutResult.as_view()),
    path("api/runs/<uuid:run>/attempts/<int:attempt>/weights", api.PutWeights.as_view()),
    path("runs/", pages.runs_page, name="runs"),
    path("runs/<uuid:run>/", pages.run_page, name="run"),
    path("runs/<uuid:run>/cancel", pages.cancel_run, name="run-cancel"),
    path("runs/<uuid:run>/retry", pages.retry_run, name="run-retry"),
    path("models/", model_pages.models_page, name="models"),
    path("models/register", model_pages.register, name="model-register"),
    path("models/<uuid:model>/", model_pages.model_page, name="model"),
    path("models/<uuid:model>/verify", model_pages.verify, name="model-verify"),
    path("models/<uuid:model>/trust", model_pages.trust, name="model-trust"),
    path("models/<uuid:model>/default", model_pages.make_default, name="model-default"),
    path("models/<uuid:model>/retire", model_pages.retire, name="model-retire"),
    path("models/<uuid:model>/pictures/<path:picture>", model_pages.picture, name="model-picture"),
]
