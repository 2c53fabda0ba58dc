"""A second model, and trials that a worker has done."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from backend.imaging.masks import PackedMask, pack_mask
from backend.jobs.models import ModelVersion, Run
from backend.jobs.protocol import RunState
from backend.jobs.registry import run_changed
from backend.reports import trying
from backend.store import store
from tests.reports.room import Room


@pytest.fixture
def other(room: Room) -> ModelVersion:
    """A second model that takes runs."""
    return ModelVersion.objects.create(
        name="Other net",
        version="2",
        kind="constant",
        manifest={"files": {}},
        sha256="cd" * 32,
        folder="elsewhere",
        verified=timezone.now(),
    )


def first_model() -> ModelVersion:
    """The default model."""
    return ModelVersion.objects.get(is_default=True)


def done(run: Run, volume: Any) -> Run:
    """A trial whose worker put this mask."""
    labels = {int(n): str(uuid.uuid4()) for n in np.unique(volume) if n}
    packed = PackedMask.of_volume(volume, run.parameters["geometry_hash"], labels)
    run.mask_blob = store().put(pack_mask(packed), compress=True)
    run.result, run.state = {"nodes": [], "provenance": {}}, RunState.SUCCEEDED.value
    run.timings, run.attempt, run.finished = {"infer": 1.5}, 1, timezone.now()
    run.save()
    run_changed(run, "succeeded", {"attempt": 1})
    return run


def tried(room: Room, model: ModelVersion, volume: Any, name: str = "scientist") -> Run:
    """A trial of a model on the case, done."""
    run = trying.try_model(model=model, case=room.case, actor=room.users[name])
    return done(run, volume)
