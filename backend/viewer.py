"""The reading viewer under /viewer/: the vendored OHIF, our configuration and our extension.

Everything is for signed-in users. Addresses of the viewer's own routes answer its one page;
files come compressed where the browser takes that, and hashed files are kept for a year.
"""

from __future__ import annotations

import json
import mimetypes
import re
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import cast
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified, HttpResponseRedirect
from django.middleware.csrf import get_token
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from backend.accounts.models import User
from backend.errors import ConcordError, Missing

DIST = settings.BASE_DIR / "frontend" / "dist"
HOST, EXTENSION = DIST / "viewer", DIST / "ext"
CONFIGURATION = "app-config.js"
PAGE = "index.html"

# OHIF styles its elements inline; its workers start from its own files or from blobs.
CONTENT_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "connect-src 'self' data: blob:; object-src 'none'; base-uri 'self'; "
    "frame-ancestors 'none'; form-action 'self'"
)
_HASHED = re.compile(r"(\.[0-9a-f]{16}\.js|^[0-9a-f]{16}\.(wasm|woff2))$")
_FOREVER = "private, max-age=31536000, immutable"
mimetypes.add_type("text/javascript", ".js")
mimetypes.add_type("application/wasm", ".wasm")
mimetypes.add_type("font/woff2", ".woff2")


class ViewerMissing(ConcordError):
    """The viewer's files have not been put in place."""

    status = HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self) -> None:
        super().__init__(
            "VIEWER_MISSING", "The viewer is not installed.", "Run make setup, then reload."
        )


@require_safe
def serve(request: HttpRequest, path: str = "") -> HttpResponse:
    """A file of the viewer, or its page for any of its routes."""
    if not request.user.is_authenticated:
        query = urlencode({"next": request.get_full_path()})
        return HttpResponseRedirect(f"{settings.LOGIN_URL}?{query}")
    response = _answer(request, path)
    response["Content-Security-Policy"] = CONTENT_POLICY
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _answer(request: HttpRequest, path: str) -> HttpResponse:
    if path == CONFIGURATION:
        return _configuration(request)
    if path.startswith("ext/"):
        return _file(request, EXTENSION, path.removeprefix("ext/"))
    if PurePosixPath(path).suffix and "/" not in path.rstrip("/"):
        return _file(request, HOST, path)
    if path.startswith(("assets/", "customizations/")):
        return _file(request, HOST, path)
    get_token(request)  # The extension sends the CSRF cookie back with every change.
    return _file(request, HOST, PAGE)


def _configuration(request: HttpRequest) -> HttpResponse:
    """The viewer's configuration, with who is reading, their keys and where the worklist is."""
    user = cast(User, request.user)
    reader = {
        "user": str(user.pk),
        "name": user.shown_name,
        "worklist": reverse("worklist"),
        "keys": user.keys,
    }
    try:
        configuration = (EXTENSION / CONFIGURATION).read_text()
    except FileNotFoundError:
        raise ViewerMissing from None
    response = HttpResponse(
        f"window.concord={json.dumps(reader)};\n{configuration}", content_type="text/javascript"
    )
    response["Cache-Control"] = "no-store"
    return response


def _file(request: HttpRequest, root: Path, name: str) -> HttpResponse:
    if not (HOST / PAGE).is_file():
        raise ViewerMissing
    try:
        file = (root / name).resolve()
        found = file.is_relative_to(root) and file.is_file() and not file.name.startswith(".")
    except (OSError, ValueError):  # A name that no file can have: too long, or with a NUL.
        found = False
    if not found:
        raise Missing("file")
    squeezed = file.with_name(f"{file.name}.gz")
    gzip = squeezed.is_file() and "gzip" in request.headers.get("Accept-Encoding", "")
    sent = squeezed if gzip else file
    stamp = sent.stat()
    tag = f'"{stamp.st_mtime_ns:x}-{stamp.st_size:x}"'
    response: HttpResponse
    if tag in request.headers.get("If-None-Match", ""):
        response = HttpResponseNotModified()
    else:
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        response = HttpResponse(sent.read_bytes(), content_type=kind)
        if gzip:
            response["Content-Encoding"] = "gzip"
    response["ETag"] = tag
    response["Cache-Control"] = _FOREVER if _HASHED.search(file.name) else "private, no-cache"
    patch_vary_headers(response, ("Accept-Encoding",))
    return response
