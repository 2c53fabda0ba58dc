"""Models that can run, the runs, their attempts, and the workers that take them."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from backend.accounts.models import WorkerToken
from backend.jobs.model_description import description_hash
from backend.jobs.protocol import LIVE, MAX_ATTEMPTS, RunKind, RunState

LIVE_STATES = sorted(state.value for state in LIVE)
# Of a run that may still end one way or the other.
UNDERWAY_STATES = sorted([RunState.QUEUED.value, *LIVE_STATES])


class ModelVersion(models.Model):
    """One version of one model, known by the hashes of its files.

    It takes runs once every file's hash matched (`verified`), until one does not (`fault`) or it
    is retired. `checked` is `{file: {"state", "sha256", "bytes"}}` of the last verification, of
    which `checking` is the share done while it goes on. `trusted` lets a worker run a bundle's own
    code; an administrator says so, with a reason.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120)
    version = models.CharField(max_length=40)
    kind = models.CharField(max_length=40)
    manifest = models.JSONField()
    sha256 = models.CharField(max_length=64)
    folder = models.CharField(max_length=200)
    notice = models.TextField(blank=True)
    is_default = models.BooleanField(default=False)
    registered = models.DateTimeField(auto_now_add=True)
    retired = models.DateTimeField(null=True)
    verified = models.DateTimeField(null=True)
    fault = models.TextField(blank=True)
    checked = models.JSONField(default=dict, blank=True)
    checking = models.FloatField(null=True)
    trusted = models.BooleanField(default=False)
    trust_reason = models.TextField(blank=True)

    class Meta:
        ordering = ("name", "registered")
        constraints = (
            models.UniqueConstraint(
                fields=["name", "version", "sha256"], name="one_row_per_model_version"
            ),
            models.UniqueConstraint(
                fields=["is_default"], condition=Q(is_default=True), name="one_default_model"
            ),
            models.CheckConstraint(
                condition=Q(is_default=False) | Q(retired=None), name="default_model_not_retired"
            ),
            models.CheckConstraint(
                condition=Q(fault="") | Q(verified=None), name="verified_model_has_no_fault"
            ),
            models.CheckConstraint(
                condition=Q(trusted=False) | ~Q(trust_reason=""), name="trust_has_a_reason"
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def description(self) -> str:
        """The hash of all that its model.json said when it was registered."""
        return description_hash(self.manifest)

    @property
    def files(self) -> dict[str, str]:
        """File → SHA-256, as model.json named them; none where it was kept with something else."""
        files = self.manifest.get("files")
        if not isinstance(files, dict):
            return {}
        return {name: digest for name, digest in files.items() if isinstance(digest, str)}

    @property
    def named(self) -> dict[str, str]:
        """What every record of its work calls it by."""
        return {"name": self.name, "version": self.version, "sha256": self.sha256}


class WorkerSession(models.Model):
    """One worker process, from its first connection on. `number` is its advisory lock.

    `gauge` is what it last said of its machine (`protocol.GAUGE`).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    token = models.ForeignKey(WorkerToken, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=80)
    number = models.BigIntegerField()
    facts = models.JSONField(default=dict)
    gauge = models.JSONField(default=dict, blank=True)
    connected = models.DateTimeField(auto_now_add=True)
    heard = models.DateTimeField()
    gone = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-connected",)

    def __str__(self) -> str:
        return self.name


class Run(models.Model):
    """One job of one model version on one subject; its state is written by services alone."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=20, choices=[(k.value, k.value) for k in RunKind])
    subject_type = models.CharField(max_length=60)
    subject_id = models.UUIDField()
    chain = models.CharField(max_length=64)
    series_id = models.UUIDField()
    series_uid = models.CharField(max_length=64)
    study_uid = models.CharField(max_length=64)
    model = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="runs")
    parameters = models.JSONField(default=dict)

    state = models.CharField(
        max_length=12,
        choices=[(s.value, s.value) for s in RunState],
        default=RunState.QUEUED.value,
    )
    attempt = models.PositiveIntegerField(default=0)
    attempts_allowed = models.PositiveIntegerField(default=MAX_ATTEMPTS)
    leased_by = models.CharField(max_length=80, blank=True)
    progress = models.FloatField(default=0.0)
    stage = models.CharField(max_length=20, blank=True)
    message = models.TextField(blank=True)

    mask_blob = models.CharField(max_length=64, blank=True)
    result = models.JSONField(null=True)
    timings = models.JSONField(default=dict)
    metrics = models.JSONField(default=dict)

    created = models.DateTimeField(auto_now_add=True)
    queued = models.DateTimeField()
    leased = models.DateTimeField(null=True)
    finished = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-created",)
        indexes = (
            models.Index(fields=["state", "created"]),
            models.Index(fields=["subject_type", "subject_id"]),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(state__in=[s.value for s in RunState]), name="run_state_known"
            ),
            models.CheckConstraint(
                condition=Q(progress__gte=0.0) & Q(progress__lte=1.0), name="run_progress_share"
            ),
            models.CheckConstraint(
                condition=~Q(state=RunState.SUCCEEDED.value)
                | (
                    (~Q(mask_blob="") | Q(kind__in=[RunKind.PROMPT.value, RunKind.TRAIN.value]))
                    & Q(result__isnull=False)
                ),
                name="succeeded_run_has_mask_and_result",
            ),
            models.CheckConstraint(
                condition=~Q(state=RunState.DEAD.value) | ~Q(message=""),
                name="dead_run_says_why",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=LIVE_STATES) | Q(attempt__gte=1),
                name="live_run_has_an_attempt",
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def is_live(self) -> bool:
        """Whether a worker holds it now."""
        return self.state in LIVE_STATES


class RunAttempt(models.Model):
    """One worker's try at a run. Its lease token (kept as a hash) is good until it ends.

    `weights_blob` names what a training put; from then on it can be changed no more.
    """

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    lease_digest = models.CharField(max_length=64, unique=True)
    session = models.ForeignKey(WorkerSession, null=True, on_delete=models.PROTECT)
    worker = models.CharField(max_length=80)
    job = models.BigIntegerField(null=True)
    stage = models.CharField(max_length=20, blank=True)
    mask_blob = models.CharField(max_length=64, blank=True)
    weights_blob = models.CharField(max_length=64, blank=True, default="")
    result = models.JSONField(null=True)
    leased = models.DateTimeField()
    ended = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=12, blank=True)
    message = models.TextField(blank=True)

    class Meta:
        ordering = ("number",)
        constraints = (
            models.UniqueConstraint(fields=["run", "number"], name="one_attempt_per_number"),
            models.UniqueConstraint(
                fields=["run"], condition=Q(ended=None), name="one_live_attempt_per_run"
            ),
        )

    def __str__(self) -> str:
        return f"{self.run_id} attempt {self.number}"
