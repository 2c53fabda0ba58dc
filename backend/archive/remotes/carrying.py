"""Doing a transfer in the work process, exactly once, whatever dies meanwhile.

Whoever does a transfer holds a session's advisory lock of Postgres from before it is `running`
until after it has ended, and every write says which attempt it belongs to. So a running transfer
whose lock is free has lost its process, and what a process writes that was taken for dead is
refused.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import Error, connection, transaction
from django.db.models import Sum
from django.utils import timezone

from backend.archive.receipts import close_receipt
from backend.archive.remotes.lifecycle import TRANSITIONS, TransferAction, TransferState
from backend.archive.remotes.models import Transfer, TransferSeries
from backend.archive.remotes.problems import Stopped
from backend.audit.services import News, announce, record
from backend.errors import ConcordError, WrongState
from backend.jobs import queue

logger = logging.getLogger(__name__)

TASK = "archive.transfer"
# One at a time: the other hand of the work process stays free for what readers wait for.
LOCK = "archive.transfer"
LOOK_SECONDS = 0.5
TELL_SECONDS = 0.3
MOST_LOST = 5
REFUSALS_KEPT = 20
FORGOTTEN = timedelta(seconds=3)


class Work:
    """One attempt at one transfer, as those see it who do it."""

    def __init__(self, transfer: Transfer, should_stop: Callable[[], bool]) -> None:
        self.transfer, self._should_stop = transfer, should_stop
        self._looked = self._told = time.monotonic()

    def go_on(self) -> None:
        """Raise `Stopped` where it was cancelled, taken over, or the process is to end."""
        if self._should_stop():
            raise Stopped
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        if not self._mine().exists():
            raise Stopped

    def progress(self, series: TransferSeries, *, now: bool = False) -> None:
        """Keep and tell how far a series is, three times a second at most unless `now`."""
        if not now and time.monotonic() - self._told < TELL_SECONDS:
            return
        self._told = time.monotonic()
        with transaction.atomic():
            if not self._mine().update(touched=timezone.now()):
                raise Stopped
            series.save(update_fields=["expected", "moved", "there", "whole", "receipt"])
            told = {**counts_of(self.transfer), "transfer": str(self.transfer.pk)}
            announce("coordinators", "transfer.progress", told)

    def keep(self, series: TransferSeries) -> None:
        """Keep how far a series came, also where the transfer was stopped."""
        if Transfer.objects.filter(pk=self.transfer.pk, attempt=self.transfer.attempt).exists():
            series.save(update_fields=["moved", "there"])

    def refuse(self, name: str, message: str) -> None:
        """Note one image that could not be moved."""
        transfer = self.transfer
        transfer.refused += 1
        if len(transfer.refusals) < REFUSALS_KEPT:
            transfer.refusals.append({"name": name[:200], "message": message[:600]})
        self._mine().update(refused=transfer.refused, refusals=transfer.refusals)

    def _mine(self) -> Any:
        return Transfer.objects.filter(
            pk=self.transfer.pk, attempt=self.transfer.attempt, state=TransferState.RUNNING
        )


Doer = Callable[[Work], None]


def carry_out(
    transfer_id: uuid.UUID,
    doers: dict[str, Doer],
    *,
    should_stop: Callable[[], bool] = lambda: False,
) -> Transfer | None:
    """Do a queued transfer to its end; None where it is not to be done, or is being done."""
    with _held(transfer_id) as mine:
        transfer = _begin(transfer_id) if mine else None
        if transfer is None:
            return None
        try:
            doers[transfer.direction](Work(transfer, should_stop))
        except Stopped:
            return _let_go(transfer) if should_stop() else None
        except Error:
            raise  # The database is away: the sweep offers it again.
        except ConcordError as error:
            return _end(transfer, TransferAction.FAIL, error.message, error.cure)
        except Exception as error:
            logger.exception("transfer %s failed", transfer.pk)
            message = f"Something went wrong here ({type(error).__name__})."
            cure = "Try again; if it stays so, report it with the log of the work process."
            return _end(transfer, TransferAction.FAIL, message, cure)
        return _end(transfer, TransferAction.FINISH, "", "")


def counts_of(transfer: Transfer) -> dict[str, int]:
    """Images expected, moved and there already, of all its series."""
    sums = TransferSeries.objects.filter(transfer=transfer).aggregate(
        expected=Sum("expected"), moved=Sum("moved"), there=Sum("there")
    )
    return {name: count or 0 for name, count in sums.items()}


def enqueue(transfer: Transfer) -> bool:
    """Give a transfer to the work process, in the caller's transaction; False if it waits there."""
    name = str(transfer.pk)
    return queue.defer(TASK, lock=LOCK, queueing_lock=f"transfer:{name}", transfer=name)


def step(transfer: Transfer, action: TransferAction) -> TransferState:
    """The state after an action, written to the row in memory; raises `WrongState`."""
    before = TransferState(transfer.state)
    after = TRANSITIONS.get((before, action))
    if after is None:
        raise WrongState(
            "WRONG_STATE",
            f"This transfer is {before}; it cannot be {_PAST[action]} now.",
            "Reload the page to see how it stands.",
        )
    transfer.state = after.value
    ended = after not in (TransferState.QUEUED, TransferState.RUNNING)
    transfer.finished = timezone.now() if ended else None
    transfer.touched = timezone.now()
    return after


