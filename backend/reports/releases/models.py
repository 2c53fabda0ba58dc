"""A release, and the consensuses it lists."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from backend.reading.models import Case, Consensus, Project


class ReleaseState(models.TextChoices):
    """What may still become of a release. Only a draft's list can change."""

    DRAFT = "draft"
    FROZEN = "frozen"
    WITHDRAWN = "withdrawn"


class Release(models.Model):
    """A list of published consensuses; once frozen, for ever the one its hash names.

    `sha256` is the hash of the manifest's canonical JSON, under which it also lies in the store.
    `held_out` is the percentage of people kept for tests alone; `looks` counts how often a model
    was measured on them since.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="releases")
    name = models.CharField(max_length=80)
    state = models.CharField(
        max_length=12, choices=ReleaseState.choices, default=ReleaseState.DRAFT.value
    )
    held_out = models.PositiveSmallIntegerField(default=20)
    manifest = models.JSONField(default=dict, blank=True)
    sha256 = models.CharField(max_length=64, blank=True, default="")
    looks = models.PositiveIntegerField(default=0)
    created = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    frozen_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(blank=True, default="")

    class Meta:
        ordering = ("-created",)
        constraints = (
            models.UniqueConstraint(fields=["project", "name"], name="one_release_per_name"),
            models.CheckConstraint(
                condition=Q(state__in=ReleaseState.values), name="release_state_known"
            ),
            models.CheckConstraint(condition=Q(held_out__lte=90), name="most_are_not_held_out"),
            models.CheckConstraint(
                condition=Q(state="draft", sha256="", frozen_at=None)
                | (~Q(state="draft") & Q(frozen_at__isnull=False) & ~Q(sha256="")),
                name="what_is_frozen_has_its_manifest",
            ),
            models.CheckConstraint(
                condition=Q(withdrawn_at=None) & ~Q(state="withdrawn")
                | Q(state="withdrawn", withdrawn_at__isnull=False) & ~Q(reason=""),
                name="a_withdrawn_release_says_why",
            ),
        )

    def __str__(self) -> str:
        return self.name


class ReleaseItem(models.Model):
    """One case of a release, by the version of its consensus. Final once the release is frozen."""

    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="items")
    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="+")
    consensus = models.ForeignKey(Consensus, on_delete=models.PROTECT, related_name="+")
    split = models.CharField(max_length=12, blank=True, default="")

    class Meta:
        ordering = ("case__label",)
        constraints = (
            models.UniqueConstraint(fields=["release", "case"], name="one_version_per_release"),
        )

    def __str__(self) -> str:
        return f"{self.case_id} in {self.release_id}"
