"""The verbs of a model: register, verify, trust, make the default, retire. All are events."""

from __future__ import annotations

import time
import uuid
from typing import Any

from django.db import transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.audit.services import News, announce, record
from backend.errors import BadInput, Missing, NotAllowed, WrongState, reason_of
from backend.jobs import queue
from backend.jobs.manifest import check_manifest
from backend.jobs.model_description import ModelDamaged, describe_model_folder
from backend.jobs.model_files import (
    Checked,
    check_file,
    fault_of,
    folder_named,
    manifest_fault,
    model_root,
    size_of,
)
from backend.jobs.models import ModelVersion
from backend.jobs.registering import described_otherwise, why_unfit
from backend.jobs.selectors import default_of, may_verify_models
from backend.jobs.services import set_aside_waiting

VERIFY_TASK = "jobs.verify_model"
TELL_SECONDS = 0.3


@transaction.atomic
def register_folder(*, name: str, actor: User) -> ModelVersion:
    """Register the model in a folder right below `CONCORD_MODELS`, and have it verified.

    Registering the same model again has it verified again. Raises `BadInput` where there is no
    model that can be read, `WrongState` where the folder is that of another registered model.
    """
    require_admin(actor)
    return register_made(name=name, actor=actor)


@transaction.atomic
def register_made(*, name: str, actor: User | None) -> ModelVersion:
    """The same for who is no administrator: a room above that made the folder itself."""
    folder = folder_named(name)
    try:
        found = describe_model_folder(folder)
        check_manifest(found.manifest)
    except ModelDamaged as damaged:
        raise BadInput("MODEL_DAMAGED", str(damaged)) from damaged
    if not found.manifest["files"]:
        raise BadInput(
            "MODEL_DAMAGED",
            f"model.json of {name} names no files, so nothing of it could be verified.",
            "List every file with its SHA-256 under `files`.",
        )
    known = ModelVersion.objects.select_for_update().filter(
        name=found.name, version=found.version, sha256=found.sha256
    )
    if (same := known.first()) is not None:
        if same.folder != name and same.retired is None:
            raise WrongState(
                "REGISTERED_ELSEWHERE",
                f"{same} is registered already, from the folder {same.folder}.",
                "Use that one, or give the new one a version of its own in model.json.",
            )
        if same.description != found.description:
            raise WrongState("DESCRIPTION_CHANGED", described_otherwise(same, name), possible=[])
        _ask_verification(same, actor)
        return same
    other = ModelVersion.objects.filter(folder=name, retired=None).first()
    if other is not None:
        raise WrongState(
            "FOLDER_TAKEN",
            f"The folder {name} is that of {other}, which is not retired.",
            "Put the new model into a folder of its own, or retire the other first.",
        )
    model = ModelVersion.objects.create(
        name=found.name,
        version=found.version,
        kind=found.kind,
        manifest=found.manifest,
        sha256=found.sha256,
        folder=found.folder,
        notice=found.notice,
    )
    record(
        "model.registered",
        model,
        actor=actor,
        name=model.name,
        version=model.version,
        sha256=model.sha256,
        description=model.description,
        folder=name,
        files=found.manifest["files"],
        default=False,
        verified=False,
    )
    _ask_verification(model, actor)
    return model


@transaction.atomic
def request_verification(*, model: uuid.UUID, actor: User) -> ModelVersion:
    """Have every file of a model hashed again, in the work process."""
    if not may_verify_models(actor):
        raise _not_yours("verify models")
    found = _locked(model)
    _require_in_use(found)
    _ask_verification(found, actor)
    return found


def _ask_verification(model: ModelVersion, actor: User | None) -> None:
    if model.checking is not None:
        return  # It goes on already.
    model.checking = 0.0
    model.save(update_fields=["checking"])
    name = f"verify:{model.pk}"
    queue.defer(VERIFY_TASK, lock=name, queueing_lock=name, model=str(model.pk))
    record("model.verification_asked", model, actor=actor, news=[_news(model)])


def verify_model(model: uuid.UUID) -> ModelVersion | None:
    """Hash every file of a model and keep what was found. In the work process; safe to repeat."""
    found = ModelVersion.objects.filter(pk=model).first()
    if found is None or found.retired is not None:
        return found
    files = found.files
    folder = model_root() / found.folder
    whole, done, told = size_of(folder, list(files)) or 1, 0, time.monotonic()

    def go_on(read: int) -> None:
        nonlocal done, told
        done += read
        if time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            share = min(done / whole, 1.0)
            ModelVersion.objects.filter(pk=model).update(checking=share)
            announce(f"model:{model}", "model.checking", {"share": round(share, 3)})

    checked = [check_file(folder, name, files[name], go_on) for name in sorted(files)]
    fault = fault_of(found.folder, checked) or manifest_fault(folder, found.manifest)
    return _keep(model, checked, fault)


