"""Worker processes as the web knows them: who connected, and when it was last heard."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.utils import timezone

from backend.accounts.models import WorkerToken
from backend.errors import BadInput, NotAllowed
from backend.jobs.models import WorkerSession
from backend.jobs.protocol import GAUGE, LOCK_NUMBER_MASK

# No machine has more bytes than this.
MOST = 2.0**63
FACTS = (
    *("device", "host", "pid", "version", "processors", "precision", "queues", "kinds", "models"),
    "trains",
)


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
        # What it can do may have changed since it said so first.
        found.heard, found.gone, found.facts = now, None, kept
        found.save(update_fields=["heard", "gone", "facts"])
    return found


def hear(session: WorkerSession, gauge: dict[str, float] | None = None) -> None:
    """Note that the worker said something just now, and how busy its machine is."""
    said: dict[str, Any] = {"gauge": gauge} if gauge else {}
    WorkerSession.objects.filter(pk=session.pk).update(heard=timezone.now(), gone=None, **said)


def gauge_of(said: Any) -> dict[str, float]:
    """What a worker says of its machine: known names, finite numbers that are not negative."""
    if not isinstance(said, dict):
        return {}
    return {
        name: float(value)
        for name, value in said.items()
        if name in GAUGE and type(value) in (int, float) and 0 <= value <= MOST
    }


def part(session: WorkerSession) -> None:
    """Note that the worker's socket closed."""
    WorkerSession.objects.filter(pk=session.pk).update(gone=timezone.now())
