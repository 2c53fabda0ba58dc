"""The jobs room's addresses, one series for its workers, and a door to make runs."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from backend.accounts.models import User
from backend.jobs import services
from backend.jobs.protocol import VOLUME_MEDIA_TYPE
from tests.jobs.threshold import phantom, volume_bytes

STUDY, SERIES = "2.25.10", "2.25.11"


def series(request: HttpRequest, study: str, series: str) -> HttpResponse:
    """The images, for the lease of a run on exactly this series."""
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    run = services.lease_of(token)
    if run is None or (run.study_uid, run.series_uid) != (study, series) or series != SERIES:
        return JsonResponse(
            {"error": "NOT_FOUND", "message": "There is no such series."}, status=404
        )
    return HttpResponse(volume_bytes(), content_type=VOLUME_MEDIA_TYPE)


@csrf_exempt
def make_run(request: HttpRequest) -> HttpResponse:
    """Register a model folder and queue a run of it on a case of its own."""
    asked = json.loads(request.body)
    model = services.register_model(folder=Path(asked["model"]), actor=None)
    grid, _ = phantom()
    run = services.enqueue(
        kind=asked.get("kind", "presegment"),
        subject=User(pk=uuid.UUID(asked["case"]) if "case" in asked else uuid.uuid4()),
        series_id=uuid.uuid4(),
        study_uid=STUDY,
        series_uid=asked.get("series", SERIES),
        model=model,
        parameters={
            "geometry_hash": grid.geometry_hash,
            "shape": list(grid.shape),
            **asked.get("parameters", {}),
        },
        actor=None,
        chain="system",
    )
    return JsonResponse({"run": str(run.id)})


@csrf_exempt
def cancel(request: HttpRequest, run: uuid.UUID) -> HttpResponse:
    """What the coordinator's button does."""
    services.cancel(run=run, actor=None)
    return JsonResponse({})


@csrf_exempt
def retry(request: HttpRequest, run: uuid.UUID) -> HttpResponse:
    """What the coordinator's other button does."""
    services.retry(run=run, actor=None)
    return JsonResponse({})


urlpatterns = [
    path("", include("backend.jobs.urls")),
    path("dicom-web/studies/<str:study>/series/<str:series>", series),
    path("test/runs", make_run),
    path("test/runs/<uuid:run>/cancel", cancel),
    path("test/runs/<uuid:run>/retry", retry),
]
