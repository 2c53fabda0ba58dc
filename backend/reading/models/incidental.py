"""What a reader saw that the study does not ask for, and who took it up."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from backend.errors import LONGEST_REASON
from backend.reading.models.readings import Reading


class IncidentalFinding(models.Model):
    """One finding apart from the study's data: in no mask, no report and no record of the case.

    `slice_index` is the axial slice it was seen on, counted from the feet; None where none was
    named. The database changes nothing of it but that it is taken up, once.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    reading = models.ForeignKey(Reading, on_delete=models.PROTECT, related_name="incidentals")
    words = models.CharField(max_length=LONGEST_REASON)
    slice_index = models.PositiveIntegerField(null=True, blank=True)
    reported_at = models.DateTimeField(auto_now_add=True)
    taken_up_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    taken_up_at = models.DateTimeField(null=True, blank=True)
    taken_up_words = models.CharField(max_length=LONGEST_REASON, blank=True)

    class Meta:
        ordering = ("reported_at",)
        constraints = (
            models.CheckConstraint(
                condition=Q(taken_up_by=None, taken_up_at=None, taken_up_words="")
                | Q(taken_up_by__isnull=False, taken_up_at__isnull=False) & ~Q(taken_up_words=""),
                name="incidental_is_taken_up_whole",
            ),
        )

    def __str__(self) -> str:
        """The reading it was seen in, and whether it waits."""
        return f"{self.reading_id}: {'taken up' if self.taken_up_at else 'waits'}"
