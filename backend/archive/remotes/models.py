"""Other archives that images are pulled from and pushed to, and each transfer."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from backend.archive.remotes.lifecycle import OPEN, TransferState
from backend.archive.remotes.sealing import unseal


class SignIn(models.TextChoices):
    """How Concord signs in to a remote."""

    NONE = "none", "Without signing in"
    BASIC = "basic", "User name and password"
    BEARER = "bearer", "Token"


class Remote(models.Model):
    """A DICOMweb service that an administrator named.

    `secret` is encrypted and never shown. A removed remote stays for its transfers' sake, without
    its secret; its name may be given again.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(max_length=40)
    url = models.CharField(max_length=400)
    sign_in = models.CharField(max_length=8, choices=SignIn.choices, default=SignIn.NONE.value)
    username = models.CharField(max_length=120, blank=True)
    secret = models.TextField(blank=True)
    verify_tls = models.BooleanField(default=True)
    # Certificates (PEM) to trust besides the well-known ones.
    ca_certificates = models.TextField(blank=True)
    created = models.DateTimeField(auto_now_add=True)
    removed = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(
                fields=["name"], condition=Q(removed=None), name="one_remote_of_a_name"
            ),
            models.CheckConstraint(
                condition=Q(sign_in__in=SignIn.values), name="remote_sign_in_known"
            ),
            models.CheckConstraint(
                condition=Q(removed=None) | Q(secret=""), name="a_removed_remote_has_no_secret"
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def password(self) -> str:
        """The password or token in the clear, "" where there is none; raises `CannotUnseal`."""
        return str(unseal(self.secret)) if self.secret else ""


class Direction(models.TextChoices):
    """Which way the images go."""

    PULL = "pull"
    PUSH = "push"


class Asked(models.Model):
    """What was asked for, encrypted: UIDs and dates of a remote would undo de-identification."""

    sealed = models.TextField()

    class Meta:
        abstract = True

    @property
    def asked(self) -> dict[str, Any]:
        """In the clear; raises `CannotUnseal`."""
        found: dict[str, Any] = unseal(self.sealed)
        return found


class Transfer(Asked):
    """Images fetched from a remote, or sent to it: one request, done by the work process.

    `asked` says what the remote calls the study, and what of it is wanted. `attempt` counts the
    processes that began it; whatever an earlier one still writes is refused.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    remote = models.ForeignKey(Remote, on_delete=models.PROTECT, related_name="transfers")
    direction = models.CharField(max_length=8, choices=Direction.choices)
    state = models.CharField(
        max_length=12,
        choices=[(s.value, s.value) for s in TransferState],
        default=TransferState.QUEUED.value,
    )
    attempt = models.PositiveIntegerField(default=0)
    lost = models.PositiveIntegerField(default=0)
    message = models.TextField(blank=True)
    cure = models.TextField(blank=True)
    # What the remote or the archive would not take: [{"name", "message"}], some of them.
    refusals: models.JSONField[Any, Any] = models.JSONField(default=list, blank=True)
    refused = models.PositiveIntegerField(default=0)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    created = models.DateTimeField(auto_now_add=True)
    touched = models.DateTimeField(auto_now_add=True)
    finished = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created",)
        indexes = (models.Index(fields=["state"]), models.Index(fields=["remote", "-created"]))
        constraints = (
            models.CheckConstraint(
                condition=Q(state__in=[s.value for s in TransferState]),
                name="transfer_state_known",
            ),
            models.CheckConstraint(
                condition=Q(direction__in=Direction.values), name="transfer_direction_known"
            ),
            models.CheckConstraint(
                condition=~Q(state=TransferState.FAILED.value) | ~Q(message=""),
                name="a_failed_transfer_says_why",
            ),
            models.CheckConstraint(
                condition=Q(state__in=sorted(s.value for s in OPEN)) ^ Q(finished__isnull=False),
                name="an_ended_transfer_has_its_time",
            ),
        )

    def __str__(self) -> str:
        return f"{self.direction} {self.pk}"


class TransferSeries(Asked):
    """One series of a transfer: how many images it has, how many of them were moved or there.

    `asked` says what the remote, or this archive, calls it. A pull has a batch of files (`receipt`)
    for each series; they end when all of them are whole.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    transfer = models.ForeignKey(Transfer, on_delete=models.CASCADE, related_name="series")
    position = models.PositiveIntegerField()
    expected = models.PositiveIntegerField(null=True)
    moved = models.PositiveIntegerField(default=0)
    there = models.PositiveIntegerField(default=0)
    whole = models.BooleanField(default=False)
    receipt = models.ForeignKey(
        "archive.Receipt", null=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        ordering = ("transfer", "position")
        verbose_name_plural = "transfer series"
        constraints = (
            models.UniqueConstraint(
                fields=["transfer", "position"], name="one_transfer_series_per_position"
            ),
        )

    def __str__(self) -> str:
        return f"{self.transfer_id} {self.position}"
