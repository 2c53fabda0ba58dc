"""Runs of models, their queue and their workers."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """The jobs room."""

    name = "backend.jobs"

    def ready(self) -> None:
        """Have runs of dead workers offered again, every second, in the work process."""
        from backend.jobs import registry
        from backend.jobs.sweep import sweep

        registry.every_second.append(sweep)
