"""`manage.py create_worker_token NAME`: prints the token alone, once."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from backend.accounts.services import create_worker_token


class Command(BaseCommand):
    """Give a machine a token with which it may lease runs (`CONCORD_WORKER_TOKEN`)."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """The machine's name."""
        parser.add_argument("name", help="what the runs page calls the machine")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it and print it."""
        self.stdout.write(create_worker_token(name=options["name"]))
