"""Opening a reading, and the lease that makes one window its only writer."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from django.db import transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.audit.services import record
from backend.errors import BadInput, WrongState
from backend.reading.checks import merged, slices_of
from backend.reading.models import Reading
from backend.reading.services.announcing import case_changed, to_reading, worklist_changed
from backend.reading.services.changes import require_open, require_reader
from backend.reading.services.guards import lock_case, lock_reading, refresh_stage, step
from backend.reading.vocabulary import PLANES
from backend.reading.workflow import ReadingAction, ReadingState

LONGEST_REPORT_SECONDS = 600.0
LARGEST_RESUME = 20_000


@transaction.atomic
def open_reading(*, reading: Reading, user: User) -> Reading:
    """Begin a reading (its reader, for the first time or after a hold)."""
    case = lock_case(reading.case_id)
    reading = lock_reading(reading.pk)
    require_reader(reading, user)
    step(reading, ReadingAction.OPEN)
    reading.opened_at = reading.opened_at or timezone.now()
    reading.save(update_fields=["state", "opened_at"])
    refresh_stage(case)
    record(
        "reading.opened",
        reading,
        actor=user,
        chain=case.chain,
        news=[*worklist_changed([reading]), case_changed(case)],
        slot=reading.slot,
        arm=reading.arm,
        base=reading.base.hash,
    )
    return reading


@transaction.atomic
def take_lease(*, reading: Reading, user: User, client: UUID, take_over: bool) -> UUID:
    """Make `client` the one writer; opens the reading if it was only assigned.

    The same client asking again gets the lease it has.
    """
    require_reader(reading, user)
    if reading.state == ReadingState.ASSIGNED:
        lock_case(reading.case_id)
        if lock_reading(reading.pk).state == ReadingState.ASSIGNED:  # Not by another window.
            open_reading(reading=reading, user=user)
    reading = lock_reading(reading.pk)
    require_open(reading)
    if reading.lease is not None and reading.lease_client == client:
        return reading.lease
    if reading.lease is not None and not take_over:
        raise WrongState(
            "LEASE_HELD",
            "This reading is being written in another window.",
            "Continue here to take it over; the other window becomes read-only.",
            possible=["take_over"],
            holder=reading.reader.shown_name,
        )
    taken_over = reading.lease is not None
    reading.lease, reading.lease_client = uuid4(), client
    reading.lease_taken_at = timezone.now()
    reading.save(update_fields=["lease", "lease_client", "lease_taken_at"])
    told = {"holder": reading.reader.shown_name, "client": str(client)}
    record(
        "reading.lease_taken",
        reading,
        actor=user,
        chain=reading.case.chain,
        news=[to_reading(reading, "lease.taken", told)],
        client=str(client),
        taken_over=taken_over,
    )
    return reading.lease


@transaction.atomic
def note_seen(
    *,
    reading: Reading,
    user: User,
    plane: str,
    ranges: list[list[int]],
    active_seconds: float,
    resume: dict[str, Any] | None,
) -> Reading:
    """Add to what was on screen and for how long. No version and no event: submit records it."""
    if plane not in PLANES:
        raise BadInput("BAD_PLANE", f"A plane is one of {', '.join(PLANES)}.", "Name one of them.")
    reading = lock_reading(reading.pk)
    require_reader(reading, user)
    require_open(reading)
    total = slices_of(plane, reading.case.grid.shape)
    for pair in ranges:
        if len(pair) != 2 or not 0 <= pair[0] <= pair[1] < total:
            raise BadInput(
                "BAD_RANGE",
                f"{pair} is no range of the {total} {plane} slices.",
                "Send first and last slice of each range, counted from 0, both included.",
            )
    reading.seen = {**reading.seen, plane: merged([*reading.seen.get(plane, []), *ranges])}
    reading.active_seconds += min(max(active_seconds, 0.0), LONGEST_REPORT_SECONDS)
    fields = ["seen", "active_seconds"]
    if resume is not None and len(str(resume)) <= LARGEST_RESUME:
        reading.resume = resume
        fields.append("resume")
    reading.save(update_fields=fields)
    return reading
