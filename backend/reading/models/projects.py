"""Projects, who is what in them, and the protocols they read by."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models

from backend.accounts.roles import Role
from backend.jobs.models import ModelVersion
from backend.reading.protocols import series_rule_of


class Project(models.Model):
    """A study group: members with roles, and cases with pseudonyms of their own.

    `auto_assign` maps slots to usernames, for a site small enough that the same people read all.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code = models.CharField(max_length=32, unique=True)
    name = models.CharField(max_length=120)
    auto_assign = models.JSONField(default=dict, blank=True)
    default = models.BooleanField(default=False)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("code",)
        constraints = (
            models.UniqueConstraint(
                fields=["default"], condition=models.Q(default=True), name="one_default_project"
            ),
        )

    def __str__(self) -> str:
        return self.code


class Membership(models.Model):
    """One role of one person in one project."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="memberships")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="memberships"
    )
    role = models.CharField(max_length=16, choices=[(r.value, r.value) for r in Role])
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["project", "user", "role"], name="one_role_once"),
            models.CheckConstraint(
                condition=models.Q(role__in=[r.value for r in Role]), name="role_is_known"
            ),
        )

    def __str__(self) -> str:
        return f"{self.user_id} is {self.role} in {self.project_id}"


class Protocol(models.Model):
    """How cases are read: one version of one design. The database freezes it once it is used."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code = models.CharField(max_length=32)
    version = models.PositiveIntegerField(default=1)
    name = models.CharField(max_length=200)
    design = models.CharField(max_length=32)
    definition = models.JSONField()
    active = models.BooleanField(default=True)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("code", "version")
        constraints = (
            models.UniqueConstraint(fields=["code", "version"], name="one_protocol_per_version"),
            models.CheckConstraint(
                condition=models.Q(
                    design__in=["sequential_visible", "independent_blind", "two_plus_one"]
                ),
                name="design_is_known",
            ),
        )

    def __str__(self) -> str:
        return f"{self.code} v{self.version}"

    @property
    def slots(self) -> list[str]:
        """The slots a case of this protocol needs read."""
        return list(self.definition["slots"])

    @property
    def required_planes(self) -> list[str]:
        """The planes every reading has to look through."""
        return list(self.definition["required_planes"])

    @property
    def series_rule(self) -> dict[str, Any]:
        """Which series it takes, and what excludes one from cohorts."""
        return series_rule_of(self.definition)

    @property
    def leaves_model_open(self) -> bool:
        """Whether its definition leaves it to a setting which model pre-segments its new cases.

        What a definition names is frozen with it; `default` is what it leaves to the setting.
        """
        said = self.definition.get("presegmentation") or {}
        return bool(said.get("model") == "default")


class ProtocolModel(models.Model):
    """From when on new cases of a protocol version are pre-segmented by a model; the last counts.

    Rows are written once. Cases that are there keep what they have.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    protocol = models.ForeignKey(Protocol, on_delete=models.PROTECT, related_name="models")
    model = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    chosen_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    reason = models.TextField(blank=True)
    created = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-created",)

    def __str__(self) -> str:
        return f"{self.protocol} by {self.model}"
