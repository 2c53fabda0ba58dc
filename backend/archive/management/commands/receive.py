"""`manage.py receive PATH…`: take folders, files and zips into the archive."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backend.archive.models import Receipt, VolumeState
from backend.archive.receiving import Stopped
from backend.archive.selectors import series_of
from backend.archive.services import names_of, receive
from backend.progress import Bar

AS_IS = "NOTHING IS DE-IDENTIFIED: the files are taken as they are, names and all."


class Command(BaseCommand):
    """Receive folders, files and zips of DICOM images, and judge what is a volume."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """Paths, and what to call them."""
        parser.add_argument("paths", nargs="+", metavar="PATH", type=Path)
        parser.add_argument(
            "--source", default="manage.py receive", help="what the batch is called"
        )
        parser.add_argument(
            "--as-is",
            action="store_true",
            help="take the files as they are: names, dates and private elements stay",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Receive; say what became of everything; fail only where nothing could be stored."""
        absent = [str(p) for p in options["paths"] if not p.exists()]
        if absent:
            raise CommandError(f"There is no {', '.join(absent)}. Check the path.")
        if options["as_is"]:
            self.stderr.write(self.style.WARNING(AS_IS))
        bar = Bar(self.stderr)
        stop = _on_interrupt()
        try:
            receipt = receive(
                options["paths"],
                source=options["source"],
                actor=None,
                progress=bar.show,
                as_is=options["as_is"],
                stopping=stop.is_set,
            )
        except Stopped as stopped:
            bar.end()
            self._summary(stopped.receipt)
            raise CommandError(str(stopped), returncode=130) from None
        bar.end()
        self._summary(receipt)
        if not receipt.stored and not receipt.already_here:
            raise CommandError("Nothing could be stored. The sentences above say why.")

    def _summary(self, receipt: Receipt) -> None:
        rows = list(receipt.kept.select_related("receipt").order_by("at"))
        names = names_of(rows)
        for kept in sorted(rows, key=lambda row: names[row.pk]):
            message = kept.message.replace(kept.name, names[kept.pk])
            self.stdout.write(f"Kept aside: {message} {kept.cure}")
        self.stdout.write(
            f"{receipt.stored} stored, {receipt.already_here} already here, "
            f"{receipt.kept_aside} kept aside, {receipt.ignored} ignored."
        )
        if receipt.deidentified and receipt.stored:
            self.stdout.write("What was stored is de-identified (PS3.15 Annex E).")
        series = list(series_of(receipt))
        for one in series:
            if one.volume_reason:
                name = f"{one.modality} {one.description}".strip() or one.uid
                self.stdout.write(
                    f"{one.volume_state.replace('_', ' ')}: {name}: {one.volume_reason}"
                )
        if series:
            self.stdout.write(
                ", ".join(
                    f"{sum(s.volume_state == state for s in series)} {label}"
                    for state, label in (
                        (VolumeState.VOLUME, "series became volumes"),
                        (VolumeState.QUARANTINED, "quarantined"),
                        (VolumeState.SET_ASIDE, "set aside"),
                        (VolumeState.PENDING, "still arriving"),
                    )
                )
                + "."
            )


def _on_interrupt() -> threading.Event:
    """Set by the first Ctrl-C, so that the file at hand is finished; the second ends at once."""
    stop = threading.Event()
    if threading.current_thread() is threading.main_thread():
        before = signal.getsignal(signal.SIGINT)

        def interrupted(*_: Any) -> None:
            stop.set()
            signal.signal(signal.SIGINT, before)

        signal.signal(signal.SIGINT, interrupted)
    return stop
