"""`manage.py sources`: where files come from, and whether they are de-identified on receipt."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backend.archive.models import Source
from backend.archive.origins import door_of, set_deidentify, source_of
from backend.errors import ConcordError


class Command(BaseCommand):
    """List the sources; take what comes from one as it is, or de-identify it again."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """Which source, and why."""
        which = parser.add_mutually_exclusive_group()
        names = ("DOOR", "NAME")
        which.add_argument(
            "--as-is", nargs=2, metavar=names, help="no longer de-identify what comes from it"
        )
        which.add_argument("--deidentify", nargs=2, metavar=names, help="de-identify it again")
        parser.add_argument("--reason", default="", help="why, for the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        """Change one, or list all."""
        chosen = options["as_is"] or options["deidentify"]
        if chosen is None:
            for source in Source.objects.all():
                state = "de-identified" if source.deidentify else "AS IT IS"
                self.stdout.write(f"{source.door}  {source.name}  {state}")
            return
        try:
            found = source_of(door=door_of(chosen[0]), name=chosen[1], actor=None)
            if found is None:
                raise CommandError("Nothing comes in there from outside.")
            source = set_deidentify(
                source=found,
                on=options["as_is"] is None,
                actor=None,
                reason=options["reason"],
            )
        except ConcordError as error:
            raise CommandError(str(error)) from None
        what = "is de-identified" if options["as_is"] is None else "is taken AS IT IS"
        self.stdout.write(f"What comes from {source.door} {source.name} {what}.")
