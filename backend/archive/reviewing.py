"""What no rule could clean, looked at by a person: released into the archive, or discarded."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np
import pydicom
from django.db import transaction
from PIL import Image

from backend.archive.deidentify.doors import Change, issuer_of
from backend.archive.deidentify.links import links
from backend.archive.findings import NotTaken
from backend.archive.models import Instance, KeptAside, Receipt, Review
from backend.archive.parsing import parse
from backend.archive.pixels import decode
from backend.archive.receipts import count
from backend.archive.storing import store_all
from backend.archive.visibility import may_upload
from backend.audit.services import News, record
from backend.errors import Missing, NotAllowed, WrongState, reason_of

if TYPE_CHECKING:
    from backend.accounts.models import User

LONGEST_SIDE = 1024
RELEASED = "released after review"


def waiting(user: User, kept_id: UUID) -> KeptAside:
    """A file that waits to be looked at; raises `Missing` for who may not upload."""
    found = None
    if may_upload(user):
        rows = KeptAside.objects.select_related("receipt__origin")
        found = rows.filter(pk=kept_id, sealed=True, review=Review.WAITING).first()
    if found is None:
        raise Missing("file waiting for review")
    return found


def picture_of(kept: KeptAside, index: int) -> bytes:
    """One frame of the original as PNG, all its values shown; raises `Missing`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(io.BytesIO(links().file_bytes(kept.pk)))
            array = decode(dataset, index)
    except Exception:  # noqa: BLE001  decoders raise many kinds on broken streams
        raise Missing("picture") from None
    if array.ndim == 2:
        low, high = float(array.min()), float(array.max())
        array = (array.astype(np.float64) - low) / max(high - low, 1.0) * 255
    picture = Image.fromarray(np.ascontiguousarray(array, np.uint8))
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def cleaned_header_of(kept: KeptAside) -> tuple[list[str], int]:
    """What would be stored beside the pixels, line by line, and how many frames there are."""
    try:
        incoming = parse(kept.name, links().file_bytes(kept.pk), Change(reviewed=True))
    except NotTaken as problem:
        return [problem.sentence(kept.name)], 0
    dataset = incoming.dataset
    shown = pydicom.Dataset({tag: dataset[tag] for tag in dataset.keys() if tag != 0x7FE00010})  # noqa: SIM118
    return str(shown).splitlines(), incoming.pixels.frames if incoming.pixels else 0


def release(*, kept: KeptAside, actor: User, reason: str) -> Instance:
    """Take in what was looked at and shows nobody: cleaned as everything else, and stored.

    Raises:
        NotAllowed: the person may not upload.
        BadInput: no reason.
        WrongState: somebody decided before, or it cannot be stored; says why.
    """
    reason = _guard(actor, reason)
    with transaction.atomic():
        kept = _locked(kept)
        try:
            data = links().file_bytes(kept.pk)
            change = Change(reviewed=True, issuer=issuer_of(kept.receipt))
            incoming = parse(kept.name, data, change)
            links().flush()
        except FileNotFoundError:
            raise WrongState(
                "NOT_KEPT", "Its bytes are no longer here.", "Have it sent again."
            ) from None
        except NotTaken as problem:
            raise WrongState(problem.code, problem.sentence(kept.name), problem.cure) from None
        receipt = Receipt.objects.create(
            source=RELEASED,
            door=kept.receipt.door,
            origin=kept.receipt.origin,
            deidentified=True,
            actor=actor,
        )
        (stored,) = store_all(receipt=receipt, incoming=[incoming])
        if isinstance(stored, NotTaken):
            raise WrongState(stored.code, stored.sentence(kept.name), stored.cure)
        instance, new = stored
        count(receipt, ["stored" if new else "already_here"])
        Receipt.objects.filter(pk=receipt.pk).update(closed_at=receipt.started_at)
        _decided(kept, Review.RELEASED)
        record(
            "kept.released",
            kept,
            actor=actor,
            reason=reason,
            code=kept.code,
            instance=str(instance.pk),
            news=[News("coordinators", "archive.changed", {})],
        )
    links().drop_file(kept.pk)
    return instance


def discard(*, kept: KeptAside, actor: User, reason: str) -> None:
    """Forget the bytes of what was looked at; that it came stays on record. Raises as `release`."""
    reason = _guard(actor, reason)
    with transaction.atomic():
        kept = _locked(kept)
        _decided(kept, Review.DISCARDED)
        record(
            "kept.discarded",
            kept,
            actor=actor,
            reason=reason,
            code=kept.code,
            news=[News("coordinators", "archive.changed", {})],
        )
    links().drop_file(kept.pk)


def _guard(actor: User, reason: str) -> str:
    if not may_upload(actor):
        raise NotAllowed(
            "NOT_ALLOWED", "Only a coordinator decides what comes in.", "Ask your coordinator."
        )
    return reason_of(
        reason,
        "What was seen on it has to be said.",
        "Say in at most {most} characters what it shows. No names.",
    )


def _locked(kept: KeptAside) -> KeptAside:
    locked = KeptAside.objects.select_for_update(of=("self",)).select_related("receipt__origin")
    found = locked.get(pk=kept.pk)
    if found.review != Review.WAITING:
        raise WrongState(
            "DECIDED", "Somebody decided on this file before.", "Look at the archive's page again."
        )
    return found


def _decided(kept: KeptAside, review: Review) -> None:
    kept.review, kept.sealed = review, False
    kept.save(update_fields=["review", "sealed"])
