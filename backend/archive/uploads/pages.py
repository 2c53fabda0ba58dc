"""What the upload page's script asks for. All answers are JSON; who is signed out is told so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import IO, Any, TypeAlias, cast
from uuid import UUID, uuid4

from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.views.decorators.http import require_http_methods

from backend.accounts.models import User
from backend.archive import registry, selectors
from backend.archive.models import Door, Series
from backend.archive.naming import named
from backend.archive.origins import chosen_at
from backend.archive.receipts import close_receipt, open_receipt
from backend.archive.receiving import take_upload
from backend.archive.sources import printable
from backend.archive.uploads import services
from backend.archive.uploads.files import Said, kept_of
from backend.archive.uploads.models import Upload, UploadedFile
from backend.archive.visibility import require_upload
from backend.errors import BadInput, ConcordError

_READ_BYTES = 1 << 20
_FILES_TOLD = 50_000

View: TypeAlias = Callable[..., HttpResponse]


class SignedOut(ConcordError):
    """The session has ended; the page goes on once someone signed in in another tab."""

    status = 401


def uploading(*methods: str) -> Callable[[View], View]:
    """For who may upload; with `person` as the second argument."""

    def around(view: View) -> View:
        @require_http_methods(list(methods))
        @wraps(view)
        def checked(request: HttpRequest, **given: Any) -> HttpResponse:
            return view(request, uploader(request), **given)

        return checked

    return around


def uploader(request: HttpRequest) -> User:
    """Who asks, if they may upload.

    Raises:
        SignedOut: nobody is signed in.
        NotAllowed: someone who may not.
    """
    user = cast(User, request.user)
    if not user.is_authenticated:
        raise SignedOut(
            "SIGNED_OUT", "You are signed out.", "Sign in again in another tab; then this goes on."
        )
    return require_upload(user)


@uploading("GET", "POST")
def batches(request: HttpRequest, person: User) -> HttpResponse:
    """`GET /archive/upload/batches`: one's batches that did not end; `POST`: begin one.

    A batch tells which of its files are here: the key of each (`Said.key`), and whether it is here
    whole (1) or in part (0).
    """
    if request.method == "GET":
        return JsonResponse({"batches": [_batch(one) for one in services.unfinished(person)[:5]]})
    upload = services.open_upload(
        actor=person,
        receipt_id=_receipt(request),
        source=request.POST.get("source", ""),
        files=_number(request, "files"),
        size=_number(request, "bytes"),
    )
    return JsonResponse(_batch(upload))


@uploading("POST")
def upload(request: HttpRequest, person: User) -> HttpResponse:
    """`POST /archive/upload`: one file whole, of the batch `receipt` (a UUID the page made).

    Without `receipt` (no script) all `files` are one batch that ends here.
    """
    if "receipt" not in request.POST:
        return _without_script(request, person)
    source = request.FILES.get("file")
    if source is None:
        raise _no_file()
    name = request.POST.get("name") or source.name or "file"
    said = _said(request, name, source.size or 0)
    file = services.take_whole(
        actor=person,
        receipt_id=_receipt(request),
        said=said,
        source=cast(IO[bytes], source.file),
    )
    return JsonResponse(_told(file))


@uploading("POST")
def several(request: HttpRequest, person: User) -> HttpResponse:
    """`POST /archive/upload/several`: small files, each whole, of the batch `receipt`.

    For the n-th `file` the n-th of `name`, `modified` and `copy` says what it is.
    """
    sent = request.FILES.getlist("file")
    told = [request.POST.getlist(field) for field in ("name", "modified", "copy")]
    if not sent or any(len(values) != len(sent) for values in told):
        raise BadInput(
            "BAD_FILES",
            "Not every file says what it is.",
            "Send name, modified and copy with each.",
        )
    files = [
        (
            Said(name[:4096], source.size or 0, _integer(modified), _natural(copy)),
            cast(IO[bytes], source.file),
        )
        for source, name, modified, copy in zip(sent, *told, strict=True)
    ]
    taken = services.take_several(actor=person, receipt_id=_receipt(request), files=files)
    return JsonResponse({"files": [_told(file) for file in taken]})


@uploading("POST")
def begin(request: HttpRequest, person: User) -> HttpResponse:
    """`POST /archive/upload/begin`: a file that comes in pieces; `received` says where to go on."""
    said = _said(request, request.POST.get("name", ""), _number(request, "size", -1))
    file = services.begin_file(actor=person, receipt_id=_receipt(request), said=said)
    return JsonResponse(_told(file))


@uploading("POST")
def piece(request: HttpRequest, person: User, uploaded_file: UUID) -> HttpResponse:
    """`POST /archive/upload/files/{id}?offset=`: bytes of a file, as they are."""
    offset = request.GET.get("offset", "")
    length = request.headers.get("Content-Length", "")
    if not (offset.isascii() and offset.isdecimal() and len(offset) < 16):
        raise BadInput("BAD_OFFSET", "The piece does not say where it begins.", "Send offset=0.")
    if not (length.isascii() and length.isdecimal()):
        raise BadInput("BAD_LENGTH", "The piece does not say how long it is.", "Send a length.")
    file = services.add_piece(
        actor=person,
        file_id=uploaded_file,
        offset=int(offset),
        length=int(length),
        pieces=_body(request),
    )
    return JsonResponse(_told(file))


@uploading("POST")
def take(request: HttpRequest, person: User, uploaded_file: UUID) -> HttpResponse:
    """`POST /archive/upload/files/{id}/take`: all pieces are here, take the file."""
    name = request.POST.get("name", "")
    file = services.take_pieces(actor=person, file_id=uploaded_file, name=name[:4096])
    return JsonResponse(_told(file))


@uploading("POST")
def close(request: HttpRequest, person: User) -> HttpResponse:
    """`POST /archive/upload/close`: end the batch `receipt`; its series are judged now."""
    receipt, _ = services.end_upload(actor=person, receipt_id=_receipt(request))
    receipt.refresh_from_db()
    series = [_verdict(one, person) for one in selectors.series_of_batch(receipt)]
    counts = {name: getattr(receipt, name) for name in ("stored", "already_here", "kept_aside")}
    return JsonResponse({"receipt": str(receipt.pk), "counts": counts, "series": series})


def _without_script(request: HttpRequest, person: User) -> HttpResponse:
    if not request.FILES:
        raise _no_file()
    chosen = chosen_at(Door.UPLOAD, services.SOURCE, request.POST.get("source", ""))
    receipt = open_receipt(source=chosen, door=Door.UPLOAD, actor=person)
    for one in request.FILES.getlist("files"):
        source = cast(IO[bytes], one.file)
        name = printable(one.name or "file")[:512]
        take_upload(receipt=receipt, name=name, file=source, size=one.size or 0)
    close_receipt(receipt=receipt, actor=person)
    return HttpResponseRedirect("/archive/")


def _batch(upload: Upload) -> dict[str, Any]:
    rows = upload.sent.filter(Q(taken_at__isnull=False) | Q(received__gt=0))
    told = rows.values_list("key", "taken_at")[:_FILES_TOLD]
    receipt = upload.receipt
    return {
        "receipt": str(upload.pk),
        "started": receipt.started_at.isoformat(),
        "source": receipt.source,
        "files": upload.files,
        "bytes": upload.size,
        "counts": {
            "stored": receipt.stored,
            "already_here": receipt.already_here,
            "kept_aside": receipt.kept_aside,
        },
        "here": [[key, int(at is not None)] for key, at in told],
    }


def _told(file: UploadedFile) -> dict[str, Any]:
    return {
        "receipt": str(file.upload_id),
        "file": str(file.pk),
        "received": file.received,
        "taken": file.taken_at is not None,
        "counts": file.counts,
        "kept": [
            {"name": kept.name, "code": kept.code, "message": kept.message, "cure": kept.cure}
            for kept in named(kept_of(file))
        ],
    }


def _verdict(series: Series, person: User) -> dict[str, Any]:
    return {
        "id": str(series.pk),
        "modality": series.modality,
        "description": series.description,
        "images": getattr(series, "images", 0),
        "state": series.volume_state,
        "code": series.volume_code,
        "reason": series.volume_reason,
        "next": [
            {"label": label, "address": address}
            for where_next in registry.where_next
            for label, address in where_next(person, series)
        ],
    }


def _body(request: HttpRequest) -> Iterator[bytes]:
    while data := request.read(_READ_BYTES):
        yield data


def _said(request: HttpRequest, name: str, size: int) -> Said:
    return Said(
        name=name[:4096],
        size=size,
        modified=_integer(request.POST.get("modified", "0")),
        copy=_number(request, "copy"),
    )


def _number(request: HttpRequest, name: str, default: int = 0) -> int:
    return _natural(request.POST.get(name, ""), default)


def _natural(told: str, default: int = 0) -> int:
    return int(told) if told.isascii() and told.isdecimal() and len(told) < 16 else default


def _integer(told: str) -> int:
    return -_natural(told[1:]) if told.startswith("-") else _natural(told)


def _no_file() -> BadInput:
    return BadInput("NO_FILE", "The request holds no file.", "Choose a file and send it again.")


def _receipt(request: HttpRequest) -> UUID:
    try:
        return UUID(request.POST.get("receipt", ""))
    except ValueError:
        raise BadInput(
            "BAD_RECEIPT", "The batch has no proper id.", f"Send a UUID, such as {uuid4()}."
        ) from None
