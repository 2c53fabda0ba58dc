"""Whose request it is: the user's own time zone, and nobody else's work under their name."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable

from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from backend.errors import ConcordError

PERSON_HEADER = "X-Concord-User"


class AnotherPerson(ConcordError):
    """The page that asks was opened by somebody else than who is signed in now."""

    status = 401

    def __init__(self) -> None:
        super().__init__(
            "ANOTHER_PERSON",
            "Somebody else has signed in in this browser since.",
            "Have them sign out, then sign in again; what is kept here waits for you.",
        )


class SamePerson:
    """Refuses what a page asks that names its reader, where somebody else is signed in by now.

    A browser has one session for all its tabs: without this, one person's kept changes would be
    sent in another's name.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Compare, then answer."""
        named = request.headers.get(PERSON_HEADER)
        user = request.user if named else None
        if user is not None and user.is_authenticated and str(user.pk) != named:
            refused = AnotherPerson()
            return JsonResponse(refused.body(), status=refused.status)
        return self.get_response(request)


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
