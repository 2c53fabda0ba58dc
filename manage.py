#!/usr/bin/env python
"""Concord's command line: `python manage.py help`."""

import os
import sys
from contextlib import nullcontext
from pathlib import Path

# These start the embedded database themselves, or need none.
WITHOUT_DATABASE = {"up", "demo", "help", "--help", "--version", "makemigrations"}

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.settings")
    from django.core.management import execute_from_command_line

    from backend.database import running_database

    here = Path(__file__).resolve().parent
    state = Path(os.environ.get("CONCORD_STATE", here / "var")).resolve()
    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    with nullcontext() if command in WITHOUT_DATABASE else running_database(state):
        execute_from_command_line(sys.argv)
