"""A site with real workers; runs and sessions for tests in one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from backend.accounts.models import User, WorkerToken
from backend.jobs import services
from backend.jobs.models import ModelVersion, Run, WorkerSession
from tests.jobs.site import Site
from tests.jobs.threshold import SHAPE, phantom, write_model


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Web and work of the jobs room; workers are started by the tests."""
    site = Site()
    try:
        yield site.start()
    finally:
        site.close()


@pytest.fixture
def model(db: None, tmp_path: Path) -> ModelVersion:
    """A registered model."""
    return services.register_model(folder=write_model(tmp_path), actor=None)


@pytest.fixture
def make_run(model: ModelVersion) -> Callable[..., Run]:
    """Makes queued runs, each of a subject of its own."""

    def make(**changed: Any) -> Run:
        asked: dict[str, Any] = {
            "kind": "presegment",
            "subject": User(pk=uuid.uuid4()),
            "series_id": uuid.uuid4(),
            "study_uid": "2.25.10",
            "series_uid": "2.25.11",
            "model": model,
            "parameters": {
                "geometry_hash": phantom()[0].geometry_hash,
                "shape": list(SHAPE),
            },
            "actor": None,
            "chain": "system",
        }
        return services.enqueue(**{**asked, **changed})

    return make


@pytest.fixture
def worker_token(db: None) -> WorkerToken:
    """A machine that may lease runs."""
    return WorkerToken.objects.create(name="machine", digest=uuid.uuid4().hex)


@pytest.fixture
def session(worker_token: WorkerToken) -> WorkerSession:
    """A worker process that was heard just now."""
    return WorkerSession.objects.create(
        token=worker_token, name="worker-a", number=77, heard=timezone.now()
    )
