"""`manage.py export_record CASE OUT.zip`: every event of a case and every file they name."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q

from backend.errors import ConcordError
from backend.reading.models import Case
from backend.reports.record.blobs import BlobFault
from backend.reports.recording import hand_out_record


class Command(BaseCommand):
    """Write the record of a case to a file, from which its reports can be made elsewhere."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """Which case, and where to."""
        parser.add_argument("case", help="the case's label or UUID")
        parser.add_argument("out", type=Path, help="the file to write; must not exist yet")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the file, or say what is missing and leave none behind."""
        case, out = _case(options["case"]), options["out"]
        try:
            with out.open("xb") as file:
                try:
                    for part in hand_out_record(case=case, actor=None):
                        file.write(part)
                except BaseException:
                    out.unlink()
                    raise
        except FileExistsError:
            raise CommandError(f"{out} exists. Name another file.") from None
        except (BlobFault, ConcordError, OSError) as error:
            raise CommandError(f"Not exported: {error}") from None
        self.stdout.write(f"{case.label}: {out.stat().st_size} bytes written to {out}")


def _case(name: str) -> Case:
    try:
        asked = Q(pk=UUID(name))
    except ValueError:
        asked = Q(label=name)
    found = list(Case.objects.filter(asked)[:2])
    if len(found) != 1:
        many = "There are several cases" if found else "There is no case"
        raise CommandError(f"{many} {name}. Name it by its UUID.")
    return found[0]
