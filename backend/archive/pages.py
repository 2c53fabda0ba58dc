"""The archive's page: what came in, what was kept aside and why, and the upload."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any, cast
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from backend.accounts.models import User
from backend.archive import selectors, services
from backend.archive.models import Door, KeptAside, Receipt, Series
from backend.archive.visibility import may_upload
from backend.errors import BadInput, Missing, NotAllowed

RECEIPTS_SHOWN = 30
FILES_SHOWN = 200


@require_GET
@login_required
def archive(request: HttpRequest) -> HttpResponse:
    """`/archive/`: for coordinators and admins."""
    user = _uploader(request)
    kept = selectors.kept_aside(user)
    context = {
        "receipts": selectors.receipts(user)[:RECEIPTS_SHOWN],
        "kept": _named(kept[:FILES_SHOWN]),
        "kept_in_all": kept.count(),
        "quarantined": selectors.quarantined(user)[:FILES_SHOWN],
        "limit_mib": settings.MAX_UPLOAD_BYTES >> 20,
    }
    return render(request, "archive/archive.html", context)


@require_POST
@login_required
def upload(request: HttpRequest) -> HttpResponse:
    """`POST /archive/upload`: one file of the batch `receipt` (a UUID the page made).

    Without `receipt` (no script) all `files` are one batch that ends here.
    """
    user = _uploader(request)
    if "receipt" not in request.POST:
        if not request.FILES:
            raise _no_file()
        receipt = services.open_receipt(source="upload page", door=Door.UPLOAD, actor=user)
        for one in request.FILES.getlist("files"):
            _take(receipt, one, one.name or "file")
        services.close_receipt(receipt=receipt, actor=user)
        return HttpResponseRedirect("/archive/")
    receipt = services.open_receipt(
        source="upload page", door=Door.UPLOAD, actor=user, receipt_id=_uuid(request)
    )
    file = request.FILES.get("file")
    if file is None:
        raise _no_file()
    taken = _take(receipt, file, request.POST.get("name") or file.name or "file")
    outcomes = [one.outcome for one in taken]
    kept = _named([one.kept for one in taken if one.kept is not None])
    return JsonResponse(
        {
            "receipt": str(receipt.pk),
            "counts": {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))},
            "kept": [
                {"name": k.name, "code": k.code, "message": k.message, "cure": k.cure} for k in kept
            ],
        }
    )


@require_POST
@login_required
def close(request: HttpRequest) -> HttpResponse:
    """`POST /archive/upload/close`: end the batch `receipt`; its series are judged now."""
    user = _uploader(request)
    receipt = Receipt.objects.filter(pk=_uuid(request), actor=user).first()
    if receipt is None:
        raise Missing("batch of files")
    services.close_receipt(receipt=receipt, actor=user)
    series = selectors.series_of(receipt)
    return JsonResponse({"receipt": str(receipt.pk), "series": [_series_json(s) for s in series]})


def _series_json(series: Series) -> dict[str, Any]:
    return {
        "id": str(series.pk),
        "modality": series.modality,
        "description": series.description,
        "state": series.volume_state,
        "code": series.volume_code,
        "reason": series.volume_reason,
    }


def _take(receipt: Receipt, file: Any, name: str) -> list[services.Taken]:
    return services.take_upload(
        receipt=receipt, name=name[:512], file=cast(IO[bytes], file.file), size=file.size or 0
    )


def _no_file() -> BadInput:
    return BadInput("NO_FILE", "The request holds no file.", "Choose a file and send it again.")


def _named(kept: Iterable[KeptAside]) -> list[KeptAside]:
    """Files by the names they came with: who may upload knows them."""
    rows = list(kept)
    names = services.names_of(rows)
    for row in rows:
        row.message = row.message.replace(row.name, names[row.pk])
        row.name = names[row.pk]
    return rows


def _uuid(request: HttpRequest) -> UUID:
    try:
        return UUID(request.POST.get("receipt", ""))
    except ValueError:
        raise BadInput(
            "BAD_RECEIPT", "The batch has no proper id.", f"Send a UUID, such as {uuid4()}."
        ) from None


def _uploader(request: HttpRequest) -> User:
    user = cast(User, request.user)
    if not may_upload(user):
        raise NotAllowed(
            "NOT_ALLOWED", "Only coordinators see the archive.", "Ask your coordinator."
        )
    return user
