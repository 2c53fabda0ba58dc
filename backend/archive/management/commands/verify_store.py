"""`manage.py verify_store`: is all that the database names in the content store, and whole?"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backend.archive.content.checking import check_content
from backend.progress import Bar
from backend.store.verification import KINDS, ORPHAN_SECONDS, Verdict, Wanted

FAULTS_SHOWN = 200


class Command(BaseCommand):
    """Hash every blob again, look up every name; with --repair, do what can be done about it.

    Exits with 1 where something that is needed is missing or damaged afterwards.
    """

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """How thorough, and what may be done."""
        parser.add_argument("--fast", action="store_true", help="look, but hash nothing")
        parser.add_argument("--sample", type=int, metavar="N", help="hash N blobs by chance")
        parser.add_argument(
            "--repair",
            action="store_true",
            help="move damaged and orphaned blobs aside, make again what can be made again",
        )
        parser.add_argument(
            "--from",
            dest="backups",
            nargs="+",
            type=Path,
            default=[],
            metavar="PATH",
            help="with --repair: look for missing blobs in these files and folders",
        )
        parser.add_argument(
            "--orphan-hours",
            type=float,
            default=ORPHAN_SECONDS / 3600,
            metavar="H",
            help="a blob that nothing names is an orphan once it is so old (default: %(default)s)",
        )
        parser.add_argument("--json", action="store_true", help="print the verdict as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Verify, tell, and exit with 1 where it does not hold."""
        if options["sample"] is not None and options["sample"] < 1:
            raise CommandError("--sample needs a number of 1 or more. For none, give --fast.")
        if options["backups"] and not options["repair"]:
            raise CommandError("--from puts blobs back, which only --repair does. Give both.")
        absent = [str(path) for path in options["backups"] if not path.exists()]
        if absent:
            raise CommandError(f"There is no {', '.join(absent)}. Check the path.")
        wanted = Wanted(
            fast=options["fast"],
            sample=options["sample"],
            repair=options["repair"],
            backups=options["backups"],
            orphan_seconds=options["orphan_hours"] * 3600,
        )
        bar = Bar(self.stderr)
        verdict = check_content(wanted, bar.show)
        bar.end()
        self._tell(verdict, as_json=options["json"], repair=options["repair"])
        if not verdict.holds:
            sys.exit(1)

    def _tell(self, verdict: Verdict, *, as_json: bool, repair: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({**asdict(verdict), "holds": verdict.holds}))
            return
        for fault in verdict.faults[:FAULTS_SHOWN]:
            done = fault.repaired or fault.cure
            self.stdout.write(f"{fault.kind.upper()} {fault.sentence} {done}")
        if len(verdict.faults) > FAULTS_SHOWN:
            self.stdout.write(f"… and {len(verdict.faults) - FAULTS_SHOWN} more (--json has all).")
        counts = ", ".join(f"{len(verdict.of(kind))} {words}" for kind, words in KINDS)
        state = "holds" if verdict.holds else "does not hold"
        self.stdout.write(
            f"The content store {state}: {verdict.blobs} blobs of {verdict.size >> 20} MiB in "
            f"{verdict.where}, {verdict.hashed} hashed again; {verdict.named} names in the "
            f"database; {counts}."
        )
        if verdict.faults and not repair:
            self.stdout.write("Nothing was changed. --repair does what can be done.")