@transaction.atomic
def _keep(model: uuid.UUID, checked: list[Checked], fault: str) -> ModelVersion:
    found = _locked(model)
    if found.retired is not None:
        return found
    found.checked = {file.name: file.to_json() for file in checked}
    found.checking, found.fault = None, fault
    found.verified = None if fault else timezone.now()
    found.save(update_fields=["checked", "checking", "fault", "verified"])
    given_up = set_aside_waiting(model=found, why=why_unfit(found)) if fault else 0
    facts: dict[str, Any] = {"files": found.checked}
    if fault:
        facts |= {"runs_given_up": given_up}
    record(
        "model.damaged" if fault else "model.verified",
        found,
        actor=None,
        outcome="failure" if fault else "success",
        reason=fault,
        news=[_news(found)],
        **facts,
    )
    return found


@transaction.atomic
def trust(*, model: uuid.UUID, trusted: bool, reason: str, actor: User) -> ModelVersion:
    """Let workers run a bundle's own code, or no longer. For administrators, with a reason."""
    require_admin(actor)
    why = reason_of(reason, "Whether a model's own code may run needs a reason.")
    found = _locked(model)
    _require_in_use(found)
    if found.trusted == trusted:
        return found
    found.trusted, found.trust_reason = trusted, why
    found.save(update_fields=["trusted", "trust_reason"])
    what = "model.trusted" if trusted else "model.trust_withdrawn"
    record(what, found, actor=actor, reason=why, sha256=found.sha256, news=[_news(found)])
    return found


@transaction.atomic
def make_default(*, model: uuid.UUID, actor: User) -> ModelVersion:
    """From now on every protocol without a default of its own opens its new cases with this one."""
    require_admin(actor)
    found = _locked(model)
    require_fit(found)
    before = ModelVersion.objects.select_for_update().filter(is_default=True).first()
    if before == found:
        return found
    if before is not None:
        before.is_default = False
        before.save(update_fields=["is_default"])
    found.is_default = True
    found.save(update_fields=["is_default"])
    record(
        "model.made_default",
        found,
        actor=actor,
        sha256=found.sha256,
        before=str(before.pk) if before else None,
        news=[_news(found)],
    )
    return found


@transaction.atomic
def retire(*, model: uuid.UUID, reason: str, actor: User) -> ModelVersion:
    """Offer a model no more; what it made stays. A default gives its place to another first."""
    require_admin(actor)
    why = reason_of(reason, "Retiring a model needs a reason.")
    found = _locked(model)
    _require_in_use(found)
    if defaults := default_of(found):
        raise WrongState(
            "MODEL_IS_DEFAULT",
            f"{found} is the default of {', '.join(defaults)}.",
            "Make another model the default there first.",
            possible=["make another the default"],
        )
    found.retired, found.checking = timezone.now(), None
    found.save(update_fields=["retired", "checking"])
    record("model.retired", found, actor=actor, reason=why, news=[_news(found)])
    return found


def require_fit(model: ModelVersion) -> None:
    """Let pass a model that takes runs."""
    _require_in_use(model)
    if refusal := why_unfit(model):
        raise WrongState("MODEL_UNFIT", refusal, possible=["verify"])


def require_admin(actor: User) -> None:
    """Let pass administrators."""
    if not (actor.is_superuser and actor.is_active):
        raise _not_yours("do that with models")


def _not_yours(what: str) -> NotAllowed:
    return NotAllowed(
        "ROLE_NEEDED", f"You may not {what}.", "Ask an administrator of this Concord."
    )


def _require_in_use(model: ModelVersion) -> None:
    if model.retired is not None:
        raise WrongState(
            "MODEL_RETIRED", f"{model} is retired.", "Register it again under a new version."
        )


def _locked(model: uuid.UUID) -> ModelVersion:
    found = ModelVersion.objects.select_for_update().filter(pk=model).first()
    if found is None:
        raise Missing("model")
    return found


def _news(model: ModelVersion) -> News:
    return News(f"model:{model.pk}", "model.changed", {"model": str(model.pk)})
