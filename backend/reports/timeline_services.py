"""What an auditor does leaves a trace too: looks, exports of the log, verifications."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.audit import history
from backend.audit.history import Verdict
from backend.audit.models import Event
from backend.audit.services import record
from backend.reading.models import Case

OPENED = "timeline.opened"
# Turning pages and filtering within this time is one look.
ONE_LOOK = timedelta(minutes=10)


@transaction.atomic
def note_look(*, case: Case, actor: User, what: str) -> None:
    """Record that someone read the log of a case; once for what is one look."""
    since = timezone.now() - ONE_LOOK
    looks = Event.objects.filter(chain=case.chain, action=OPENED, actor=actor, at__gt=since)
    if not looks.filter(facts__what=what).exists():
        record(OPENED, case, actor=actor, chain=case.chain, what=what)


@transaction.atomic
def note_export(*, case: Case, actor: User, rows: int, wanted: dict[str, str]) -> None:
    """Record that someone took the log of a case as a file."""
    head = history.head_of(case.chain)
    record(
        "timeline.exported",
        case,
        actor=actor,
        chain=case.chain,
        rows=rows,
        filters={name: value for name, value in wanted.items() if value},
        head=head,
    )


def verdict_of(case: Case) -> dict[str, Any]:
    """Whether the case's chain holds now, and where it does not; nothing is recorded."""
    return _verdict(history.verify(chain=case.chain), history.head_of(case.chain))


@transaction.atomic
def verify(*, case: Case, actor: User) -> dict[str, Any]:
    """Verify the case's chain and record what came of it, with the head it was verified at."""
    verdict = verdict_of(case)
    record(
        "chain.verified",
        case,
        actor=actor,
        chain=case.chain,
        outcome="success" if verdict["holds"] else "failure",
        reason=" ".join(verdict["faults"][:5]),
        holds=verdict["holds"],
        events=verdict["events"],
        faults=verdict["faults"],
        head=verdict["head"],
    )
    return verdict


def _verdict(verdict: Verdict, head: dict[str, Any] | None) -> dict[str, Any]:
    faults = sorted(verdict.faults, key=lambda fault: fault.position)
    return {
        "holds": verdict.holds,
        "events": verdict.events,
        "faults": [fault.sentence for fault in faults],
        "first_bad": next((fault.position for fault in faults if fault.position), None),
        "head": head,
        "at": timezone.now(),
    }
