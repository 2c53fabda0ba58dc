"""The append-only record of everything that happened."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """The audit room."""

    name = "backend.audit"
