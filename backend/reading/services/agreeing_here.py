"""Two readers at one screen: the other one agrees with their own name and password.

Whoever is signed in stays so; every agreement is the other reader's, on record with both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from backend.accounts.models import User
from backend.accounts.services import recognise
from backend.errors import Missing, NotAllowed, WrongState
from backend.reading.consensus_selectors import Seat, asker_of, seat_of
from backend.reading.models import Consensus, Step
from backend.reading.services.guards import lock_case
from backend.reading.services.settling import agree


def agree_here(
    *,
    consensus: Consensus,
    user: User,
    username: str,
    password: str,
    answers: Sequence[Mapping[str, Any]],
) -> list[Step]:
    """Agree, as the other reader at `user`'s screen, to what was shown there: to all or to none.

    Args:
        consensus: what is settled.
        user: whose session it is, one of the two readers.
        username: the other reader's.
        password: the other reader's.
        answers: of each proposal the act's UUID `client`, the `discrepancy`, the version `seen` of
            it, and the `step` that proposes.

    Raises:
        NotAllowed: `WRONG_PASSWORD` (on record), `TOO_MANY_ATTEMPTS`, `NOT_YOURS`,
            `NOT_THE_OTHER_READER`, or what is agreed to is the signer's own.
        WrongState: `MOVED_ON` where anything of it is no longer as it was shown.
        Missing: a discrepancy is not of this consensus.
    """
    if asker_of(user, consensus).seat != Seat.READER:
        raise NotAllowed(
            "NOT_YOURS",
            "Only at a reader's screen does the other reader agree.",
            "Look at it; nothing was changed.",
        )
    signer = recognise(
        username=username,
        password=password,
        actor=user,
        chain=consensus.case.chain,
        consensus=str(consensus.pk),
        version=consensus.version,
    )
    if signer.pk == user.pk or seat_of(signer, consensus) != Seat.READER:
        raise NotAllowed(
            "NOT_THE_OTHER_READER",
            f"{signer.shown_name} is not the other reader of this case.",
            "Let the other reader type their name and password; nothing was agreed.",
        )
    return _agree(consensus, signer, user, answers)


@transaction.atomic
def _agree(
    consensus: Consensus, signer: User, user: User, answers: Sequence[Mapping[str, Any]]
) -> list[Step]:
    lock_case(consensus.case_id)
    known = consensus.discrepancies.in_bulk([answer["discrepancy"] for answer in answers])
    steps = []
    for answer in answers:
        found = known.get(answer["discrepancy"])
        if found is None:
            raise Missing("discrepancy")
        told = {name: answer[name] for name in ("client", "seen", "step")}
        try:
            steps.append(agree(discrepancy=found, user=signer, screen=user, **told))
        except WrongState as refused:
            if refused.code != "MOVED_ON":
                raise
            # What it says besides is told as the signer would see it, and this is not their screen.
            raise WrongState(
                "MOVED_ON",
                "Something of this has moved on since it was shown; nothing was agreed.",
                "Look at what changed, then agree again.",
                possible=["reload"],
            ) from None
    return steps
