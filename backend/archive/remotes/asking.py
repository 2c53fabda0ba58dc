"""What people ask of transfers: pull, push, cancel, try again, accept what came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from backend.archive import registry
from backend.archive.models import Series, Study
from backend.archive.parsing import is_uid
from backend.archive.remotes.carrying import enqueue, news_of, settle_series, step
from backend.archive.remotes.lifecycle import OPEN, TransferAction, TransferState
from backend.archive.remotes.models import Direction, Remote, Transfer
from backend.archive.remotes.sealing import CannotUnseal, seal
from backend.archive.visibility import may_upload
from backend.audit.services import record
from backend.errors import BadInput, Missing, WrongState

if TYPE_CHECKING:
    from backend.accounts.models import User

MOST_SERIES_CHOSEN = 2000


@dataclass(frozen=True)
class Wanted:
    """A study of a remote to pull: all of it, or the chosen series; `label` is what pages show."""

    study: str
    series: Sequence[str] | None = None
    label: dict[str, Any] = field(default_factory=dict)


def transfers_seen_by(user: User) -> QuerySet[Transfer]:
    """All transfers for who may upload, the newest first; none for others."""
    found = Transfer.objects.select_related("remote", "actor").prefetch_related("series")
    return found if may_upload(user) else found.none()


def transfer_seen_by(user: User, transfer: UUID) -> Transfer:
    """One of them; raises `Missing`."""
    found = transfers_seen_by(user).filter(pk=transfer).first()
    if found is None:
        raise Missing("transfer")
    return found


def request_pull(*, remote: Remote, wanted: Wanted, actor: User | None) -> Transfer:
    """Have a study or some of its series fetched; the one that is under way already, if any."""
    chosen = None if wanted.series is None else sorted(set(wanted.series))
    if not is_uid(wanted.study) or not all(is_uid(uid) for uid in chosen or ()):
        raise BadInput("BAD_UID", "That is no UID.", "Choose a study or series from the results.")
    if chosen is not None and not 0 < len(chosen) <= MOST_SERIES_CHOSEN:
        raise BadInput("NO_SERIES", "No series was chosen.", "Choose at least one.")
    asked = {"study": wanted.study, "series": chosen, "label": wanted.label}
    return _request(remote, Direction.PULL, asked, actor)


def request_push(
    *, remote: Remote, kind: str, subject: UUID, actor: User | None, defer: bool = True
) -> Transfer:
    """Have a study, a series or an export sent; raises `Missing`, or why it may not be.

    Args:
        remote: where to.
        kind: study, series or export.
        subject: its id.
        actor: who asks; None for the system.
        defer: False where the caller carries it out.
    """
    asked: dict[str, Any] = {"kind": kind, "id": str(subject)}
    if kind == "export":
        if not registry.exports_to_push:
            raise Missing("export")
        pushable = registry.exports_to_push[0](actor, subject)
        told = {"export": str(subject), **pushable.facts}
        asked |= {"blob": pushable.blob, "chain": pushable.chain, "told": told}
        asked["label"] = {"description": "export"}
    elif kind in ("study", "series"):
        if actor is not None and not may_upload(actor):
            raise Missing(kind)
        asked |= _told_of(kind, subject)
    else:
        raise BadInput("BAD_KIND", "That cannot be pushed.", "Push a study, a series or an export.")
    return _request(remote, Direction.PUSH, asked, actor, defer=defer)


def _told_of(kind: str, subject: UUID) -> dict[str, Any]:
    if kind == "study":
        study = Study.objects.filter(pk=subject).first()
        series = None
    else:
        series = Series.objects.select_related("study").filter(pk=subject).first()
        study = series.study if series else None
    if study is None:
        raise Missing(kind)
    label = {
        "date": study.date.isoformat() if study.date else "",
        "description": (series or study).description,
    }
    return {"label": label, "told": {kind: str(subject)}}


@transaction.atomic
def _request(
    remote: Remote,
    direction: Direction,
    asked: dict[str, Any],
    actor: User | None,
    *,
    defer: bool = True,
) -> Transfer:
    locked = Remote.objects.select_for_update().get(pk=remote.pk)
    if locked.removed is not None:
        raise Missing("remote")
    under_way = Transfer.objects.filter(
        remote=remote, direction=direction, state__in=[s.value for s in OPEN]
    )
    for one in under_way:
        if _same(one.asked, asked):
            return one
    transfer = Transfer.objects.create(
        remote=remote, direction=direction, sealed=seal(asked), actor=actor
    )
    if defer:
        enqueue(transfer)
    record(
        f"{direction}.requested",
        transfer,
        actor=actor,
        chain=asked.get("chain", "system"),
        remote=remote.name,
        series=len(asked["series"]) if asked.get("series") else None,
        news=[news_of(transfer)],
        of=asked.get("told", {}),
    )
    return transfer


def _same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return all(a.get(name) == b.get(name) for name in ("study", "series", "kind", "id"))


def cancel_transfer(*, transfer: Transfer, actor: User) -> Transfer:
    """Stop it; what came stays, and a series that is not whole waits."""
    return _change(transfer, TransferAction.CANCEL, actor)


def retry_transfer(*, transfer: Transfer, actor: User) -> Transfer:
    """Have what is lacking moved."""
    return _change(transfer, TransferAction.RETRY, actor)


def accept_transfer(*, transfer: Transfer, actor: User) -> Transfer:
    """Take what came for all there is: its series are judged as they are."""
    return _change(transfer, TransferAction.ACCEPT, actor)


def _change(transfer: Transfer, action: TransferAction, actor: User) -> Transfer:
    with transaction.atomic():
        found = (
            Transfer.objects.select_for_update(of=("self",))
            .select_related("remote", "actor")
            .get(pk=transfer.pk)
        )
        if action == TransferAction.RETRY and found.remote.removed is not None:
            raise WrongState(
                "REMOTE_REMOVED", "This remote was removed.", "Have an administrator add it again."
            )
        state = step(found, action)
        if state == TransferState.QUEUED:
            found.lost = 0
            enqueue(found)
        if action != TransferAction.ACCEPT:
            found.message = found.cure = ""
        found.save()
        record(
            f"{found.direction}.{_PAST[action]}",
            found,
            actor=actor,
            chain=_chain(found),
            remote=found.remote.name,
            news=[news_of(found)],
        )
    if action == TransferAction.ACCEPT:
        settle_series(found)
    return found


def _chain(transfer: Transfer) -> str:
    try:
        return str(transfer.asked.get("chain", "system"))
    except CannotUnseal:  # It can still be cancelled.
        return "system"


_PAST = {
    TransferAction.CANCEL: "cancelled",
    TransferAction.RETRY: "retried",
    TransferAction.ACCEPT: "accepted",
}
