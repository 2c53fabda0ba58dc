"""Reports and exports: files made once from what was signed, named by the hash of their bytes."""

from __future__ import annotations

import uuid
from typing import Any, cast

from django.conf import settings
from django.db import models
from django.db.models import Q

from backend.reading.models import Case, Consensus, Reading


class Report(models.Model):
    """One case report: its manifest, and the blobs of its document and its page.

    `manifest` names all that went in: masks, images and facts by hash, the chain's head, the
    code's version, and the time that is printed. The same manifest gives the same bytes.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="reports")
    reading = models.ForeignKey(Reading, on_delete=models.PROTECT, related_name="reports")
    manifest = models.JSONField()
    document_blob = models.CharField(max_length=64)
    html_blob = models.CharField(max_length=64)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    created = models.DateTimeField()

    class Meta:
        ordering = ("-created",)

    def __str__(self) -> str:
        return f"report {self.pk}"


class ExportFormat(models.TextChoices):
    """What can be written of something signed; a table only of a consensus."""

    SEG = "seg", "DICOM Segmentation"
    NIFTI = "nifti", "NIfTI"
    CSV = "csv", "Table (CSV)"


class ExportState(models.TextChoices):
    """How far an export is. Only a ready one has a file."""

    QUEUED = "queued"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"


class Export(models.Model):
    """One file of a signed reading or of a published consensus, read back before it is handed out.

    `sidecar_blob` holds what a file cannot say of itself (the labels of a NIfTI's numbers);
    `touched` is when its maker last said something.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    reading = models.ForeignKey(
        Reading, null=True, blank=True, on_delete=models.PROTECT, related_name="exports"
    )
    consensus = models.ForeignKey(
        Consensus, null=True, blank=True, on_delete=models.PROTECT, related_name="exports"
    )
    format = models.CharField(max_length=8, choices=ExportFormat.choices)
    state = models.CharField(
        max_length=8, choices=ExportState.choices, default=ExportState.QUEUED.value
    )
    progress = models.FloatField(default=0.0)
    message = models.TextField(blank=True)
    mask_hash = models.CharField(max_length=64)
    blob = models.CharField(max_length=64, blank=True)
    sidecar_blob = models.CharField(max_length=64, blank=True)
    size = models.PositiveBigIntegerField(default=0)
    filename = models.CharField(max_length=120, blank=True)
    verification = models.JSONField(default=dict, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    created = models.DateTimeField(auto_now_add=True)
    touched = models.DateTimeField(auto_now_add=True)
    finished = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created",)
        constraints = (
            models.CheckConstraint(
                condition=Q(state__in=ExportState.values), name="export_state_known"
            ),
            models.CheckConstraint(
                condition=Q(format__in=ExportFormat.values), name="export_format_known"
            ),
            models.CheckConstraint(
                condition=~Q(state=ExportState.READY.value)
                | (~Q(blob="") & ~Q(filename="") & Q(verification__equal=True)),
                name="a_ready_export_was_verified",
            ),
            models.CheckConstraint(
                condition=~Q(state=ExportState.FAILED.value) | (~Q(message="") & Q(blob="")),
                name="a_failed_export_says_why_and_has_no_file",
            ),
            models.CheckConstraint(
                condition=Q(reading__isnull=True) ^ Q(consensus__isnull=True),
                name="an_export_is_of_one_thing",
            ),
            models.CheckConstraint(
                condition=~Q(format=ExportFormat.CSV.value) | Q(consensus__isnull=False),
                name="only_a_consensus_has_a_table",
            ),
        )

    def __str__(self) -> str:
        return f"{self.format} of {self.consensus or self.reading}"

    @property
    def source(self) -> Reading | Consensus:
        """What the file is made of."""
        return cast("Reading | Consensus", self.consensus or self.reading)

    @property
    def case(self) -> Case:
        """The case it belongs to."""
        return self.source.case

    @property
    def named(self) -> str:
        """What it is made of, in short: the slot of a reading, the version of a consensus."""
        if self.consensus is not None:
            return f"consensus {self.consensus.version}"
        return self.reading.slot if self.reading is not None else ""

    @property
    def told(self) -> dict[str, Any]:
        """What it is made of, for the log and for programs."""
        if self.consensus_id is not None:
            return {"consensus": str(self.consensus_id)}
        return {"reading": str(self.reading_id)}
