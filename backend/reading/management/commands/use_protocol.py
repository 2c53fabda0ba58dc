"""`manage.py use_protocol CODE`: new cases are opened by this protocol, and by no other."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backend.errors import Missing
from backend.reading.models import Protocol
from backend.reading.services import use_protocol


class Command(BaseCommand):
    """Choose the protocol of new cases; those that are there keep theirs."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """Which protocol."""
        parser.add_argument("code")

    def handle(self, *args: Any, **options: Any) -> None:
        """Choose it."""
        try:
            chosen = use_protocol(code=options["code"])
        except Missing:
            known = sorted(set(Protocol.objects.values_list("code", flat=True)))
            raise CommandError(
                f"There is no protocol {options['code']}. Known: {', '.join(known)}."
            ) from None
        self.stdout.write(f"New cases are read by {chosen}: {chosen.name}.")
