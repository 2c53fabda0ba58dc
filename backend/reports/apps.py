"""Case reports and verified exports of what was signed."""

from django.apps import AppConfig


class ReportsConfig(AppConfig):
    """The reports room."""

    name = "backend.reports"
