"""`manage.py dimse`: listen for DICOM senders (C-ECHO, C-STORE) until stopped."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from backend.archive.dimse import BadSenders, listener_from_settings


class Command(BaseCommand):
    """Take images from the senders named in CONCORD_DIMSE_SENDERS."""

    help = __doc__ or ""

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGINT or SIGTERM."""
        try:
            listener = listener_from_settings()
        except BadSenders as error:
            raise CommandError(str(error)) from None
        if not listener.senders:
            raise CommandError(
                "Nobody may send yet. Name the senders in CONCORD_DIMSE_SENDERS, for example "
                "CONCORD_DIMSE_SENDERS=SCANNER1@10.0.0.5,PACS"
            )
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        try:
            server = listener.start(settings.DIMSE_PORT, host=settings.DIMSE_HOST)
        except OSError as error:
            raise CommandError(
                f"Cannot listen on {settings.DIMSE_HOST}:{settings.DIMSE_PORT} "
                f"({error.strerror}). Stop the other program, or set CONCORD_DIMSE_PORT."
            ) from None
        names = ", ".join(
            f"{s.title}@{s.address}" if s.address else s.title for s in listener.senders
        )
        self.stdout.write(
            f"{listener.title} listens on {settings.DIMSE_HOST}:{settings.DIMSE_PORT} for {names}."
        )
        self.stdout.flush()
        stop.wait()
        server.shutdown()
