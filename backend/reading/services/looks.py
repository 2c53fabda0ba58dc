"""Looks that leave a trace: an administrator may see a reading, and it is on record."""

from __future__ import annotations

from django.db import transaction

from backend.accounts.models import User
from backend.audit.services import record
from backend.reading.models import Case, Reading


@transaction.atomic
def note_look(*, user: User, case: Case, reading: Reading | None = None, what: str) -> None:
    """Record that an administrator looked; who reads or oversees by role leaves none."""
    if not user.is_superuser or (reading is not None and reading.reader_id == user.pk):
        return
    record("admin.looked", reading or case, actor=user, chain=case.chain, what=what)
