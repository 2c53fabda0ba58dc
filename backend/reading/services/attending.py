"""Who has a consensus open, and where they look: told while it is so, and kept nowhere."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.audit import news
from backend.errors import Missing
from backend.reading.attendance import Place
from backend.reading.consensus_selectors import Seat, consensus_for
from backend.reading.models import Attendance

# Rows that a killed process left behind are swept when somebody comes.
_FORGOTTEN = timedelta(hours=1)


@transaction.atomic
def attend(*, line: UUID, consensus: UUID, user: User, place: Place) -> None:
    """Somebody at the end of a line looks at a place of a consensus; the others there are told.

    Whoever only looks on is not told of, and tells nobody. What a place names and the consensus
    does not have is left out.

    Raises:
        Missing: there is no such thing, as far as this person may know.
    """
    found, asker = consensus_for(user, consensus)
    if asker.seat == Seat.OBSERVER:
        raise Missing("consensus")
    now = timezone.now()
    named = [place.discrepancy] if place.discrepancy else []
    found_at = found.discrepancies.filter(pk__in=named).first()
    agreed = found.nodes.filter(number=place.node or 0).exists()
    Attendance.objects.update_or_create(
        id=line,
        defaults={
            "consensus": found,
            "user": user,
            "phase": place.phase.value,
            "discrepancy": found_at,
            "node": place.node if agreed else None,
            "moved": now,
            "seen": now,
        },
    )
    Attendance.objects.filter(seen__lt=now - _FORGOTTEN).delete()
    news.wake(found.audience)


def keep_attending(*, line: UUID) -> None:
    """A line is still open."""
    Attendance.objects.filter(pk=line).update(seen=timezone.now())


@transaction.atomic
def leave(*, line: UUID) -> None:
    """A line has ended; who is still there is told."""
    row = Attendance.objects.filter(pk=line).select_related("consensus").first()
    if row is not None:
        audience = row.consensus.audience
        row.delete()
        news.wake(audience)
