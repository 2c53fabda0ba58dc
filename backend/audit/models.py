"""Events, written once and chained by hash; and the news of them that open browsers wait for."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

from django.conf import settings
from django.db import models

M = TypeVar("M", bound=models.Model)


class EventIsImmutable(TypeError):
    """Audit events are written once. Record a new event that corrects the old one."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


class WriteOnce(models.QuerySet[M]):
    """A queryset that can add and read, and nothing else."""

    def update(self, **kwargs: Any) -> NoReturn:
        """Refused: raises `EventIsImmutable`."""
        raise EventIsImmutable

    def delete(self) -> NoReturn:
        """Refused: raises `EventIsImmutable`."""
        raise EventIsImmutable

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: raises `EventIsImmutable`."""
        raise EventIsImmutable


class Event(models.Model):
    """One thing that happened: who did what to which thing, when, and with what outcome.

    `position`, `at`, `previous` and `hash` are set by the database's trigger (migration 0001):
    `hash = sha256(previous ‖ canonical row)` along one chain per case, plus `system`.
    """

    number = models.BigAutoField(primary_key=True)
    chain = models.CharField(max_length=64)
    position = models.BigIntegerField(default=0)
    at = models.DateTimeField(null=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    actor_name = models.CharField(max_length=120)
    action = models.CharField(max_length=64)
    subject_type = models.CharField(max_length=40)
    subject_id = models.CharField(max_length=64)
    outcome = models.CharField(max_length=16, default="success")
    reason = models.TextField(default="")
    facts = models.JSONField(default=dict)
    software = models.CharField(max_length=40)
    previous = models.BinaryField(default=b"")
    hash = models.BinaryField(default=b"")

    objects = WriteOnce.as_manager()

    class Meta:
        ordering = ("number",)
        indexes = (
            models.Index(fields=["subject_type", "subject_id"]),
            models.Index(fields=["action"]),
        )
        constraints = (
            models.UniqueConstraint(fields=["chain", "position"], name="one_event_per_position"),
        )

    def __str__(self) -> str:
        return f"{self.number} {self.action}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Insert only; raises `EventIsImmutable` for a stored event."""
        if not self._state.adding:
            raise EventIsImmutable
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refused: raises `EventIsImmutable`."""
        raise EventIsImmutable


class ChainHead(models.Model):
    """The last position and hash of a chain; written by the trigger alone."""

    chain = models.CharField(max_length=64, primary_key=True)
    position = models.BigIntegerField()
    hash = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.chain}@{self.position}"


class NewsItem(models.Model):
    """What an audience is told, in a dense order of its own (`seq` is set by the trigger)."""

    audience = models.CharField(max_length=80)
    seq = models.BigIntegerField(default=0)
    at = models.DateTimeField(auto_now_add=True)
    type = models.CharField(max_length=40)
    payload = models.JSONField(default=dict)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["audience", "seq"], name="dense_news_per_audience"),
        )

    def __str__(self) -> str:
        return f"{self.audience}#{self.seq}"


class NewsHead(models.Model):
    """The last `seq` of an audience; written by the trigger alone."""

    audience = models.CharField(max_length=80, primary_key=True)
    seq = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.audience}@{self.seq}"
