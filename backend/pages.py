"""What every page shows, and the pages that belong to no room."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from backend.errors import BadInput, Missing
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


def forbidden(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form sent without its token (signed out in another tab, or an old page)."""
    error = BadInput("FORM_EXPIRED", "This form has expired.", "Reload the page and send it again.")
    return error_answer(request, error)
