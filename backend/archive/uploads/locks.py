"""Who waits for whom: a file is taken once, and a batch ends only when nothing of it is taken.

Locks of the session, not of a transaction: taking a zip is many transactions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from uuid import UUID

from django.db import connection

from backend.archive.models import Receipt
from backend.errors import WrongState


@contextmanager
def taking(batch: UUID, *keys: str) -> Iterator[None]:
    """Nobody else takes these files meanwhile (a second try waits), and the batch does not end.

    Raises:
        WrongState: it has ended.
    """
    with ExitStack() as held:
        held.enter_context(_held(f"{batch}", shared=True))
        for key in sorted(set(keys)):  # In one order: two requests never wait for each other.
            held.enter_context(_held(f"{batch} {key}"))
        if Receipt.objects.filter(pk=batch, closed_at__isnull=False).exists():
            raise ended()
        yield


@contextmanager
def ending(batch: UUID) -> Iterator[None]:
    """Nothing of the batch is being taken: waits for what is, so that it is judged whole."""
    with _held(f"{batch}"):
        yield


def ended() -> WrongState:
    """What is said of a batch that takes no more."""
    return WrongState(
        "BATCH_CLOSED",
        "This batch of files has ended.",
        "Begin a new one; what is here already stays.",
    )


@contextmanager
def _held(name: str, *, shared: bool = False) -> Iterator[None]:
    told = hashlib.sha256(f"upload {name}".encode()).digest()
    number = int.from_bytes(told[:8], "big", signed=True)
    suffix = "_shared" if shared else ""
    with connection.cursor() as cursor:
        cursor.execute(f"select pg_advisory_lock{suffix}(%s)", [number])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"select pg_advisory_unlock{suffix}(%s)", [number])
