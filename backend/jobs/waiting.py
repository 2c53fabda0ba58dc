"""Runs that wait for a worker that holds their model, while none does: what they wait for is said.

Such a run is not lost and not failed: a worker that is connected later, or gets the model's folder,
takes it.
"""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from backend.audit.services import announce
from backend.jobs.models import ModelVersion, Run
from backend.jobs.protocol import RunKind, RunState
from backend.jobs.registry import run_changed
from backend.jobs.selectors import is_held_at_work

# A worker that is started together with the rest, or anew, is given the time to connect.
PATIENCE = timedelta(seconds=10)
# A prompt is given up instead, and a training is done by any worker that trains.
_TOLD = (RunKind.PRESEGMENT.value, RunKind.TRIAL.value)


def nobody_holds(model: ModelVersion) -> str:
    """What a run of this model waits for, with the cure."""
    return (
        f"No connected worker holds {model}. Start one that does, or put the folder "
        f"{model.folder} among a worker's models."
    )


def say_what_runs_wait_for() -> None:
    """Write at every run that waits in vain what it waits for; take it back where that changed."""
    long_ago = timezone.now() - PATIENCE
    waiting = Run.objects.filter(
        state=RunState.QUEUED.value, kind__in=_TOLD, queued__lt=long_ago
    ).order_by()
    for model in ModelVersion.objects.filter(pk__in=waiting.values("model")):
        words, mine = nobody_holds(model), waiting.filter(model=model)
        if is_held_at_work(model):
            changed, said = mine.filter(message=words), ""
        else:
            changed, said = mine.exclude(message=words), words
        for run in changed.values_list("pk", flat=True):
            _say(run, said)


@transaction.atomic
def _say(run: uuid.UUID, words: str) -> None:
    found = (
        Run.objects.select_for_update(of=("self",), skip_locked=True)
        .filter(pk=run, state=RunState.QUEUED.value)
        .first()
    )
    if found is None:
        return
    found.message = words
    found.save(update_fields=["message"])
    run_changed(found, "queued", {"message": words, "attempt": found.attempt})
    told = {"run": str(found.pk), "state": found.state, "attempt": found.attempt}
    announce(f"run:{found.pk}", "run.changed", told)
