"""Short-lived permissions to fetch what lies ready, in a web process's memory for `fast_route`.

Django decides who may see a series, as always; what it allowed is remembered here for a few
seconds under the credential and the address that it was allowed for. Whatever takes a permission
away says so with `audit.services.revoke_grants`, and every process forgets all of its grants.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from backend.archive.models import Instance, Series
from backend.audit.models import Event
from backend.audit.services import record
from backend.store import BlobMissing, store

if TYPE_CHECKING:
    from backend.accounts.models import User

SECONDS = 5.0
_GRANTS = 4096
_TABLES = 64
READY_BYTES = 16 << 20


@dataclass(frozen=True)
class Placed:
    """Where the native frames of one instance lie: file, offset and length of a frame, bytes."""

    path: str
    blob: str
    offset: int
    frame_bytes: int
    frames: int


Table: TypeAlias = Mapping[str, Placed]
# Accept header, host, and scheme as a proxy names it: addresses in an answer are made of these.
Asked: TypeAlias = tuple[str, str, str]


@dataclass(frozen=True)
class Document:
    """A gzipped answer in the content store; `etag` is the one Django gives it."""

    blob: str
    etag: str


@dataclass(frozen=True)
class Ready:
    """A whole answer as Django gave it; `asked` is what it depended on beside the address."""

    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    asked: Asked


Granted: TypeAlias = Table | Document | Ready


@dataclass(frozen=True)
class Grant:
    """Until when (monotonic seconds) something may be sent: frames by SOP UID, or an answer."""

    until: float
    what: Granted


_lock = Lock()
_grants: OrderedDict[tuple[str, str], Grant] = OrderedDict()
_tables: OrderedDict[UUID, tuple[object, Table]] = OrderedDict()
_viewed: set[tuple[object, str, UUID]] = set()


def granted(credential: str, address: str) -> Granted | None:
    """What this credential may have at this address, None where Django must be asked."""
    found = _grants.get((credential, address))
    if found is None or found.until < time.monotonic():
        return None
    return found.what


def forget_all() -> None:
    """Ask Django again for everything."""
    with _lock:
        _grants.clear()


def credential_of(authorization: str | None, session: str | None) -> str | None:
    """All that the asker identifies with: which of it counts is `access_of`'s to know."""
    return f"{authorization or ''}\n{session or ''}" if authorization or session else None


def allow(request: HttpRequest, address: str, what: Granted) -> None:
    """Remember that this request's credential was allowed something at an address."""
    credential = credential_of(
        request.headers.get("Authorization"), request.COOKIES.get(settings.SESSION_COOKIE_NAME)
    )
    if credential is None:
        return
    with _lock:
        _grants[credential, address] = Grant(time.monotonic() + SECONDS, what)
        _grants.move_to_end((credential, address))
        ready = sum(len(g.what.body) for g in _grants.values() if isinstance(g.what, Ready))
        while len(_grants) > _GRANTS or (ready > READY_BYTES and len(_grants) > 1):
            _, gone = _grants.popitem(last=False)
            ready -= len(gone.what.body) if isinstance(gone.what, Ready) else 0


def asked_of(accept: str, host: str, scheme: str) -> Asked:
    """What an answer may depend on beside its address and who asks."""
    return accept, host, scheme


def listed(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A view of a series' list of instances that may be given again for a few seconds.

    Only where somebody had the series' metadata: then its next image takes all grants away
    (`storing`).
    """

    @wraps(view)
    def answer(request: HttpRequest, **parts: Any) -> HttpResponseBase:
        response = view(request, **parts)
        if request.method != "GET" or request.GET or not isinstance(response, HttpResponse):
            return response
        if response.status_code == 200 and _is_watched(parts["series"]):
            told = [(k.lower().encode(), v.encode("latin-1")) for k, v in response.items()]
            names = ("Accept", "Host", "X-Forwarded-Proto")
            asked = asked_of(*(request.headers.get(name, "") for name in names))
            allow(request, request.path, Ready(tuple(told), response.content, asked))
        return response

    return answer


def _is_watched(series_uid: str) -> bool:
    """Whether a new image of the series takes away what was granted of it."""
    kept = Series.objects.filter(uid=series_uid)
    return kept.exclude(metadata_blob="", metadata_blob_unnamed="").exists()


def allow_frames(request: HttpRequest, instance: Instance, *, root: str, user: User | None) -> None:
    """Remember that this request was allowed the series of this instance."""
    prefix, found, _ = request.path.partition("/instances/")
    if not found:
        return
    series = Series.objects.only("pk", "received_at").get(pk=instance.series_id)
    allow(request, prefix, _table_of(series))
    if user is not None:
        note_view(series, root, user)


def _table_of(series: Series) -> Table:
    known = _tables.get(series.pk)
    if known is not None and known[0] == series.received_at:
        return known[1]
    rows = Instance.objects.filter(
        series=series, pixel_offset__isnull=False, frame_bytes__isnull=False
    ).values_list("sop_uid", "blob", "pixel_offset", "frame_bytes", "frames")
    table: dict[str, Placed] = {}
    for sop, blob, offset, size, frames in rows:
        try:
            path = str(store().path(blob))
        except BlobMissing:  # Kept elsewhere or lost: Django answers, or says so.
            continue
        table[sop] = Placed(path, blob, offset or 0, size or 0, frames)
    with _lock:
        _tables[series.pk] = (series.received_at, table)
        while len(_tables) > _TABLES:
            _tables.popitem(last=False)
    return table


def note_view(series: Series, root: str, user: User) -> None:
    """One event for the first time that someone looks at a series' images under an address."""
    key = (user.pk, root, series.pk)
    if key in _viewed:
        return
    told = Event.objects.filter(
        action="images.viewed", subject_id=str(series.pk), actor=user, facts__root=root
    )
    if not told.exists():
        record("images.viewed", series, actor=user, root=root)
    _viewed.add(key)
