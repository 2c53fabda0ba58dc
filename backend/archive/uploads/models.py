"""What a browser said it would send, and how much of it came: to go on after a break."""

from __future__ import annotations

import uuid

from django.db import models

from backend.archive.models import Receipt


class Upload(models.Model):
    """A batch of the upload page: how much its browser chose, before any of it came."""

    receipt = models.OneToOneField(
        Receipt, primary_key=True, on_delete=models.PROTECT, related_name="upload"
    )
    files = models.PositiveIntegerField(default=0)
    size = models.PositiveBigIntegerField(default=0)
    touched = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"upload {self.receipt_id}"


class UploadedFile(models.Model):
    """One file of an upload: how many bytes lie in the spool, or what became of it.

    `key` is the SHA-256 of name, size, time of change and copy, as the browser says them: what is
    dropped again is known by it. The name itself, which may be a patient's, is not kept; the rows
    go when the batch ends.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    upload = models.ForeignKey(Upload, on_delete=models.PROTECT, related_name="sent")
    key = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    received = models.PositiveBigIntegerField(default=0)
    taken_at = models.DateTimeField(null=True)
    # Once taken: outcome → how many files (a zip holds many); ids of what was kept aside.
    counts = models.JSONField(default=dict)
    kept = models.JSONField(default=list)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["upload", "key"], name="one_row_per_uploaded_file"),
            models.CheckConstraint(
                condition=models.Q(received__lte=models.F("size")),
                name="no_more_received_than_there_is",
            ),
        )

    def __str__(self) -> str:
        return f"file {self.key[:8]}"
