"""A batch of files: begun at a door, counted, ended; the audit log hears of its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from backend import rows
from backend.archive.deidentify.links import links
from backend.archive.judging import judge_batch
from backend.archive.models import Door, Receipt, Series
from backend.archive.origins import as_is_source, source_of
from backend.audit.services import News, record
from backend.errors import WrongState

if TYPE_CHECKING:
    from backend.accounts.models import User


def new_receipt(
    *, source: str, door: Door, actor: User | None, origin: str = "", as_is: bool = False
) -> Receipt:
    """A new batch that has no row yet: `begin` gives it one, at the latest with its first file.

    Args:
        source: what it is called.
        door: how it comes in.
        actor: who sends it.
        origin: the name of its `Source`, where that is not `source`: says if it is de-identified.
        as_is: it is taken as it is.

    Raises:
        KeyUnusable: it is to be de-identified and the key is missing.
    """
    place = as_is_source if as_is else source_of
    found = place(door=door, name=origin or source, actor=actor)
    deidentified = found is not None and found.deidentify
    if deidentified:
        links()  # Without the key nothing is taken.
    return Receipt(
        source=source[:120], door=door, actor=actor, origin=found, deidentified=deidentified
    )


def open_receipt(
    *,
    source: str,
    door: Door,
    actor: User | None,
    receipt_id: UUID | None = None,
    origin: str = "",
    as_is: bool = False,
) -> Receipt:
    """A new batch with its row; with `receipt_id`, the one this person opened under it, if any.

    `receipt_id` is chosen by the sender; the others are `new_receipt`'s.

    Raises:
        WrongState: the batch has ended, or is another's.
        KeyUnusable: it is to be de-identified and the key is missing.
    """
    receipt = new_receipt(source=source, door=door, actor=actor, origin=origin, as_is=as_is)
    if receipt_id is None:
        begin(receipt)
        return receipt
    names = ("source", "door", "actor", "origin", "deidentified")
    fields = {name: getattr(receipt, name) for name in names}
    receipt, _ = Receipt.objects.get_or_create(id=receipt_id, defaults=fields)
    if receipt.actor_id != getattr(actor, "pk", None) or receipt.closed_at is not None:
        raise WrongState(
            "BATCH_CLOSED",
            "This batch of files has ended.",
            "Begin a new one; what is here already stays.",
        )
    return receipt


def begin(receipt: Receipt) -> None:
    """Give the batch its row, if it has none."""
    if receipt._state.adding:
        rows.insert(receipt)


def count(receipt: Receipt, outcomes: Iterable[str], *, ended: bool = False) -> None:
    """More of `stored`, `already_here`, `kept_aside` and `ignored`; with `ended`, the last of it.

    Call it in a transaction, as its last part: where the batch ends, the audit log hears of it.
    """
    more = Counter(outcomes)
    if receipt._state.adding:
        for name, number in more.items():
            setattr(receipt, name, getattr(receipt, name) + number)
        receipt.closed_at = timezone.now() if ended else None
        rows.insert(receipt)
        if ended:
            _record_end(receipt, receipt.actor)
        return
    if more:
        added = {name: F(name) + number for name, number in more.items()}
        Receipt.objects.filter(pk=receipt.pk).update(**added)
    if ended:
        _end(receipt, receipt.actor)


def close_receipt(*, receipt: Receipt, actor: User | None, judge: bool = True) -> list[Series]:
    """End a batch; with `judge`, its series are judged at once. Returns what was judged."""
    if receipt.closed_at is not None:
        return []
    with transaction.atomic():
        begin(receipt)
        ended = _end(receipt, actor)
    return judge_batch(receipt) if judge and ended else []


def _end(receipt: Receipt, actor: User | None) -> bool:
    locked = Receipt.objects.select_for_update().get(pk=receipt.pk)
    receipt.closed_at = locked.closed_at or timezone.now()
    if locked.closed_at is not None:
        return False
    locked.closed_at = receipt.closed_at
    locked.save(update_fields=["closed_at"])
    _record_end(locked, actor)
    return True


def _record_end(receipt: Receipt, actor: User | None) -> None:
    record(
        "receipt.closed",
        receipt,
        actor=actor,
        door=receipt.door,
        source=receipt.source,
        deidentified=receipt.deidentified,
        stored=receipt.stored,
        already_here=receipt.already_here,
        kept_aside=receipt.kept_aside,
        ignored=receipt.ignored,
        news=[News("coordinators", "archive.changed", {"receipt": str(receipt.pk)})],
    )


@contextmanager
def unless_undone(receipts: Sequence[Receipt]) -> Iterator[None]:
    """A transaction; where it is undone, the batches in memory are again as they were before it."""
    before = [(one, dict(vars(one)), one._state.adding) for one in receipts]
    try:
        with transaction.atomic():
            yield
    except BaseException:
        for receipt, was, adding in before:
            vars(receipt).clear()
            vars(receipt).update(was)
            receipt._state.adding = adding
        raise
