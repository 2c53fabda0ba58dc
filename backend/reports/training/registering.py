"""From the sealed weights of a training to a model version: its folder, its card, its lineage.

In the work process; safe to repeat. The folder appears below `CONCORD_MODELS` whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import uuid
from collections import Counter
from pathlib import Path

from django.db import transaction

from backend.archive.models import Series
from backend.audit.services import News, record
from backend.errors import ConcordError
from backend.jobs.model_acts import register_made
from backend.jobs.model_files import model_root
from backend.jobs.models import ModelVersion
from backend.reports.training.cards import (
    CARD,
    LOSS,
    PHANTOM,
    WEIGHTS,
    Origin,
    card,
    curve_file,
    describe,
)
from backend.reports.training.models import Training
from backend.reports.training.starting import training_named
from backend.store import store

logger = logging.getLogger(__name__)


def register_training(training: uuid.UUID) -> ModelVersion | None:
    """Write the folder of what was trained and register it; None where that failed, with a fault.

    The new version takes no run before the work process found every file's hash to match.
    """
    found = training_named(training)
    if found.model is not None or not found.weights:
        return found.model
    try:
        name = write_folder(found)
        return _registered(found, name)
    except OSError as error:
        fault = (
            f"The folder of {found} cannot be written below CONCORD_MODELS "
            f"({error.strerror or error}). Let the work process write there, then register it "
            "again here."
        )
    except ConcordError as error:
        fault = str(error)
    logger.error("training %s: %s", training, fault)
    Training.objects.filter(pk=training).update(fault=fault)
    return None


@transaction.atomic
def _registered(training: Training, name: str) -> ModelVersion:
    model = register_made(name=name, actor=training.asked_by)
    Training.objects.filter(pk=training.pk).update(model=model, fault="")
    record(
        "training.registered",
        training,
        actor=None,
        news=[News(f"run:{training.run_id}", "run.changed", {"registered": True})],
        model=str(model.pk),
        named=model.named,
        release=str(training.release_id),
        release_sha256=training.release.sha256,
        parent=training.parent.named,
        weights=training.weights,
    )
    return model


def write_folder(training: Training) -> str:
    """Write the model's folder, whole; its name. One that is there already is left as it is."""
    name = folder_name(training)
    folder = model_root() / name
    if (folder / "model.json").is_file():
        return name
    partial = model_root() / f".{name}-{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        origin = origin_of(training)
        (partial / WEIGHTS).write_bytes(store().read(training.weights))
        (partial / CARD).write_text(card(origin), encoding="utf-8")
        for curve, file in LOSS.items():
            points = training.points.filter(curve=curve).values_list("step", "seconds", "loss")
            (partial / file).write_text(curve_file(list(points)))
        files = {path.name: _sha256(path) for path in sorted(partial.iterdir())}
        manifest = describe(training.parent.manifest, origin, files)
        (partial / "model.json").write_text(json.dumps(manifest, indent=2) + "\n")
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return name


def folder_name(training: Training) -> str:
    """The parent's folder without its own trainings' ending, and the new version."""
    first = training.parent.folder.split("-v", 1)[0]
    return re.sub(r"[^\w.-]", "-", f"{first}-v{training.version}")


def origin_of(training: Training) -> Origin:
    """Everything the card and model.json tell of a training."""
    release, run = training.release, training.run
    if run is None or run.result is None:
        raise ValueError(f"{training} has not ended.")
    items = list(release.items.select_related("case__subject"))
    people = {(item.split, item.case.subject.key) for item in items}
    series = Series.objects.filter(pk__in=[item.case.series_id for item in items])
    return Origin(
        name=training.parent.name,
        version=training.version,
        release=release.name,
        release_id=str(release.pk),
        release_sha256=release.sha256,
        project=str(release.project),
        cases=Counter(item.split for item in items),
        people=Counter(split for split, _ in people),
        phantoms=series.filter(manufacturer=PHANTOM).count(),
        parent=training.parent.named,
        run=str(run.pk),
        settings=training.plan,
        result=run.result,
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
