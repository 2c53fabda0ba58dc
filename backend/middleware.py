"""Errors of pages and plain views: a page that says what to do, or the one JSON shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from backend.errors import ConcordError, Missing, bad_text

_CSP = (
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'self'; frame-ancestors 'none'; form-action 'self'"
)
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_OWN_BODIES = ("/api/", "/dicom-web/")


class ErrorPages:
    """Turns `ConcordError` into an answer and gives every page its content policy."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and add the policy where the view set none."""
        if "\0" in request.path:  # No file and no record has such a name.
            response = error_answer(request, Missing("page"))
        else:
            response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", _CSP)
        return response

    def process_view(
        self, request: HttpRequest, view: Any, arguments: Any, named: Any
    ) -> HttpResponse | None:
        """Refuse what no database can keep, whichever field it stands in."""
        return error_answer(request, bad_text()) if _holds_nul(request) else None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """A named error becomes its page or its JSON; others are Django's."""
        if isinstance(error, Http404):
            error = Missing("page")
        if not isinstance(error, ConcordError):
            return None
        return error_answer(request, error)


def error_answer(request: HttpRequest, error: ConcordError) -> HttpResponse:
    """The error as JSON for programs, as a page for people."""
    if _wants_json(request):
        return JsonResponse(error.body(), status=error.status, headers=error.headers)
    context = {"status": error.status, "message": error.message, "cure": error.cure}
    answer = render(request, "error.html", context, status=error.status)
    for name, value in error.headers.items():
        answer[name] = value
    return answer


def _holds_nul(request: HttpRequest) -> bool:
    """Whether a NUL stands in the address or in a form; API and DICOMweb read bodies their way."""
    query = request.META.get("QUERY_STRING", "")
    if "%00" in query or "\0" in query:
        return True
    if request.method != "POST" or request.content_type not in _FORMS:
        return False
    if request.path.startswith(_OWN_BODIES):
        return False
    fields = request.POST.lists()
    return any("\0" in text for name, values in fields for text in (name, *values))


def _wants_json(request: HttpRequest) -> bool:
    if request.path.startswith(("/api/", "/dicom-web/", "/wado", "/healthz", "/readyz")):
        return True
    return "text/html" not in request.headers.get("Accept", "text/html")
