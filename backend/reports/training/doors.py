"""What the worker of a training fetches: the agreed masks of its release's cases, and only those.

The people held out stay closed until the attempt has put its weights: nothing of them can have
gone into what was trained. Their first mask of an attempt counts as one look at them.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request

from backend.accounts.authentication import bearer
from backend.errors import Missing
from backend.imaging.masks import PackedMask, pack_mask
from backend.jobs import results
from backend.jobs.api import LeasedView
from backend.jobs.models import RunAttempt
from backend.jobs.protocol import MASK_MEDIA_TYPE, RunKind
from backend.reading import maskstore
from backend.reading.models import Mask
from backend.reports.releases.models import ReleaseItem
from backend.reports.releases.services import note_look
from backend.reports.training.models import Training
from backend.reports.training.selectors import LOCKED, items_open_to


@extend_schema(responses={(200, MASK_MEDIA_TYPE): OpenApiTypes.BINARY})
class ReferenceView(LeasedView):
    """The agreed mask of one case of the release that a training learns from."""

    def get(self, request: Request, run: UUID, attempt: int, case: UUID) -> HttpResponse:
        """Packed, with its nodes' ids; 404 for a case that is not the training's to see."""
        return _packed(_item(request, run, attempt, case).consensus.mask)


@extend_schema(responses={(200, MASK_MEDIA_TYPE): OpenApiTypes.BINARY})
class IgnoredView(LeasedView):
    """What readers left undecided in that case: neither node nor not."""

    def get(self, request: Request, run: UUID, attempt: int, case: UUID) -> HttpResponse:
        """Packed; 404 where there is none, as for a case that is not the training's to see."""
        return _packed(_item(request, run, attempt, case).consensus.ignored)


def _item(request: Request, run: UUID, number: int, case: UUID) -> ReleaseItem:
    attempt = results.attempt_of(token=bearer(request), run=run, number=number)
    if attempt.run.kind != RunKind.TRAIN:
        raise Missing("reference")
    training = Training.objects.select_related("release", "parent").get(pk=attempt.run.subject_id)
    items = items_open_to(training, attempt.run).filter(case=case)
    item = items.select_related("consensus__mask__case", "consensus__ignored__case").first()
    if item is None:
        raise Missing("reference")
    if item.split == LOCKED:
        _count_look(training.pk, attempt)
    return item


@transaction.atomic
def _count_look(training: UUID, attempt: RunAttempt) -> None:
    """One look for an attempt, however many masks it fetches."""
    found = Training.objects.select_for_update(of=("self",)).get(pk=training)
    if found.looked_in == attempt.number:
        return
    found.looked_in = attempt.number
    found.save(update_fields=["looked_in"])
    note_look(release=found.release, actor=found.asked_by, model=str(found))


def _packed(mask: Mask | None) -> HttpResponse:
    if mask is None:
        raise Missing("reference")
    volume = maskstore.volume(mask)
    body = pack_mask(PackedMask.of_volume(volume, mask.case.geometry_hash, mask.manifest.labels))
    return HttpResponse(body, content_type=MASK_MEDIA_TYPE, headers={"Cache-Control": "no-store"})
