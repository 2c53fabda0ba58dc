"""Settings of a Concord of the jobs room and what lies below it, for tests of real workers."""

from backend.settings import *  # noqa: F403
from backend.settings import INSTALLED_APPS as ALL_APPS

_ABOVE = {"backend.archive", "backend.reading", "backend.reports", "backend"}
INSTALLED_APPS = [app for app in ALL_APPS if app not in _ABOVE]
ROOT_URLCONF = "tests.jobs.site_urls"
ASGI_APPLICATION = "tests.jobs.site_asgi:application"
WORKER_SILENCE_SECONDS = 6.0
LEASE_GRACE_SECONDS = 0.5

# The spool is made by the archive, which is not here.
FILE_UPLOAD_TEMP_DIR = None
