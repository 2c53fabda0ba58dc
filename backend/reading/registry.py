"""What rooms above add to the reading room. Filled in their `AppConfig.ready()`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from backend.accounts.models import User
    from backend.reading.models import Reading

ReportLinks = Callable[["User", Sequence["Reading"]], dict[UUID, str]]

# Asked for the addresses of the reports a user may open, by reading.
report_links: list[ReportLinks] = []
# Called as `(reading)` inside the transaction that submitted it.
on_reading_submitted: list[Callable[[Reading], None]] = []
