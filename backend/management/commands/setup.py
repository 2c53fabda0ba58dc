"""`manage.py setup`: roles, tables, grants, protocols, the default model. Safe to run again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from psycopg import sql

from backend.accounts.services import create_worker_token
from backend.database import (
    RolesNotApart,
    configured_urls,
    make_roles,
    require_roles_apart,
)
from backend.jobs.grants import QUEUE_GRANTS
from fixtures.demo_users import install_demo_users, write_private

# The web role does everything with the tables but change what is write-once.
_WEB_GRANTS = """
grant usage on schema public to {web};
grant select, insert, update, delete on all tables in schema public to {web};
grant usage, select on all sequences in schema public to {web};
grant execute on all functions in schema public to {web};
revoke update, delete, truncate on audit_event, audit_newsitem from {web};
revoke insert, update, delete, truncate on audit_chainhead, audit_newshead from {web};
revoke insert, update, delete on django_migrations from {web};
"""


class Command(BaseCommand):
    """Bring the database to this version and register what ships with it."""

    help = __doc__ or ""

    def add_arguments(self, parser: CommandParser) -> None:
        """Whether to make demo users."""
        parser.add_argument("--demo", action="store_true", help="make the demo users")

    def handle(self, *args: Any, **options: Any) -> None:
        """Roles, migrations, grants, built-in protocols and models."""
        urls = configured_urls(settings.STATE)
        if urls is None:
            raise CommandError("No database is configured. Run this through `make`.")
        try:
            require_roles_apart(urls)
        except RolesNotApart as error:
            raise CommandError(str(error)) from None
        if os.environ.get("DATABASE_URL"):
            make_roles(urls.owner, urls)
        self.stdout.write("Migrating the database …")
        call_command("migrate", database="owner", verbosity=0, interactive=False)
        connections["owner"].close()
        self._grant(urls.owner, urlsplit(urls.web).username or "", _WEB_GRANTS)
        self._grant(urls.owner, urlsplit(urls.queue).username or "", QUEUE_GRANTS)
        from backend.jobs.model_files import put_shipped_models
        from backend.jobs.services import register_model
        from backend.reading.services import install_protocols

        install_protocols()
        worker_token = Path(settings.STATE) / "worker-token"
        if not worker_token.exists():
            write_private(worker_token, create_worker_token(name="this machine"))
        # Any other is an administrator's to register.
        for folder in put_shipped_models():
            register_model(folder=folder, actor=None)
        if options["demo"]:
            install_demo_users(Path(settings.STATE) / "demo-users.json")
        self.stdout.write("The database is ready.")

    def _grant(self, owner_url: str, role: str, statements: str) -> None:
        name = sql.Identifier(role)
        with psycopg.connect(owner_url, autocommit=True) as connection:
            connection.execute(sql.SQL(statements).format(web=name, queue=name))
