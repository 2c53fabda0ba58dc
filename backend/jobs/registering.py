"""Models are registered by their folder; nothing is runnable until its files' hashes match."""

from __future__ import annotations

from pathlib import Path

from django.db import transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.audit.services import record
from backend.errors import BadInput
from backend.jobs.models import ModelVersion
from backend.jobs.protocol import ModelDamaged, read_model_folder


@transaction.atomic
def register_model(*, folder: Path, actor: User | None) -> ModelVersion:
    """Register the model in `folder`; the first one registered becomes the default.

    Registering the same files again changes nothing. Where the folder held another version, that
    one can no longer run: it is retired, and the new one takes its place as default. Raises
    `BadInput` where a file is missing or is not the one model.json names.
    """
    try:
        found = read_model_folder(folder)
    except ModelDamaged as damaged:
        raise BadInput("MODEL_DAMAGED", str(damaged)) from damaged
    known = ModelVersion.objects.select_for_update().filter(
        name=found.name, version=found.version, sha256=found.sha256
    )
    if (same := known.first()) is not None:
        return same
    replaced = list(
        ModelVersion.objects.select_for_update().filter(folder=found.folder, retired=None)
    )
    default = any(model.is_default for model in replaced) or not (
        ModelVersion.objects.filter(is_default=True).exists()
    )
    for old in replaced:
        old.is_default, old.retired = False, timezone.now()
        old.save(update_fields=["is_default", "retired"])
    model = ModelVersion.objects.create(
        name=found.name,
        version=found.version,
        kind=found.kind,
        manifest=found.manifest,
        sha256=found.sha256,
        folder=found.folder,
        notice=found.notice,
        is_default=default,
    )
    record(
        "model.registered",
        model,
        actor=actor,
        name=model.name,
        version=model.version,
        sha256=model.sha256,
        files=found.manifest["files"],
        default=default,
        replaces=[str(old.pk) for old in replaced],
    )
    return model
