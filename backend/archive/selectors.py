"""What the archive's page shows, for those who may upload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Count, QuerySet

from backend.archive.content.models import ContentCheck
from backend.archive.models import KeptAside, Receipt, Series, VolumeState
from backend.archive.visibility import may_upload

if TYPE_CHECKING:
    from backend.accounts.models import User


def receipts(user: User) -> QuerySet[Receipt]:
    """Batches, newest first; none for who may not upload."""
    found = Receipt.objects.select_related("actor")
    return found if may_upload(user) else found.none()


def kept_aside(user: User) -> QuerySet[KeptAside]:
    """Files that were not taken, newest first; none for who may not upload."""
    found = KeptAside.objects.select_related("receipt")
    return found if may_upload(user) else found.none()


def quarantined(user: User) -> QuerySet[Series]:
    """Series that form no volume, newest first; none for who may not upload."""
    found = (
        Series.objects.filter(volume_state=VolumeState.QUARANTINED)
        .select_related("study")
        .annotate(images=Count("instances"))
        .order_by("-judged_at")
    )
    return found if may_upload(user) else found.none()


def series_of(receipt: Receipt) -> QuerySet[Series]:
    """The series to which a batch added images."""
    touched = receipt.instances.values("series")
    return Series.objects.filter(pk__in=touched).order_by("study__uid", "number", "uid")


def series_of_batch(receipt: Receipt) -> QuerySet[Series]:
    """The series a batch added images to, each with how many `images` it has now."""
    return series_of(receipt).select_related("study").annotate(images=Count("instances"))


def last_content_check(user: User) -> ContentCheck | None:
    """The last verification of the content store; None for who may not upload."""
    return ContentCheck.objects.first() if may_upload(user) else None
