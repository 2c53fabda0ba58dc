"""When the content store was verified, and what was found."""

from __future__ import annotations

import uuid

from django.db import models


class ContentCheck(models.Model):
    """One run of `manage.py verify_store`. Its event holds the names of what was wrong."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(auto_now_add=True)
    repair = models.BooleanField(default=False)
    holds = models.BooleanField()
    blobs = models.PositiveBigIntegerField()
    size = models.PositiveBigIntegerField()
    # How many were hashed again; fewer than `blobs` where it was to be quick.
    hashed = models.PositiveBigIntegerField()
    damaged = models.PositiveIntegerField()
    missing = models.PositiveIntegerField()
    orphans = models.PositiveIntegerField()
    leftovers = models.PositiveIntegerField()

    class Meta:
        ordering = ("-at",)

    def __str__(self) -> str:
        return f"content check {self.at:%Y-%m-%d %H:%M}"
