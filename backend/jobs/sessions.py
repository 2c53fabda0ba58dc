"""Worker processes as the web knows them: who connected, and when it was last heard."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.utils import timezone

from backend.accounts.models import WorkerToken
from backend.errors import BadInput, NotAllowed
from backend.jobs.models import WorkerSession
from backend.jobs.protocol import LOCK_NUMBER_MASK

FACTS = ("device", "host", "pid", "version", "processors", "precision", "queues")


@transaction.atomic
def greet(*, token: WorkerToken, session: uuid.UUID, number: int, facts: Any) -> WorkerSession:
    """Note that a worker process connected, for the first time or again."""
    if not 0 < number <= LOCK_NUMBER_MASK:
        raise BadInput("BAD_NUMBER", "The worker's lock number is out of range.", "Update it.")
    now = timezone.now()
    kept = {key: facts[key] for key in FACTS if key in facts} if isinstance(facts, dict) else {}
    name = str(facts.get("name") or token.name)[:80] if isinstance(facts, dict) else token.name
    found, made = WorkerSession.objects.select_for_update().get_or_create(
        pk=session,
        defaults={"token": token, "name": name, "number": number, "facts": kept, "heard": now},
    )
    if found.token_id != token.pk:
        raise NotAllowed(
            "NOT_YOUR_SESSION", "This session belongs to another worker token.", "Restart it."
        )
    if not made:
        found.heard, found.gone = now, None
        found.save(update_fields=["heard", "gone"])
    return found


def hear(session: WorkerSession) -> None:
    """Note that the worker said something just now."""
    WorkerSession.objects.filter(pk=session.pk).update(heard=timezone.now(), gone=None)


def part(session: WorkerSession) -> None:
    """Note that the worker's socket closed."""
    WorkerSession.objects.filter(pk=session.pk).update(gone=timezone.now())
