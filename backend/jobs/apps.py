"""Runs of models, their queue and their workers."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """The jobs room."""

    name = "backend.jobs"

    def ready(self) -> None:
        """Have runs of dead workers offered again, every second; say which columns name blobs."""
        from backend.jobs import registry
        from backend.jobs.models import Run, RunAttempt
        from backend.jobs.sweep import sweep
        from backend.store import references

        registry.every_second.append(sweep)
        cure = "Otherwise run the model again on the case."
        references.register(Run, "mask_blob", cure=cure)
        references.register(RunAttempt, "mask_blob", cure=cure)
        references.register(RunAttempt, "weights_blob", cure="Otherwise train again.")
