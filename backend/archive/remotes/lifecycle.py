"""What can become of a transfer: a table of state × action → state, and nothing else.

A transfer that ends without everything it was to fetch stays `failed` or `cancelled`, and what came
of its series waits: half a series would make a volume that looks whole. Somebody has it tried
again, or accepts what came.
"""

from __future__ import annotations

from enum import StrEnum


class TransferState(StrEnum):
    """Where a transfer stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ACCEPTED = "accepted"


class TransferAction(StrEnum):
    """What can happen to a transfer."""

    BEGIN = "begin"
    FINISH = "finish"
    FAIL = "fail"
    LOSE = "lose"  # The process that did it died, or was asked to stop.
    CANCEL = "cancel"
    RETRY = "retry"
    ACCEPT = "accept"


_S, _A = TransferState, TransferAction
TRANSITIONS: dict[tuple[TransferState, TransferAction], TransferState] = {
    (_S.QUEUED, _A.BEGIN): _S.RUNNING,
    (_S.QUEUED, _A.CANCEL): _S.CANCELLED,
    (_S.RUNNING, _A.FINISH): _S.DONE,
    (_S.RUNNING, _A.FAIL): _S.FAILED,
    (_S.RUNNING, _A.LOSE): _S.QUEUED,
    (_S.RUNNING, _A.CANCEL): _S.CANCELLED,
    (_S.FAILED, _A.RETRY): _S.QUEUED,
    (_S.FAILED, _A.ACCEPT): _S.ACCEPTED,
    (_S.CANCELLED, _A.RETRY): _S.QUEUED,
    (_S.CANCELLED, _A.ACCEPT): _S.ACCEPTED,
}
# Those that somebody or something still works on.
OPEN = frozenset({TransferState.QUEUED, TransferState.RUNNING})
# Those that ended before everything came: their series wait, and are not judged as if whole.
BROKEN_OFF = frozenset({TransferState.FAILED, TransferState.CANCELLED})
# What a person may ask for; the rest happens.
ASKED = (TransferAction.CANCEL, TransferAction.RETRY, TransferAction.ACCEPT)


def possible(state: TransferState) -> list[TransferAction]:
    """What a person may ask for in this state."""
    return [action for action in ASKED if (state, action) in TRANSITIONS]
