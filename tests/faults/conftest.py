"""The site with real workers."""

from tests.jobs.conftest import site

__all__ = ["site"]
