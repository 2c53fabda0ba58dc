"""`manage.py benchmark NAME [--gate]`: measure beside a peer; one JSON object."""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

# Name → module and function that returns {"rows": [...], "sizes": ..., "peer_config": ...}.
BENCHMARKS = {
    "nodes": ("backend.imaging.benchmark_nodes", "nodes_benchmark"),
    "dicomweb": ("backend.archive.benchmarks.dicomweb", "dicomweb_benchmark"),
    "viewer": ("backend.reading.benchmarks.viewer", "viewer_benchmark"),
    "click": ("inference.prompting.benchmark", "click_benchmark"),
    "inference": ("backend.reading.benchmarks.inference", "inference_benchmark"),
    "recovery": ("backend.reading.benchmarks.recovery", "recovery_benchmark"),
    "model": ("inference.evaluation", "model_benchmark"),
}


class Command(BaseCommand):
    """Rows: what, ours, unit, peer, peer_name, peer_runs, ratio, target, met."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """Which benchmark; whether a missed target fails."""
        parser.add_argument("name", choices=sorted(BENCHMARKS))
        parser.add_argument(
            "--device", choices=("cpu", "cuda"), help="of `inference`: where networks run"
        )
        parser.add_argument("--gate", action="store_true", help="exit 1 unless every target is met")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run it and print."""
        module, function = BENCHMARKS[options["name"]]
        asked = {"device": options["device"]} if options["device"] else {}
        if asked and options["name"] != "inference":
            raise CommandError("Only `benchmark inference` takes --device. Leave it out.")
        measure = getattr(importlib.import_module(module), function)
        try:
            result = measure(**asked)
        except RuntimeError as error:
            raise CommandError(str(error)) from error
        gate = " --gate" if options["gate"] else ""
        device = f" --device {options['device']}" if options["device"] else ""
        report = {
            "benchmark": options["name"],
            "command": f"python manage.py benchmark {options['name']}{device}{gate}",
            "machine": _machine(),
            "sizes": result.get("sizes"),
            "peer_config": result.get("peer_config"),
            **{
                name: value
                for name, value in result.items()
                if name not in {"sizes", "peer_config"}
            },
        }
        self.stdout.write(json.dumps(report, indent=1))
        if options["gate"] and any(row["met"] is False for row in report["rows"]):
            sys.exit(1)


def _machine() -> dict[str, Any]:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), "")
    flags = next((line for line in lines if line.startswith("flags")), "")
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "avx512_bf16": "avx512_bf16" in flags,
        "load": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
    }
