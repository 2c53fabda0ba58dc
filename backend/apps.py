"""The composition: commands that use several rooms (`up`, `setup`, `demo`, `benchmark`)."""

from django.apps import AppConfig


class ConcordConfig(AppConfig):
    """Concord as a whole."""

    name = "backend"
    label = "concord"