_PAST = {
    TransferAction.BEGIN: "begun",
    TransferAction.FINISH: "finished",
    TransferAction.FAIL: "given up",
    TransferAction.LOSE: "taken back",
    TransferAction.CANCEL: "cancelled",
    TransferAction.RETRY: "tried again",
    TransferAction.ACCEPT: "accepted",
}


def news_of(transfer: Transfer) -> News:
    """What open pages are told when a transfer's state changes."""
    return News(
        "coordinators", "transfer.changed", {"transfer": str(transfer.pk), "state": transfer.state}
    )


def offer_again() -> int:
    """Every second: give lost and forgotten transfers to the work process again; how many."""
    done = 0
    running = Transfer.objects.filter(state=TransferState.RUNNING)
    for found in running.values_list("pk", flat=True):
        done += _take_back(found)
    since = timezone.now() - FORGOTTEN
    waiting = Transfer.objects.filter(state=TransferState.QUEUED, touched__lt=since)
    for transfer in waiting:
        if not queue.unfinished_work(TASK, transfer=str(transfer.pk)):
            with transaction.atomic():
                done += enqueue(transfer)
    return done


@transaction.atomic
def _take_back(transfer_id: uuid.UUID) -> int:
    """Queue a running transfer again whose process is dead; 1 if it was."""
    transfer = _locked(transfer_id)
    if transfer is None or transfer.state != TransferState.RUNNING:
        return 0
    if not _ask("select pg_try_advisory_xact_lock(%s)", transfer_id):
        return 0
    transfer.lost += 1
    queue.retire(queue.unfinished_work(TASK, transfer=str(transfer_id)))
    if transfer.lost >= MOST_LOST:
        step(transfer, TransferAction.FAIL)
        transfer.message = f"The work process ended {transfer.lost} times during this transfer."
        transfer.cure = "Look into its log, then try again: what came stays."
    else:
        step(transfer, TransferAction.LOSE)
        enqueue(transfer)
    transfer.save()
    record(
        f"{transfer.direction}.lost",
        transfer,
        actor=None,
        outcome="failure",
        attempt=transfer.attempt,
        state=transfer.state,
        news=[news_of(transfer)],
    )
    return 1


@transaction.atomic
def _begin(transfer_id: uuid.UUID) -> Transfer | None:
    transfer = _locked(transfer_id)
    if transfer is None or transfer.state != TransferState.QUEUED:
        return None
    step(transfer, TransferAction.BEGIN)
    transfer.attempt += 1
    transfer.message = transfer.cure = ""
    transfer.refusals, transfer.refused = [], 0
    transfer.save()
    news = news_of(transfer)
    announce(news.audience, news.type, news.payload)
    return transfer


@transaction.atomic
def _let_go(transfer: Transfer) -> Transfer | None:
    """Queue it again: the process that did it was asked to end."""
    found = _still(transfer)
    if found is None:
        return None
    step(found, TransferAction.LOSE)
    enqueue(found)
    found.save()
    return found


@transaction.atomic
def _end(transfer: Transfer, action: TransferAction, message: str, cure: str) -> Transfer | None:
    found = _still(transfer)
    if found is None:
        return None
    step(found, action)
    found.message, found.cure = message, cure
    found.save()
    failed = action == TransferAction.FAIL
    asked = found.asked
    record(
        f"{found.direction}.{'failed' if failed else 'done'}",
        found,
        actor=found.actor,
        chain=asked.get("chain", "system"),
        outcome="failure" if failed else "success",
        reason=message if failed else "",
        remote=found.remote.name,
        refused=found.refused,
        news=[news_of(found)],
        **counts_of(found),
        of=asked.get("told", {}),
    )
    return found


def _still(mine: Transfer) -> Transfer | None:
    """The row, locked, if this attempt is still the one that counts."""
    found = _locked(mine.pk)
    if found is None or found.state != TransferState.RUNNING or found.attempt != mine.attempt:
        return None
    return found


def settle_series(transfer: Transfer) -> None:
    """End the batches of a transfer: its series are judged as they are."""
    for series in transfer.series.filter(receipt__closed_at=None).select_related("receipt"):
        if series.receipt is not None:
            close_receipt(receipt=series.receipt, actor=transfer.actor)


def _locked(transfer_id: uuid.UUID) -> Transfer | None:
    return (
        Transfer.objects.select_for_update(of=("self",))
        .select_related("remote", "actor")
        .filter(pk=transfer_id)
        .first()
    )


@contextmanager
def _held(transfer_id: uuid.UUID) -> Iterator[bool]:
    """Whether this session now holds the transfer's lock; it is freed at the end."""
    mine = _ask("select pg_try_advisory_lock(%s)", transfer_id)
    try:
        yield mine
    finally:
        if mine:
            _free(transfer_id)


def _free(transfer_id: uuid.UUID) -> None:
    try:
        _ask("select pg_advisory_unlock(%s)", transfer_id)
    except Error:
        connection.close()  # The lock ends with its session.


def _ask(question: str, transfer_id: uuid.UUID) -> bool:
    number = int.from_bytes(transfer_id.bytes[:8], signed=True)
    with connection.cursor() as cursor:
        cursor.execute(question, [number])
        row = cursor.fetchone()
    return bool(row and row[0])
