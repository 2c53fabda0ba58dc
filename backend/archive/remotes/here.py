"""What of a remote is in this archive already."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Count

from backend.archive import origins
from backend.archive.deidentify.links import links
from backend.archive.models import Door, Instance, KeptAside, Receipt, Series, Source
from backend.archive.remotes.models import Remote


def is_deidentified(remote: Remote, receipt: Receipt | None = None) -> bool:
    """Whether images of this remote are de-identified on receipt; of a batch, as it began."""
    if receipt is not None:
        return receipt.deidentified
    source = Source.objects.filter(door=Door.PULL, name=remote.name).first()
    return origins.NEW_ONES_DEIDENTIFY if source is None else source.deidentify


def _stored_as(remote: Remote, uids: Collection[str], receipt: Receipt | None) -> dict[str, str]:
    """Under which UIDs this archive keeps what the remote calls so: ours → the remote's."""
    if not is_deidentified(remote, receipt):
        return {uid: uid for uid in uids}
    mapped = links().keys.uid
    return {mapped(uid): uid for uid in uids}


def here_of(remote: Remote, sops: Collection[str], receipt: Receipt | None) -> set[str]:
    """Those of the remote's SOP Instance UIDs that need not be fetched.

    They are here already, or came in this batch and were kept aside.
    """
    ours = _stored_as(remote, sops, receipt)
    found = set(Instance.objects.filter(sop_uid__in=list(ours)).values_list("sop_uid", flat=True))
    if receipt is not None:
        aside = KeptAside.objects.filter(receipt=receipt, sop_uid__in=list(ours))
        found |= set(aside.exclude(code="NOT_STORED").values_list("sop_uid", flat=True))
    return {ours[uid] for uid in found}


def studies_here(remote: Remote, studies: Collection[str]) -> dict[str, int]:
    """How many images of each of the remote's studies are here, where there are any."""
    return _counted("study__uid", _stored_as(remote, studies, None))


def series_here(remote: Remote, series: Collection[str]) -> dict[str, int]:
    """How many images of each of the remote's series are here, where there are any."""
    return _counted("uid", _stored_as(remote, series, None))


def _counted(field: str, ours: dict[str, str]) -> dict[str, int]:
    rows = (
        Series.objects.filter(**{f"{field}__in": list(ours)})
        .order_by()
        .values_list(field)
        .annotate(images=Count("instances"))
    )
    return {ours[uid]: images for uid, images in rows}
