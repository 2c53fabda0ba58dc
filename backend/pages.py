"""What every page shows, and the pages that belong to no room."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from backend.errors import BadInput, ConcordError, Missing
from backend.middleware import error_answer
from backend.version import RESEARCH_NOTICE, VERSION


def product(request: HttpRequest) -> dict[str, Any]:
    """Template context: the product's name, version and notice; whether this is a demo."""
    return {
        "product": "Concord",
        "version": VERSION,
        "research_notice": RESEARCH_NOTICE,
        "demo": settings.DEMO,
    }


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Any address that leads nowhere."""
    return error_answer(request, Missing("page"))


def unreadable(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """A request that Django itself cannot read: a broken form, too many fields, another's host."""
    error = BadInput(
        "BAD_REQUEST",
        "The request cannot be read: its form is broken, has too many fields or comes by a host "
        "name that is not this server's.",
        "Send it again, whole; a search with fewer parameters, many files in several requests.",
    )
    return error_answer(request, error)


def forbidden(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form sent without its token (signed out in another tab, or an old page)."""
    error = BadInput("FORM_EXPIRED", "This form has expired.", "Reload the page and send it again.")
    return error_answer(request, error)


def chosen_id(text: str, what: str) -> UUID:
    """What was chosen from a list of a form; raises `BadInput` where nothing was."""
    try:
        return UUID(text)
    except ValueError:
        raise BadInput(
            "NOTHING_CHOSEN", f"No {what} was chosen.", "Choose one from the list."
        ) from None


def said_back(request: HttpRequest, error: ConcordError, place: str, **where: Any) -> HttpResponse:
    """Back to the page with the sentence; who may not is refused by the status too."""
    if error.status in (403, 404):
        raise error
    messages.error(request, str(error))
    answer: HttpResponse = redirect(place, **where)
    return answer
