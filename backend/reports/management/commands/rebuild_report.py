"""`manage.py rebuild_report REPORT`: make a report again and say whether it is the same."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from backend.errors import ConcordError
from backend.reports.models import Report
from backend.reports.services import rebuild_report
from backend.store import BlobMissing


class Command(BaseCommand):
    """Rebuild a report from stored events, changes, masks and images, and compare the bytes."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """Which report."""
        parser.add_argument("report", help="the report's UUID, as printed on it")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 and `same <sha256>`, or exit 1 and where it differs."""
        try:
            report = Report.objects.select_related(
                "reading__case__protocol",
                "reading__case__project",
                "reading__case__subject",
                "reading__reader",
                "reading__base",
                "reading__head",
                "reading__ai_mask",
                "reading__effective",
            ).get(pk=UUID(options["report"]))
        except (Report.DoesNotExist, ValidationError, ValueError):
            raise CommandError(
                f"There is no report {options['report']}. Copy the UUID from its last line."
            ) from None
        try:
            found = rebuild_report(report=report)
        except BlobMissing as error:
            raise CommandError(
                f"Differs: the stored file {error} is missing. Restore the content store."
            ) from None
        except ConcordError as error:
            raise CommandError(f"Differs: {error}") from None
        if not found.same:
            lines = "\n".join(f"  {line}" for line in found.differences)
            raise CommandError(f"Differs:\n{lines}")
        self.stdout.write(f"same {found.sha256}")
