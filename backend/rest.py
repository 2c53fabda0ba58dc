"""DRF's bodies and errors in the shape of ours."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import IO, Any

from django.core.exceptions import RequestDataTooBig
from rest_framework import exceptions as drf
from rest_framework.parsers import JSONParser
from rest_framework.response import Response
from rest_framework.views import exception_handler

from backend.errors import BadInput, ConcordError, Missing

# Escapes that make text the database cannot hold: a NUL, half a surrogate pair.
_ODD_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


class StorableJSONParser(JSONParser):
    """JSON that the database can hold: no NUL, no half character, no infinite number."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """The value; raises DRF's `ParseError`."""
        try:
            return storable_json(stream.read())
        except ValueError as error:
            raise drf.ParseError(f"The body is not JSON that can be kept: {error}.") from error


def storable_json(data: bytes) -> Any:
    """The value of JSON text; raises `ValueError` where the database could not hold it."""
    value = json.loads(data.decode(), parse_float=_finite, parse_constant=_no_number)
    if _ODD_ESCAPE.search(data):
        _require_text(value)
    return value


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _no_number(text: str) -> float:
    raise ValueError(f"{text[:40]} is not a number")


def _require_text(value: Any) -> None:
    """Raise `ValueError` where a text of a JSON value has a NUL or half a character."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str) and (
            "\0" in one or one.encode("utf-8", "ignore").decode() != one
        ):
            raise ValueError("a text in it holds a NUL or half a character")


def handle(exception: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: every error in the one shape."""
    if isinstance(exception, RequestDataTooBig):
        exception = BadInput("BODY_TOO_LARGE", "The body is too large.", "Send it in parts.")
    elif isinstance(exception, RecursionError):
        exception = BadInput(
            "TOO_DEEP", "The body is nested too deeply.", "Send what the API's schema describes."
        )
    if isinstance(exception, ConcordError):
        return Response(exception.body(), status=exception.status, headers=exception.headers)
    response = exception_handler(exception, context)
    if response is None:
        return None
    code = "ERROR"
    message, cure = str(getattr(exception, "detail", exception)), ""
    if isinstance(exception, drf.NotAuthenticated | drf.AuthenticationFailed):
        code, cure = "NOT_SIGNED_IN", "Sign in, or send a valid token."
    elif isinstance(exception, drf.PermissionDenied) and message.startswith("CSRF"):
        code, cure = "CSRF", "Reload the page and send it again, with its CSRF token."
    elif isinstance(exception, drf.NotAcceptable):
        code, cure = "NOT_ACCEPTABLE", "Ask for application/json."
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
