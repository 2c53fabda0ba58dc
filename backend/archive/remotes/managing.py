"""Remotes: named, changed and removed by administrators alone; each an event, without secrets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from backend.archive.remotes.lifecycle import OPEN
from backend.archive.remotes.line import Line, trust_of
from backend.archive.remotes.models import Remote, SignIn
from backend.archive.remotes.sealing import seal
from backend.archive.remotes.searching import speaks_dicomweb
from backend.audit.services import News, record
from backend.errors import BadInput, Missing, NotAllowed, WrongState

if TYPE_CHECKING:
    from backend.accounts.models import User

TEST_SECONDS = 15.0


@dataclass(frozen=True)
class RemoteFacts:
    """What an administrator says of a remote; `secret` None leaves the one that is kept."""

    url: str
    sign_in: str = SignIn.NONE.value
    username: str = ""
    secret: str | None = None
    verify_tls: bool = True
    ca_certificates: str = ""


def remotes() -> QuerySet[Remote]:
    """Those that there are, by name."""
    return Remote.objects.filter(removed=None)


def remote_named(name: str) -> Remote:
    """The remote of that name; raises `Missing`."""
    found = remotes().filter(name=name).first()
    if found is None:
        raise Missing("remote")
    return found


@transaction.atomic
def add_remote(*, name: str, facts: RemoteFacts, actor: User) -> Remote:
    """Name a remote; raises `NotAllowed`, `BadInput`, `WrongState` for a name that is taken."""
    _require_admin(actor)
    remote = Remote(name=name)
    _write(remote, facts)
    try:
        with transaction.atomic():
            remote.save()
    except IntegrityError:
        raise WrongState(
            "NAME_TAKEN", f"There is a remote called {name}.", "Choose another name."
        ) from None
    _record("remote.added", remote, actor)
    return remote


@transaction.atomic
def change_remote(*, remote: Remote, facts: RemoteFacts, actor: User) -> Remote:
    """Change what is said of a remote; raises `NotAllowed` or `BadInput`.

    A secret is for one server: where the address leads to another, it must be given anew.
    """
    _require_admin(actor)
    found = Remote.objects.select_for_update().get(pk=remote.pk)
    kept = bool(found.secret) and facts.secret is None
    if kept and _origin(found.url) != _origin(facts.url) and facts.sign_in != SignIn.NONE:
        raise BadInput(
            "SECRET_NEEDED",
            "The address leads to another server than the password was entered for.",
            "Enter the password or token of that server.",
        )
    _write(found, facts)
    found.save()
    _record("remote.changed", found, actor)
    return found


@transaction.atomic
def remove_remote(*, remote: Remote, actor: User) -> None:
    """Remove a remote and its secret; raises `NotAllowed`, `WrongState` while it is at work."""
    _require_admin(actor)
    found = Remote.objects.select_for_update().get(pk=remote.pk)
    if found.transfers.filter(state__in=[s.value for s in OPEN]).exists():
        raise WrongState(
            "REMOTE_AT_WORK",
            f"Images are being moved between {found.name} and this archive.",
            "Cancel these transfers, or wait until they have ended.",
        )
    found.removed, found.secret = timezone.now(), ""
    found.save(update_fields=["removed", "secret"])
    _record("remote.removed", found, actor)


def test_remote(remote: Remote) -> None:
    """Ask it for one study; raises `RemoteProblem`."""
    with Line(remote, seconds=TEST_SECONDS) as line:
        speaks_dicomweb(line)


def _require_admin(actor: User) -> None:
    if not actor.is_superuser:
        raise NotAllowed(
            "NOT_ALLOWED", "Only an administrator names remotes.", "Ask an administrator."
        )


def _write(remote: Remote, facts: RemoteFacts) -> None:
    remote.url = address_of(facts.url)
    if facts.sign_in not in SignIn.values:
        raise BadInput("BAD_SIGN_IN", "That is no way to sign in.", "Choose one of the list.")
    remote.sign_in = facts.sign_in
    remote.username = facts.username if facts.sign_in == SignIn.BASIC else ""
    if facts.sign_in == SignIn.NONE:
        remote.secret = ""
    elif facts.secret is not None:
        _require_header(facts.secret)
        remote.secret = seal(facts.secret)
    if remote.sign_in != SignIn.NONE and not remote.secret:
        raise BadInput(
            "SECRET_NEEDED",
            "This way to sign in needs a password or token.",
            "Enter it, or choose to go without signing in.",
        )
    if facts.sign_in == SignIn.BASIC and (not facts.username or ":" in facts.username):
        raise BadInput(
            "USER_NEEDED", "A password needs a user name without a colon.", "Enter the user name."
        )
    remote.verify_tls = facts.verify_tls
    remote.ca_certificates = facts.ca_certificates.strip()
    trust_of(remote)


def _require_header(secret: str) -> None:
    if not secret or not secret.isascii() or not secret.isprintable() or len(secret) > 4000:
        raise BadInput(
            "BAD_SECRET",
            "A password or token is printable ASCII, at most 4000 characters.",
            "Enter it again, without line ends.",
        )


def address_of(text: str) -> str:
    """The base address, without its last slash; raises `BadInput` for what is none."""
    url = text.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _bad_address("That is no address.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise _bad_address("An address begins with http:// or https:// and names a server.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise _bad_address("An address holds no password, ? or #.")
    if len(url) > 400 or not url.isascii() or not url.isprintable() or set(' \\"<>') & set(url):
        raise _bad_address("An address has at most 400 characters and no blanks.")
    return url


def _bad_address(sentence: str) -> BadInput:
    return BadInput(
        "BAD_ADDRESS", sentence, "Enter one such as https://pacs.example.org/dicom-web."
    )


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _record(action: str, remote: Remote, actor: User) -> None:
    record(
        action,
        remote,
        actor=actor,
        name=remote.name,
        url=remote.url,
        sign_in=remote.sign_in,
        username=remote.username,
        verify_tls=remote.verify_tls,
        own_certificates=bool(remote.ca_certificates),
        news=[News("coordinators", "remote.changed", {"remote": remote.name})],
    )
