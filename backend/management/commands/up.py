"""`manage.py up`: run Concord on this machine (database, web, work, one inference worker)."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from backend.database import DatabaseDidNotStart, configured_urls, running_database
from backend.supervisor import (
    ProcessFailed,
    Supervisor,
    process_environment,
    require_free,
    start_processes,
)


class Command(BaseCommand):
    """Start everything, keep it running, stop it on Ctrl-C."""

    help = __doc__ or ""
    demo = False

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until interrupted."""
        self.began = time.monotonic()
        environment = process_environment(settings.STATE, settings.PORT)
        environment["CONCORD_DEMO"] = "1" if self.demo else os.environ.get("CONCORD_DEMO", "0")
        supervisor = Supervisor(environment, settings.STATE / "logs", self.say)

        def stop(number: int, frame: FrameType | None) -> None:
            supervisor.request_stop()

        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
        try:
            require_free(settings.PORT)
            self.before(supervisor, options)
            self.say("Starting the database …")
            with running_database(settings.STATE):
                try:
                    self.run(supervisor, options)
                finally:
                    if supervisor.children:
                        self.say("Stopping …")
                    supervisor.stop()
        except (ProcessFailed, DatabaseDidNotStart) as error:
            raise CommandError(str(error)) from None

    def before(self, supervisor: Supervisor, options: dict[str, Any]) -> None:
        """What can be done while the database starts."""

    def run(self, supervisor: Supervisor, options: dict[str, Any]) -> None:
        """Set up, start, and watch."""
        self.say("Setting up tables, roles and the default model …")
        supervisor.run_once("setup", *(["--demo"] if self.demo else []))
        urls = configured_urls(settings.STATE)
        if urls is None or supervisor.stopping:
            return
        token_file = Path(settings.STATE) / "worker-token"
        start_processes(supervisor, settings.PORT, urls.queue, token_file.read_text().strip())
        url = f"http://127.0.0.1:{settings.PORT}/"
        self.say("Starting web, work and inference …")
        supervisor.wait_ready(f"{url}readyz")
        self.ready(supervisor, options, url)
        supervisor.watch()

    def ready(self, supervisor: Supervisor, options: dict[str, Any], url: str) -> None:
        """Everything answers."""
        self.say(f"CONCORD READY {url}")

    def say(self, text: str) -> None:
        """One line with the seconds since the start."""
        self.stdout.write(f"{time.monotonic() - self.began:6.1f} s  {text}")
        self.stdout.flush()
