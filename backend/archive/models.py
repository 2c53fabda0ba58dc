"""What the archive holds: studies, series, instances; and every file it would not take."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

IMAGE_MODALITIES = ("CT", "MR", "PT")
UID_LENGTH = 64


class Study(models.Model):
    """One examination of one patient, as its images describe it.

    The patient's name, number and birth date stand here and nowhere else; only who may upload
    sees them (`backend.archive.identity`).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    uid = models.CharField(max_length=UID_LENGTH, unique=True)
    date = models.DateField(null=True)
    time = models.CharField(max_length=16, blank=True)
    description = models.CharField(max_length=256, blank=True)
    study_id = models.CharField(max_length=64, blank=True)
    accession_number = models.CharField(max_length=64, blank=True)
    referring_physician = models.CharField(max_length=256, blank=True)
    patient_id = models.CharField(max_length=256, blank=True)
    patient_name = models.CharField(max_length=512, blank=True)
    patient_birth_date = models.DateField(null=True)
    patient_sex = models.CharField(max_length=16, blank=True)
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-date", "uid")
        verbose_name_plural = "studies"
        indexes = (
            models.Index(fields=["-date", "uid"], name="studies_as_listed"),
            models.Index(fields=["patient_id"]),
        )

    def __str__(self) -> str:
        return self.uid


class VolumeState(models.TextChoices):
    """What the judgement of a series' geometry said."""

    PENDING = "pending"
    VOLUME = "volume"
    QUARANTINED = "quarantined"
    SET_ASIDE = "set_aside"


class Derivation(models.TextChoices):
    """What is made of a series that cannot be read as it came, but can without loss."""

    FRAMES = "frames", "single frames"
    STACK = "stack", "the stack alone"
    TILT = "tilt", "sheared straight"


class Series(models.Model):
    """One series; a volume when its slices stack straight, evenly and without gaps."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    uid = models.CharField(max_length=UID_LENGTH, unique=True)
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="series")
    modality = models.CharField(max_length=16, blank=True)
    description = models.CharField(max_length=256, blank=True)
    number = models.IntegerField(null=True)
    date = models.DateField(null=True)
    time = models.CharField(max_length=16, blank=True)
    frame_of_reference_uid = models.CharField(max_length=UID_LENGTH, blank=True)

    # What a protocol asks of a series.
    body_part = models.CharField(max_length=64, blank=True)
    image_type = models.JSONField(default=list)
    contrast = models.BooleanField(default=False)
    contrast_agent = models.CharField(max_length=256, blank=True)
    slice_thickness_mm = models.FloatField(null=True)
    patient_age_years = models.PositiveSmallIntegerField(null=True)
    manufacturer = models.CharField(max_length=128, blank=True)
    station_model = models.CharField(max_length=128, blank=True)
    kernel = models.CharField(max_length=128, blank=True)

    # Only images of CT, MR or PET; SEG, SR, RTSTRUCT and screenshots are kept and served, not read.
    is_image = models.BooleanField(default=False)
    volume_state = models.CharField(
        max_length=16, choices=VolumeState.choices, default=VolumeState.PENDING
    )
    volume_code = models.CharField(max_length=40, blank=True)
    volume_reason = models.TextField(blank=True)
    grid = models.JSONField(null=True)
    geometry_hash = models.CharField(max_length=64, blank=True)
    bound = models.BooleanField(default=False)
    # The series this one was made of, and how; on a source, what is (or was) made of it.
    derived_from = models.ForeignKey(
        "self", null=True, on_delete=models.PROTECT, related_name="derived"
    )
    derivation = models.CharField(max_length=16, blank=True, choices=Derivation)
    received_at = models.DateTimeField()
    judged_at = models.DateTimeField(null=True)

    # The gzipped metadata of all instances, in the content store; "" until asked for.
    metadata_blob = models.CharField(max_length=64, blank=True)
    metadata_blob_unnamed = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ("study", "number", "uid")
        verbose_name_plural = "series"
        indexes = (models.Index(fields=["volume_state", "received_at"]),)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(volume_state__in=VolumeState.values),
                name="series_volume_state_known",
            ),
            models.CheckConstraint(
                condition=~models.Q(volume_state=VolumeState.VOLUME)
                | (models.Q(grid__isnull=False) & ~models.Q(geometry_hash="")),
                name="a_volume_has_a_grid",
            ),
            models.CheckConstraint(
                condition=~models.Q(volume_state__in=["quarantined", "set_aside"])
                | (~models.Q(volume_code="") & ~models.Q(volume_reason="")),
                name="no_verdict_without_reason",
            ),
            models.CheckConstraint(
                # A source is bound with the series that was made of it.
                condition=models.Q(bound=False)
                | models.Q(volume_state=VolumeState.VOLUME)
                | (models.Q(volume_state=VolumeState.SET_ASIDE) & ~models.Q(derivation="")),
                name="only_volumes_are_bound",
            ),
        )

    def __str__(self) -> str:
        return self.uid

    @property
    def study_uid(self) -> str:
        """The study's UID."""
        return self.study.uid


