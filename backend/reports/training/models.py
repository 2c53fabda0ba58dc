"""A training: which release it learns from, which model it goes on from, and what became of it."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from backend.jobs.models import ModelVersion, Run
from backend.reports.releases.models import Release


class Curve(models.TextChoices):
    """Which curve a point lies on."""

    TRAINING = "training"
    VALIDATION = "validation"


class Training(models.Model):
    """One training; its run says how it goes.

    Attributes:
        parent: whose description the new version takes over, and whose weights it begins with.
        version: what the new version is called; its name is the parent's.
        plan: minutes (of processor time), threads, seed.
        weights: the blob of the run that succeeded.
        looked_in: the attempt in which the people held out were last shown to it; 0: in none.
        model: what it became; None until it is registered, or where that failed (`fault`).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="trainings")
    parent = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="trainings")
    run = models.OneToOneField(Run, null=True, on_delete=models.PROTECT, related_name="training")
    version = models.CharField(max_length=40)
    plan = models.JSONField(default=dict)
    weights = models.CharField(max_length=64, blank=True, default="")
    looked_in = models.PositiveIntegerField(default=0)
    model = models.OneToOneField(
        ModelVersion, null=True, on_delete=models.PROTECT, related_name="made_by"
    )
    fault = models.TextField(blank=True, default="")
    created = models.DateTimeField(auto_now_add=True)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        ordering = ("-created",)

    def __str__(self) -> str:
        return f"{self.parent.name} {self.version}"


class TrainingPoint(models.Model):
    """One point of a curve: after so many steps and seconds, the loss, and what else was measured.

    `figures` are scores against what readers agreed on, and shown to whom that may be shown.
    """

    training = models.ForeignKey(Training, on_delete=models.CASCADE, related_name="points")
    curve = models.CharField(max_length=12, choices=Curve.choices)
    step = models.PositiveIntegerField()
    seconds = models.FloatField()
    loss = models.FloatField()
    figures = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("step",)
        constraints = (
            models.UniqueConstraint(
                fields=["training", "curve", "step"], name="one_point_per_curve_and_step"
            ),
            models.CheckConstraint(condition=Q(curve__in=Curve.values), name="curve_is_known"),
        )

    def __str__(self) -> str:
        return f"{self.curve} at step {self.step}"
