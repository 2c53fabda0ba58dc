"""The archive's page: what came in, what was kept aside and why, and the upload."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET

from backend.archive import selectors
from backend.archive.models import Door
from backend.archive.naming import named
from backend.archive.origins import sources_at
from backend.archive.uploads.pages import uploader
from backend.archive.uploads.services import SOURCE

RECEIPTS_SHOWN = 30
FILES_SHOWN = 200


@require_GET
@login_required
@ensure_csrf_cookie
def archive(request: HttpRequest) -> HttpResponse:
    """`/archive/`: for coordinators and admins."""
    user = uploader(request)
    kept = selectors.kept_aside(user)
    context = {
        "receipts": selectors.receipts(user)[:RECEIPTS_SHOWN],
        "kept": named(kept[:FILES_SHOWN]),
        "kept_in_all": kept.count(),
        "quarantined": selectors.quarantined(user)[:FILES_SHOWN],
        "sources": sources_at(Door.UPLOAD, SOURCE),
        "limit": settings.MAX_UPLOAD_BYTES,
        "limit_mib": settings.MAX_UPLOAD_BYTES >> 20,
        "check": selectors.last_content_check(user),
    }
    return render(request, "archive/archive.html", context)
