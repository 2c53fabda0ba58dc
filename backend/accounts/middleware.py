"""Times are stored in UTC and shown in the user's own zone."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable

from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone


class UserTimeZone:
    """Activates the signed-in user's time zone for the templates of this request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Set the zone, answer, unset it."""
        try:
            name = getattr(request.user, "timezone", "UTC")
        except DatabaseError:  # What needs the database says so itself; `/healthz` does not.
            name = "UTC"
        try:
            timezone.activate(zoneinfo.ZoneInfo(name))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError):
            timezone.deactivate()
        try:
            return self.get_response(request)
        finally:
            timezone.deactivate()
