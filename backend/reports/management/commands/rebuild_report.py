"""`manage.py rebuild_report REPORT`: make a report again and say whether it is the same."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backend.errors import ConcordError
from backend.reports.case_report import FILE_NAMES, NothingSigned
from backend.reports.record.blobs import BlobFault
from backend.reports.record.case import NotDescribed
from backend.reports.record.events import UnreadableEvent
from backend.reports.reporting import rebuild_report
from backend.reports.sources import NoSuchReport
from backend.store import BlobMissing


class Command(BaseCommand):
    """Rebuild a report from the events of its case and the files they name; compare the bytes.

    Works where the case lives, and wherever its record was imported.
    """

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """Which report."""
        parser.add_argument("report", help="the report's UUID, as printed on it")

    def handle(self, *args: Any, **options: Any) -> None:
        """Exit 0 and `same <sha256>` of every file, or exit 1 and where it differs."""
        try:
            found = rebuild_report(str(UUID(options["report"])))
        except (NoSuchReport, ValueError) as error:
            if isinstance(error, BlobFault | NotDescribed | UnreadableEvent | NothingSigned):
                raise CommandError(f"Differs: {error}") from None
            raise CommandError(
                f"There is no report {options['report']}. Copy the UUID from its last line."
            ) from None
        except BlobMissing as error:
            raise CommandError(
                f"Differs: the stored file {error} is missing. Restore the content store."
            ) from None
        except ConcordError as error:
            raise CommandError(f"Differs: {error}") from None
        for name, digest, same in found.files:
            self.stdout.write(f"{'same' if same else 'differs'} {digest} {FILE_NAMES[name]}")
        if not found.same:
            lines = "\n".join(f"  {line}" for line in found.differences)
            raise CommandError(f"Differs:\n{lines}")
