"""DRF's errors in the shape of ours."""

from __future__ import annotations

from typing import Any

from rest_framework import exceptions as drf
from rest_framework.response import Response
from rest_framework.views import exception_handler

from backend.errors import ConcordError, Missing


def handle(exception: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: every error in the one shape."""
    if isinstance(exception, ConcordError):
        return Response(exception.body(), status=exception.status)
    response = exception_handler(exception, context)
    if response is None:
        return None
    code = "ERROR"
    message, cure = str(getattr(exception, "detail", exception)), ""
    if isinstance(exception, drf.NotAuthenticated | drf.AuthenticationFailed):
        code, cure = "NOT_SIGNED_IN", "Sign in, or send a valid token."
    elif isinstance(exception, drf.PermissionDenied):
        code, cure = "NOT_ALLOWED", "Ask the coordinator for the role this needs."
    elif response.status_code == 404:
        return Response(Missing("page").body(), status=404)
    elif isinstance(exception, drf.ValidationError):
        code, cure = "BAD_INPUT", "Correct the fields named and send again."
        message = "; ".join(_sentences(exception.detail))
    elif isinstance(exception, drf.ParseError | drf.UnsupportedMediaType):
        code, cure = "BAD_INPUT", "Send what the API's schema describes."
    elif isinstance(exception, drf.MethodNotAllowed):
        code, cure = "BAD_METHOD", "Use one of the methods in the Allow header."
    response.data = {"error": code, "message": message, "cure": cure, "possible": []}
    return response


def _sentences(detail: Any, path: str = "") -> list[str]:
    if isinstance(detail, dict):
        return [s for k, v in detail.items() for s in _sentences(v, f"{path}{k}: ")]
    if isinstance(detail, list):
        return [s for v in detail for s in _sentences(v, path)]
    return [f"{path}{detail}"]
