"""`manage.py reidentify SUBJ-…|UID --by ADMIN --reason …`: who is behind a pseudonym. On record."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backend.accounts.models import User
from backend.archive.reidentifying import reidentify
from backend.errors import ConcordError


class Command(BaseCommand):
    """Say who is behind a pseudonym, or which UID behind one given here."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """What, who asks, and why."""
        parser.add_argument("what", metavar="SUBJ-…|UID")
        parser.add_argument("--by", required=True, metavar="USERNAME", help="an administrator")
        parser.add_argument("--reason", required=True, help="why, for the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        """Look it up, record it, print it."""
        actor = User.objects.filter(username=options["by"]).first()
        if actor is None:
            raise CommandError(f"There is nobody called {options['by']}.")
        try:
            found = reidentify(what=options["what"], actor=actor, reason=options["reason"])
        except ConcordError as error:
            raise CommandError(str(error)) from None
        if found.uid:
            self.stdout.write(f"original UID: {found.uid}")
        for person in found.people:
            for key, value in person.items():
                self.stdout.write(f"{key.replace('_', ' ')}: {value}")
        self.stdout.write(f"dates were moved by {found.shift_days} days")
