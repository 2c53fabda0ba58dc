"""`manage.py demo [DICOM]`: Concord with demo users and a study to read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from backend.management.commands.up import Command as Up
from backend.supervisor import BASE, ProcessFailed, Supervisor

_WHAT_TO_CLICK = """
  Sign-in data   {users}
  1  Sign in as reader1 at {url}: the worklist follows the AI run by itself.
  2  Open the case: decide, reshape and add nodes (press ? in the viewer for the keys), then submit.
  3  Sign in as auditor: open the case, make its report, export SEG or NIfTI.
  Upload more    sign in as coordinator, then Archive; or: {manage} receive PATH
  Ctrl-C stops everything; the next `make demo` goes on where this one ended.

CONCORD READY {url}
sign-in data: {users}"""


class Command(Up):
    """Start Concord with demo users; receive DICOM, or a phantom with exactly known nodes."""

    help = __doc__ or ""
    demo = True
    phantom: subprocess.Popen[bytes] | None = None

    def add_arguments(self, parser: CommandParser) -> None:
        """What to receive."""
        parser.add_argument("dicom", nargs="?", type=Path, help="folder, file or zip of DICOM")

    def before(self, supervisor: Supervisor, options: dict[str, Any]) -> None:
        """Check the path now; make the phantom while the database starts."""
        if options["dicom"] is not None:
            if not options["dicom"].exists():
                raise CommandError(
                    f"There is no {options['dicom']}. Give DICOM=path to your study."
                )
        elif not self._phantom_folder.exists():
            self.say("Making a head-neck CT phantom with known nodes (about half a minute) …")
            self.phantom = subprocess.Popen(
                [sys.executable, "-m", "fixtures", "demo-phantom", str(self._phantom_folder)],
                cwd=BASE,
                env=supervisor.environment,
            )

    @property
    def _phantom_folder(self) -> Path:
        return Path(settings.STATE) / "phantom" / "dicom"

    def ready(self, supervisor: Supervisor, options: dict[str, Any], url: str) -> None:
        """Receive the study, then say where to go and what to click."""
        source = options["dicom"]
        if source is None:
            if self.phantom is not None and self.phantom.wait():
                raise ProcessFailed("The phantom could not be made; its own words stand above.")
            source = self._phantom_folder
        self.say(f"Receiving {source} …")
        summary = supervisor.run_once("receive", str(source.resolve()))
        self.stdout.write(summary.rstrip())
        users = Path(settings.STATE) / "demo-users.json"
        self.stdout.write(
            _WHAT_TO_CLICK.format(users=users, url=url, manage=f"{sys.executable} manage.py")
        )
        self.stdout.flush()
