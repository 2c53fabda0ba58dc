"""Models are registered by their folder; nothing is runnable until its files' hashes match."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.audit.services import record
from backend.errors import BadInput
from backend.jobs.manifest import check_manifest
from backend.jobs.model_description import ModelDamaged, read_model_folder
from backend.jobs.models import ModelVersion


@transaction.atomic
def register_model(*, folder: Path, actor: User | None) -> ModelVersion:
    """Register the model in `folder`; the first one registered becomes the default.

    Registering the same files again changes nothing. Where the folder held another version, that
    one can no longer run: it is retired, and the new one takes its place as default.

    Raises:
        BadInput: a file is missing or is not the one model.json names; or model.json is no longer
            the one this version was registered with.
    """
    try:
        found = read_model_folder(folder)
        check_manifest(found.manifest)
    except ModelDamaged as damaged:
        raise BadInput("MODEL_DAMAGED", str(damaged)) from damaged
    known = ModelVersion.objects.select_for_update().filter(
        name=found.name, version=found.version, sha256=found.sha256
    )
    if (same := known.first()) is not None:
        if same.description != found.description:
            raise BadInput("DESCRIPTION_CHANGED", described_otherwise(same, found.folder))
        return _verified_again(same, folder, found.manifest["files"])
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
        verified=timezone.now(),
        checked=_matching(folder, found.manifest["files"]),
    )
    record(
        "model.registered",
        model,
        actor=actor,
        name=model.name,
        version=model.version,
        sha256=model.sha256,
        description=model.description,
        files=found.manifest["files"],
        default=default,
        replaces=[str(old.pk) for old in replaced],
    )
    return model


def _verified_again(model: ModelVersion, folder: Path, files: dict[str, str]) -> ModelVersion:
    """A model that is known, whose files have just been found to match."""
    if model.verified is None and model.folder == folder.name:
        model.verified, model.fault = timezone.now(), ""
        model.checked = _matching(folder, files)
        model.save(update_fields=["verified", "fault", "checked"])
        record("model.verified", model, actor=None, files=model.checked)
    return model


def _matching(folder: Path, files: dict[str, str]) -> dict[str, Any]:
    return {
        name: {"state": "verified", "sha256": sha256, "bytes": (folder / name).stat().st_size}
        for name, sha256 in files.items()
    }


def described_otherwise(model: ModelVersion, folder: str) -> str:
    """Of a model.json that says something else than the registered one, with the cure."""
    return (
        f"model.json of {folder} is not the one that {model} was registered with, although name, "
        "version and weights are. Put the registered one back, or give the changed model a version "
        "of its own."
    )


def why_unfit(model: ModelVersion) -> str:
    """Why a model takes no run now, as sentences with the cure; "" where it does."""
    if model.verified is not None:
        return ""
    if model.fault:
        return f"{model} is not runnable: {model.fault}"
    return (
        f"{model} is not runnable: its files' hashes were not verified yet. Verify them on the "
        "model's page."
    )
