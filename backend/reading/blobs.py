"""The API of masks and slices: immutable bytes under their own hash."""

from __future__ import annotations

import gzip
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView
from zstandard import ZstdCompressor

from backend.imaging.masks import canonical_json
from backend.jobs.protocol import MASK_MEDIA_TYPE
from backend.reading import selectors, services
from backend.reading.maskstore import packed, packed_as_put
from backend.reading.serializers import ErrorAnswer
from backend.store import store

# Whose bytes may change who sees them, but never what they are.
IMMUTABLE = "private, max-age=31536000, immutable"
GZIP_LEVEL = 1


def encodings(request: HttpRequest | Request) -> set[str]:
    """The content codings a client takes."""
    header = request.META.get("HTTP_ACCEPT_ENCODING", "")
    offers = (part.strip().partition(";") for part in header.lower().split(","))
    return {name.strip() for name, _, q in offers if q.replace(" ", "") not in ("q=0", "q=0.0")}


def immutable(
    request: Request, name: str, media_type: str, bytes_of: Callable[[str], tuple[bytes, str]]
) -> HttpResponse:
    """An answer that never changes, known by `name`; nothing is read for who has it already.

    `bytes_of(coding)` gives the body and its coding.
    """
    taken = encodings(request)
    coding = "zstd" if "zstd" in taken else "gzip" if "gzip" in taken else ""
    tag = f'"{name}{"-" + coding if coding else ""}"'
    if tag in [part.strip() for part in request.META.get("HTTP_IF_NONE_MATCH", "").split(",")]:
        response = HttpResponse(status=304)
    else:
        body, used = bytes_of(coding)
        response = HttpResponse(body, content_type=media_type)
        if used:
            response["Content-Encoding"] = used
    response["ETag"] = tag
    response["Cache-Control"] = IMMUTABLE
    response["Vary"] = "Accept-Encoding, Cookie, Authorization"
    return response


def compressed(body: bytes, coding: str) -> tuple[bytes, str]:
    """The body in a content coding."""
    if coding == "zstd":
        return ZstdCompressor(level=3).compress(body), coding
    if coding == "gzip":
        return gzip.compress(body, GZIP_LEVEL, mtime=0), coding
    return body, ""


class MaskView(APIView):
    """`GET /api/masks/{hash}`."""

    @extend_schema(
        operation_id="mask_manifest",
        responses={(200, "application/json"): OpenApiTypes.OBJECT, 404: ErrorAnswer},
    )
    def get(self, request: Request, mask: str) -> HttpResponseBase:
        """The canonical manifest: its SHA-256 is the hash it is asked for by."""
        found = selectors.mask_for(request.user, mask)
        services.note_look(
            user=selectors.person(request.user), case=found.case, what=f"mask {mask}"
        )
        body = canonical_json(found.manifest_json)
        return immutable(request, mask, "application/json", lambda coding: compressed(body, coding))


class MaskVolumeView(APIView):
    """`GET /api/masks/{hash}/volume`."""

    @extend_schema(
        operation_id="mask_volume",
        responses={(200, MASK_MEDIA_TYPE): OpenApiTypes.BINARY, 404: ErrorAnswer},
    )
    def get(self, request: Request, mask: str) -> HttpResponseBase:
        """All labelled slices in one container."""
        found = selectors.mask_for(request.user, mask)
        services.note_look(
            user=selectors.person(request.user), case=found.case, what=f"mask {mask}"
        )

        def bytes_of(coding: str) -> tuple[bytes, str]:
            put = packed_as_put(found) if coding == "zstd" else None
            return (put, coding) if put is not None else compressed(packed(found), coding)

        return immutable(request, f"{mask}-volume", MASK_MEDIA_TYPE, bytes_of)


class SliceView(APIView):
    """`GET /api/slices/{hash}`."""

    @extend_schema(
        operation_id="slice_labels",
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY, 404: ErrorAnswer},
    )
    def get(self, request: Request, blob: str) -> HttpResponseBase:
        """One slice of labels: uint16 little-endian, row-major."""
        name = selectors.slice_for(request.user, blob)

        def bytes_of(coding: str) -> tuple[bytes, str]:
            if coding == "zstd":
                return store().read_zstd(name), coding
            return compressed(store().read(name), coding)

        return immutable(request, name, "application/octet-stream", bytes_of)
