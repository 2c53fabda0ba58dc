"""The tests' database server: a real Postgres, started before Django's settings are read.

Loaded by `-p tests.postgres` (pyproject.toml). In-process tests use the database `concord_tests`, a
copy of the migrated `concord`; whole stacks get copies of their own.
"""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

from backend.database import DatabaseUrls, EmbeddedPostgres, make_roles

ROOT = Path(__file__).resolve().parent.parent
STATE = Path(tempfile.mkdtemp(prefix="concord-tests-"))
STATE.chmod(0o755)
TEMPLATE = "concord"
# Set where the server was started here: a process that inherits it starts one of its own.
OURS = "CONCORD_TESTS_OWN_SERVER"


def _server() -> DatabaseUrls:
    theirs = os.environ.pop(OURS, "")  # Of the process that shares the tests out among several.
    if theirs:
        for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "CONCORD_QUEUE_URL"):
            os.environ.pop(name, None)
    if os.environ.get("DATABASE_URL") and os.environ.get("DATABASE_OWNER_URL"):
        owner = os.environ["DATABASE_OWNER_URL"]
        urls = DatabaseUrls(
            owner, os.environ["DATABASE_URL"], os.environ.get("CONCORD_QUEUE_URL", owner)
        )
        make_roles(owner, urls)
        return urls
    server = EmbeddedPostgres(STATE / "postgres", durable=False)
    atexit.register(shutil.rmtree, STATE, ignore_errors=True)
    atexit.register(server.stop)
    os.environ[OURS] = "1"
    return server.start()


SERVER = _server()


def named(urls: DatabaseUrls, name: str) -> DatabaseUrls:
    """The same three roles on another database of the server."""
    return DatabaseUrls(
        *(url.rsplit("/", 1)[0] + f"/{name}" for url in (urls.owner, urls.web, urls.queue))
    )


def environment(urls: DatabaseUrls, state: Path) -> dict[str, str]:
    """The environment of a Concord process on that database and state folder."""
    return {
        "DATABASE_URL": urls.web,
        "DATABASE_OWNER_URL": urls.owner,
        "CONCORD_QUEUE_URL": urls.queue,
        "CONCORD_STATE": str(state),
        "DJANGO_SETTINGS_MODULE": "backend.settings",
    }


# Databases that stand ready to be copied.
_ready: set[str] = set()


def copy_database(name: str) -> DatabaseUrls:
    """A fresh copy of the migrated database under `name`."""
    if TEMPLATE not in _ready:
        _set_up(TEMPLATE, STATE)
    return _copied(TEMPLATE, name)


def copy_demo(name: str, state: Path) -> DatabaseUrls:
    """A fresh copy of the database with the demo users; `state` gets what belongs to it."""
    template, files = f"{TEMPLATE}_demo", STATE / "demo"
    if template not in _ready:
        copy_database(template)
        files.mkdir()
        _set_up(template, files, "--demo")
    shutil.copytree(files, state, dirs_exist_ok=True)
    return _copied(template, name)


def _set_up(name: str, state: Path, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "manage.py", "setup", *arguments],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **environment(named(SERVER, name), state)},
    )
    _ready.add(name)


def _copied(template: str, name: str) -> DatabaseUrls:
    with psycopg.connect(named(SERVER, "postgres").owner, autocommit=True) as connection:
        connection.execute(f'drop database if exists "{name}" with (force)')
        connection.execute(f'create database "{name}" template "{template}"')
    return named(SERVER, name)


TESTS = named(SERVER, "concord_tests")
os.environ.update(environment(TESTS, STATE))