class Door(models.TextChoices):
    """How files came in."""

    RECEIVE = "receive"
    UPLOAD = "upload"
    STOW = "stow"
    DIMSE = "dimse"
    PULL = "pull"
    DERIVED = "derived"


class Source(models.Model):
    """Where files come from: a sender, a person, a page. Whether it is de-identified is said here.

    One that is not known yet is made when it first sends, and de-identifies. Who changed that,
    when and why stands in the audit log.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    door = models.CharField(max_length=16, choices=Door.choices)
    name = models.CharField(max_length=120)
    deidentify = models.BooleanField(default=True)
    # Who gives out its Patient IDs, for files that do not say so (Issuer of Patient ID).
    issuer = models.CharField(max_length=120, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("door", "name")
        constraints = (
            models.UniqueConstraint(fields=("door", "name"), name="one_source_of_a_name_by_a_door"),
        )

    def __str__(self) -> str:
        return f"{self.door} {self.name}"


class Receipt(models.Model):
    """One batch of files: where it came from and what became of it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.CharField(max_length=120)
    door = models.CharField(max_length=16, choices=Door.choices)
    origin = models.ForeignKey(Source, null=True, on_delete=models.PROTECT, related_name="receipts")
    # As the source was when the batch began; it holds to the batch's end.
    deidentified = models.BooleanField(default=False)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    started_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(null=True)
    stored = models.PositiveIntegerField(default=0)
    already_here = models.PositiveIntegerField(default=0)
    kept_aside = models.PositiveIntegerField(default=0)
    ignored = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("-started_at",)

    def __str__(self) -> str:
        return f"{self.source} {self.started_at:%Y-%m-%d %H:%M}"

    @property
    def total(self) -> int:
        """How many files were seen."""
        return self.stored + self.already_here + self.kept_aside + self.ignored


class Instance(models.Model):
    """One DICOM object: its bytes in the content store, its header here."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    series = models.ForeignKey(Series, on_delete=models.PROTECT, related_name="instances")
    receipt = models.ForeignKey(Receipt, on_delete=models.PROTECT, related_name="instances")
    sop_uid = models.CharField(max_length=UID_LENGTH, unique=True)
    sop_class_uid = models.CharField(max_length=UID_LENGTH)
    number = models.IntegerField(null=True)
    transfer_syntax = models.CharField(max_length=UID_LENGTH)
    blob = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    received_at = models.DateTimeField(auto_now_add=True)

    rows = models.PositiveIntegerField(null=True)
    columns = models.PositiveIntegerField(null=True)
    frames = models.PositiveIntegerField(default=0)
    # Where the pixels lie in the blob when they are native little-endian; else null: decode.
    pixel_offset = models.PositiveBigIntegerField(null=True)
    frame_bytes = models.PositiveBigIntegerField(null=True)
    # DICOM JSON without bulk values; `imaging.dicom.SliceFacts` as JSON; how to read the pixels.
    metadata: models.JSONField[Any, Any] = models.JSONField(encoder=DjangoJSONEncoder)
    geometry: models.JSONField[Any, Any] = models.JSONField(default=dict)
    pixels: models.JSONField[Any, Any] = models.JSONField(default=dict)

    class Meta:
        ordering = ("series", "number", "sop_uid")

    def __str__(self) -> str:
        return self.sop_uid


class Review(models.TextChoices):
    """What someone decided who looked at what no rule can clean."""

    WAITING = "waiting"
    RELEASED = "released"
    DISCARDED = "discarded"


class KeptAside(models.Model):
    """One file that was not taken, why, and what to do about it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    receipt = models.ForeignKey(Receipt, on_delete=models.PROTECT, related_name="kept")
    name = models.CharField(max_length=512)
    code = models.CharField(max_length=40)
    message = models.TextField()
    cure = models.TextField()
    sop_uid = models.CharField(max_length=UID_LENGTH, blank=True)
    series_uid = models.CharField(max_length=UID_LENGTH, blank=True)
    # The bytes, where they are DICOM; "" otherwise. Originals of a source that is de-identified
    # are not here but sealed in the store of links, their names too (`name` is then a label).
    blob = models.CharField(max_length=64, blank=True)
    sealed = models.BooleanField(default=False)
    review = models.CharField(max_length=16, choices=Review.choices, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-at", "name")
        verbose_name_plural = "kept aside"
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["code"]),
            models.Index(fields=["series_uid"]),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.message}"
