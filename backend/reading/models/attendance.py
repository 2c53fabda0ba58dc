"""Who has a consensus open now. No record of anything: a row goes when its line ends."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from backend.reading.models.settling import Consensus, Discrepancy
from backend.reading.vocabulary import Phase


class Attendance(models.Model):
    """One open line to a consensus, and what the person at its end looks at.

    `seen` is the line's last sign of life: a process that was killed leaves rows behind, which
    count as gone after a while.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    consensus = models.ForeignKey(Consensus, on_delete=models.CASCADE, related_name="attendances")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    phase = models.CharField(max_length=8, choices=Phase.choices)
    discrepancy = models.ForeignKey(
        Discrepancy, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    node = models.PositiveIntegerField(null=True, blank=True)
    moved = models.DateTimeField()
    seen = models.DateTimeField()

    def __str__(self) -> str:
        """Who, and where."""
        return f"{self.user_id} at {self.consensus_id}, {self.phase}"
