"""Reports and exports: files made once from what was signed, named by the hash of their bytes."""

from __future__ import annotations

import uuid
from typing import Any, cast

from django.conf import settings
from django.db import models
from django.db.models import Q

from backend.audit.models import WriteOnce
from backend.jobs.models import ModelVersion
from backend.reading.models import Case, Consensus, Project, Reading
from backend.reports.releases.models import Release, ReleaseItem, ReleaseState
from backend.reports.training.models import Curve, Training, TrainingPoint

__all__ = [
    "Curve",
    "Export",
    "ExportFormat",
    "ExportState",
    "ModelComparison",
    "Record",
    "RecordEvent",
    "Release",
    "ReleaseItem",
    "ReleaseState",
    "Report",
    "Training",
    "TrainingPoint",
]


class ExportState(models.TextChoices):
    """How far an export is. Only a ready one has a file."""

    QUEUED = "queued"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"


class Report(models.Model):
    """One case report: made once by the work process, then never changed.

    `manifest` says what it is made of: the head of the case's chain, the time that is printed, who
    asked, the code's version. `files` maps the names of `case_report.FILES` to the hashes of their
    bytes. A `sealed` one tells of a comparison or of evidence, and is for those who audit.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="reports")
    state = models.CharField(
        max_length=8, choices=ExportState.choices, default=ExportState.QUEUED.value
    )
    progress = models.FloatField(default=0.0)
    message = models.TextField(blank=True)
    sealed = models.BooleanField(default=True)
    manifest = models.JSONField(default=dict, blank=True)
    files = models.JSONField(default=dict, blank=True)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    created = models.DateTimeField(auto_now_add=True)
    touched = models.DateTimeField(auto_now_add=True)
    finished = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created",)
        constraints = (
            models.CheckConstraint(
                condition=Q(state__in=ExportState.values), name="report_state_known"
            ),
            models.CheckConstraint(
                condition=~Q(state=ExportState.READY.value) | ~Q(files={}),
                name="a_ready_report_has_files",
            ),
            models.CheckConstraint(
                condition=~Q(state=ExportState.FAILED.value) | ~Q(message=""),
                name="a_failed_report_says_why",
            ),
        )

    def __str__(self) -> str:
        return f"report {self.pk}"


class ModelComparison(models.Model):
    """Two models held against each other on some cases of a project: what each of them marks there.

    Waits (`queued`) until a run of either has ended on every case, then the work process measures.
    `cases` are ids; `release` says which versions of their consensus are the truth, null where none
    is released; `result` holds `cases` (of each `model_differences.difference_of`), `summary`
    and `left_out`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="+")
    first = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    second = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    cases = models.JSONField(default=list)
    release = models.ForeignKey(
        "reports.Release", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    state = models.CharField(
        max_length=8, choices=ExportState.choices, default=ExportState.QUEUED.value
    )
    message = models.TextField(blank=True)
    result = models.JSONField(default=dict, blank=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    created = models.DateTimeField(auto_now_add=True)
    touched = models.DateTimeField(auto_now_add=True)
    finished = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created",)
        constraints = (
            models.CheckConstraint(
                condition=Q(state__in=ExportState.values), name="model_comparison_state_known"
            ),
            models.CheckConstraint(
                condition=~Q(state=ExportState.READY.value) | ~Q(result={}),
                name="a_ready_model_comparison_has_a_result",
            ),
            models.CheckConstraint(
                condition=~Q(state=ExportState.FAILED.value) | ~Q(message=""),
                name="a_failed_model_comparison_says_why",
            ),
            models.CheckConstraint(
                condition=~Q(first=models.F("second")), name="two_different_models_are_compared"
            ),
        )

    def __str__(self) -> str:
        return f"{self.first} beside {self.second}"


class Record(models.Model):
    """The record of a case that came from elsewhere: its events as they were stored there."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    chain = models.CharField(max_length=64, unique=True)
    label = models.CharField(max_length=64)
    position = models.BigIntegerField()
    head = models.CharField(max_length=64)
    sha256 = models.CharField(max_length=64)
    imported = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("imported",)

    def __str__(self) -> str:
        return f"record of {self.label}"


class RecordEvent(models.Model):
    """One event of an imported record: `line` is `record.events.to_line`. Write-once."""

    record = models.ForeignKey(Record, on_delete=models.PROTECT, related_name="events")
    position = models.BigIntegerField()
    action = models.CharField(max_length=64)
    subject_id = models.CharField(max_length=64, db_index=True)
    line = models.TextField()

    objects = WriteOnce.as_manager()

    class Meta:
        ordering = ("position",)
        constraints = (
            models.UniqueConstraint(
                fields=["record", "position"], name="one_imported_event_per_position"
            ),
        )

    def __str__(self) -> str:
        return f"{self.position} {self.action}"


class ExportFormat(models.TextChoices):
    """What can be written of something signed; a table only of a consensus."""

    SEG = "seg", "DICOM Segmentation"
    NIFTI = "nifti", "NIfTI"
    CSV = "csv", "Table (CSV)"


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
