"""STOW-RS: instances sent over DICOMweb."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from backend.archive.accept import json_type
from backend.archive.access import Access
from backend.archive.receiving import store_instances
from backend.archive.sources import MAX_FILE_BYTES
from backend.archive.streaming import parts_of
from backend.archive.taking import Taken
from backend.errors import BadInput, ConcordError, Missing, NotAllowed

# Failure reasons of PS3.18 table I.2-2 (and PS3.4 for storage).
_CANNOT_UNDERSTAND = 0xC000
_MISMATCH = 0xA900
_REFUSED = 0x0122
_DUPLICATE = 0x0111
_PROCESSING = 0x0110
_COERCED = 0xB000  # A warning: stored, but de-identified, under a UID of its own.
_REASONS = {
    "OTHER_STUDY": _MISMATCH,
    "SERIES_ELSEWHERE": _MISMATCH,
    "STUDY_PATIENT": _MISMATCH,
    "SERIES_MODALITY": _MISMATCH,
    "SAME_UID_OTHER_PIXELS": _DUPLICATE,
    "SAME_UID_OTHER_HEADER": _DUPLICATE,
    "LATE_IMAGE": _REFUSED,
    "UNSUPPORTED_SYNTAX": _REFUSED,
    "TOO_LARGE": 0xA700,
    "NOT_STORED": _PROCESSING,
}


class UnsupportedMedia(ConcordError):
    """The body is not what STOW-RS takes."""

    status = 415


class TooLarge(BadInput):
    """The request is larger than the server takes at once."""

    status = 413


class _Counted:
    """A request's body that ends with `TooLarge` where more comes than is taken at once.

    Content-Length is only what the sender says, and a chunked body has none.
    """

    def __init__(self, request: HttpRequest, limit: int) -> None:
        self._request, self._limit, self._left = request, limit, limit
        into = getattr(getattr(request, "_stream", None), "readinto", None)
        if into is not None:  # What Django's request would copy once more.
            self._into, self.readinto = into, self._fill

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; none at the end."""
        most = self._left + 1
        data = self._request.read(most if size < 0 else min(size, most))
        self._count(len(data))
        return data

    def _fill(self, room: memoryview, /) -> int:
        count: int = self._into(room[: self._left + 1])
        self._count(count)
        return count

    def _count(self, more: int) -> None:
        self._left -= more
        if self._left < 0:
            raise _too_large(self._limit)


def store_request(request: HttpRequest, access: Access, study: str | None) -> HttpResponse:
    """`POST /studies[/{study}]` of multipart/related application/dicom."""
    if access.user is None or access.root != "/dicom-web":
        raise Missing("study")
    if not access.sees_names:  # Who may upload sees names, and nobody else does.
        raise NotAllowed(
            "NOT_ALLOWED", "Only a coordinator may add to the archive.", "Ask your coordinator."
        )
    json_type(request)
    limit = settings.MAX_UPLOAD_BYTES
    if request.content_type == "application/dicom":
        limit = min(limit, MAX_FILE_BYTES)
    length = request.headers.get("Content-Length", "0")
    if not length.isdecimal() or int(length) > limit:
        raise _too_large(limit)
    body = _Counted(request, limit)
    taken = store_instances(
        files=_files(request, body), actor=access.user, source="DICOMweb", study_uid=study
    )
    if not taken:
        raise BadInput("EMPTY", "The request holds no instance.", "Send at least one part.")
    return _answer(request, taken)


def _files(request: HttpRequest, body: _Counted) -> Iterator[Callable[[], bytes]]:
    kind = request.content_type or ""
    parameters = {k.lower(): v for k, v in (request.content_params or {}).items()}
    if kind == "application/dicom":
        data = body.read()
        yield lambda: data
        return
    if kind != "multipart/related" or not parameters.get("boundary"):
        raise _unsupported()
    if parameters.get("type", "application/dicom").lower() != "application/dicom":
        raise _unsupported()
    for _header, read in parts_of(body, parameters["boundary"]):
        yield read


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        "TOO_LARGE",
        f"The request is larger than {limit >> 20} MiB.",
        "Send fewer instances at once, or raise CONCORD_MAX_UPLOAD_BYTES.",
    )


def _unsupported() -> UnsupportedMedia:
    return UnsupportedMedia(
        "UNSUPPORTED_MEDIA_TYPE",
        "Instances are taken as multipart/related of application/dicom.",
        'Send Content-Type: multipart/related; type="application/dicom"; boundary=…',
    )


def _answer(request: HttpRequest, taken: list[Taken]) -> HttpResponse:
    """The standard's answer: what is here now, and what is not and why (in Text Value)."""
    stored: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []
    root = request.build_absolute_uri("/dicom-web/studies")
    for one in taken:
        if one.instance is not None:
            series = one.instance.series
            address = f"{root}/{series.study.uid}/series/{series.uid}"
            address = f"{address}/instances/{one.instance.sop_uid}"
            said = {
                "00081150": _uid(one.instance.sop_class_uid),
                "00081155": _uid(one.instance.sop_uid),
                "00081190": {"vr": "UR", "Value": [address]},
            }
            if one.deidentified:
                said["00081196"] = {"vr": "US", "Value": [_COERCED]}
            stored.append(said)
        elif one.kept is not None:
            reason = _REASONS.get(one.kept.code, _CANNOT_UNDERSTAND)
            failure = {
                "00081197": {"vr": "US", "Value": [reason]},
                "0040A160": {"vr": "UT", "Value": [f"{one.kept.message} {one.kept.cure}"]},
            }
            if one.kept.sop_uid:
                uids = {"00081155": _uid(one.kept.sop_uid)}
                if one.sop_class_uid:
                    uids["00081150"] = _uid(one.sop_class_uid)
                failed.append({**uids, **failure})
            else:
                others.append(failure)
    body = {
        tag: {"vr": "SQ", "Value": items}
        for tag, items in (("00081198", failed), ("00081199", stored), ("0008119A", others))
        if items
    }
    bad = bool(failed or others) or any(one.deidentified for one in taken)
    status = 200 if not bad else (202 if stored else 409)
    return HttpResponse(json.dumps(body), content_type="application/dicom+json", status=status)


def _uid(value: str) -> dict[str, Any]:
    return {"vr": "UI", "Value": [value]}
