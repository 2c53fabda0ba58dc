"""`manage.py create_token USER`: a bearer token that acts as that user, printed alone."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backend.accounts.models import User
from backend.accounts.services import create_token


class Command(BaseCommand):
    """Print a new API token; it is shown once."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose token."""
        parser.add_argument("user")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it and print it."""
        try:
            user = User.objects.get(username=options["user"])
        except User.DoesNotExist:
            known = ", ".join(User.objects.order_by("username").values_list("username", flat=True))
            raise CommandError(
                f"There is no user {options['user']}. Known: {known or 'nobody yet'}."
            ) from None
        self.stdout.write(create_token(user=user))
