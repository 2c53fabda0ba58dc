"""Runs of models, their queue and their workers."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """The jobs room."""

    name = "backend.jobs"

    def ready(self) -> None:
        """What is done every second for runs that wait; which columns name blobs."""
        from backend.jobs import registry
        from backend.jobs.models import Run, RunAttempt
        from backend.jobs.sweep import sweep
        from backend.jobs.waiting import say_what_runs_wait_for
        from backend.store import references

        registry.every_second.append(sweep)
        registry.every_second.append(say_what_runs_wait_for)
        cure = "Otherwise run the model again on the case."
        references.register(Run, "mask_blob", cure=cure)
        references.register(RunAttempt, "mask_blob", cure=cure)
        references.register(RunAttempt, "weights_blob", cure="Otherwise train again.")
