"""`manage.py import_record FILE.zip`: take the record of a case that lives elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backend.errors import ConcordError
from backend.reports.models import RecordEvent
from backend.reports.recording import take_record
from backend.reports.sources import MADE


class Command(BaseCommand):
    """Check a record whole and keep it; its reports can then be made here again."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """Which file."""
        parser.add_argument("file", type=Path, help="what export_record wrote")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what was taken and which reports it holds, or why it was refused."""
        try:
            with options["file"].open("rb") as file:
                kept = take_record(file)
        except (ConcordError, OSError) as error:
            raise CommandError(f"Refused: {error}") from None
        self.stdout.write(f"{kept.label}: {kept.position} events, the chain holds: {kept.head}")
        reports = RecordEvent.objects.filter(record=kept, action=MADE).order_by("position")
        for report in reports:
            self.stdout.write(f"manage.py rebuild_report {report.subject_id}")
