"""Registration of two frames of reference: where they differ, the reader says how one lies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from uuid import UUID

from django.db import transaction

from backend.accounts.models import User
from backend.audit.services import record
from backend.errors import BadInput, WrongState
from backend.reading.beside_selectors import REGISTERED, Beside
from backend.reading.models import Reading
from backend.reading.services.announcing import to_reading
from backend.reading.services.changes import require_lease, require_open, require_reader
from backend.reading.services.guards import lock_reading

FARTHEST_MM = 3000.0


@transaction.atomic
def confirm_registration(
    *, reading: Reading, user: User, lease: UUID | None, beside: Beside, offset_mm: Sequence[float]
) -> None:
    """Put on record that a shift lays another series over the one that is read.

    `offset_mm` is a shift in LPS: a position of the images read, plus it, is the same place in the
    other series. The last one confirmed counts.

    Raises:
        WrongState: when both series share one frame of reference (nothing is to be confirmed), or
            the reading is not the caller's to write now.
    """
    reading = lock_reading(reading.pk)
    require_reader(reading, user)
    require_open(reading)
    require_lease(reading, lease)
    if beside.same_frame:
        raise WrongState(
            "SAME_FRAME",
            "Both series lie in one frame of reference; the scanner says how.",
            "Lay them beside each other as they are.",
        )
    offset = [round(float(value), 2) for value in offset_mm]
    if len(offset) != 3 or not all(math.isfinite(v) and abs(v) <= FARTHEST_MM for v in offset):
        raise BadInput(
            "BAD_OFFSET",
            "`offset_mm` is not a shift within a person.",
            f"Send three numbers of at most {FARTHEST_MM:.0f} mm.",
        )
    record(
        REGISTERED,
        reading,
        actor=user,
        chain=reading.case.chain,
        news=[to_reading(reading, "registration.confirmed", {"series": str(beside.series.pk)})],
        series=str(beside.series.pk),
        series_uid=beside.series.uid,
        modality=beside.series.modality,
        days=beside.days,
        offset_mm=offset,
    )
