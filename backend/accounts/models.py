"""People and the tokens that stand for them or for a worker."""

from __future__ import annotations

import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """A person. Readers, coordinators and auditors hold their roles per project.

    `keys` maps actions of the viewer to the person's own keys, where they changed them.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    display_name = models.CharField(max_length=120, blank=True)
    timezone = models.CharField(max_length=64, default="UTC")
    keys = models.JSONField(default=dict, blank=True)

    @property
    def shown_name(self) -> str:
        """The printed name, as it stands under a signature."""
        return self.display_name or self.get_full_name() or self.username


class ApiToken(models.Model):
    """A bearer token that acts as its user. Only the hash is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    digest = models.CharField(max_length=64, unique=True)
    created = models.DateTimeField(auto_now_add=True)
    revoked = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"token of {self.user_id}"


class WorkerToken(models.Model):
    """A bearer token of a machine that leases runs. Only the hash is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=80)
    digest = models.CharField(max_length=64, unique=True)
    created = models.DateTimeField(auto_now_add=True)
    revoked = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name
