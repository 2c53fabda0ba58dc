"""`manage.py verify_audit`: is the audit log whole?"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from backend.audit import history


class Command(BaseCommand):
    """Recompute every chain; with `--heads FILE`, compare with heads exported earlier."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """Heads to compare with, or a file to export them to."""
        parser.add_argument("--heads", type=Path, help="heads exported earlier, to compare with")
        parser.add_argument("--export-heads", type=Path, help="write the signed heads here")
        parser.add_argument("--json", action="store_true", help="print the verdict as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the verdict; exit 1 on a fault."""
        exported = None
        if options["heads"]:
            try:
                exported = json.loads(options["heads"].read_text())
            except (OSError, ValueError) as error:
                raise CommandError(
                    f"Cannot read the heads in {options['heads']}: {error}"
                ) from None
            if not isinstance(exported, dict):
                raise CommandError(
                    f"{options['heads']} holds no exported heads."
                    " Give a file that --export-heads wrote."
                )
        verdict = history.verify(exported=exported)
        if options["json"]:
            self.stdout.write(json.dumps(history.as_json(verdict)))
        else:
            for fault in verdict.faults:
                self.stdout.write(f"FAULT {fault.kind}: {fault.sentence}")
            state = "holds" if verdict.holds else "does not hold"
            against = f", {verdict.heads_compared} exported heads compared" if exported else ""
            self.stdout.write(
                f"The audit chain {state}: {verdict.events} events in {verdict.chains} chains"
                f"{against}."
            )
            if exported is None:
                self.stdout.write(
                    "A chain rebuilt as a whole, or cut together with its head, shows only against"
                    " exported heads: run with --heads FILE."
                )
        if options["export_heads"]:
            self._export(options["export_heads"], verdict.holds)
        if not verdict.holds:
            sys.exit(1)

    def _export(self, path: Path, holds: bool) -> None:
        if not holds:
            raise CommandError("Heads of a log that does not hold are not exported.")
        try:
            path.write_text(json.dumps(history.signed_heads(), indent=1))
        except OSError as error:
            raise CommandError(f"Cannot write the heads to {path}: {error}") from None
