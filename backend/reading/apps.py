"""The reading room: projects, protocols, cases, masks, nodes, readings. The heart."""

from django.apps import AppConfig


class ReadingConfig(AppConfig):
    """The reading room."""

    name = "backend.reading"
