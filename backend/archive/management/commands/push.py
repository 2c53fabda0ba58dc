"""`manage.py push REMOTE --study UID | --series UID | --export UUID`: send to another archive."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backend.archive.models import Series, Study
from backend.archive.remotes.asking import request_push
from backend.archive.remotes.carrying import carry_out, counts_of
from backend.archive.remotes.doers import DOERS
from backend.archive.remotes.lifecycle import TransferState
from backend.archive.remotes.managing import remote_named
from backend.errors import ConcordError


class Command(BaseCommand):
    """Send a study, a series or an export to a remote, and say what it answered."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """Where to, and what."""
        parser.add_argument("remote", metavar="REMOTE")
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--study", metavar="UID", help="Study Instance UID, as it is here")
        what.add_argument("--series", metavar="UID", help="Series Instance UID, as it is here")
        what.add_argument("--export", metavar="UUID", help="an export of a published consensus")

    def handle(self, *args: Any, **options: Any) -> None:
        """Send; fail where the remote did not take everything."""
        try:
            kind, subject = _subject(options)
            transfer = request_push(
                remote=remote_named(options["remote"]),
                kind=kind,
                subject=subject,
                actor=None,
                defer=False,
            )
            ended = carry_out(transfer.pk, DOERS)
        except ConcordError as error:
            raise CommandError(str(error)) from None
        if ended is None:
            raise CommandError("It is being sent already; its page shows how it goes.")
        counts = counts_of(ended)
        for refusal in ended.refusals:
            self.stdout.write(f"Not taken: {refusal['name']}: {refusal['message']}")
        self.stdout.write(
            f"{counts['moved']} sent, {counts['there']} there already, {ended.refused} not taken."
        )
        if ended.state != TransferState.DONE:
            raise CommandError(f"{ended.message} {ended.cure}")


def _subject(options: dict[str, Any]) -> tuple[str, UUID]:
    if options["export"]:
        try:
            return "export", UUID(options["export"])
        except ValueError:
            raise CommandError("--export needs the UUID of an export.") from None
    kind, model = ("study", Study) if options["study"] else ("series", Series)
    found = model.objects.filter(uid=options[kind]).first()
    if found is None:
        raise CommandError(f"There is no such {kind} here. Check the UID.")
    return kind, found.pk
