"""Settling what two readers disagree on: one proposes, the other agrees; or either defers it.

Every act names the version of the discrepancy it was made on, and bears the client's UUID: the same
act again is answered as it was the first time. The last decision settles the consensus in the same
transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import DatabaseError, transaction

from backend.accounts.models import User
from backend.errors import NotAllowed
from backend.reading.consensus_presentation import possible_for
from backend.reading.consensus_selectors import Seat
from backend.reading.models import Consensus, Discrepancy, Step
from backend.reading.services.agreed import joined, settle_if_nothing_open
from backend.reading.services.deciding import Act, Desk, reason_of
from backend.reading.services.guards import lock_case
from backend.reading.workflow import (
    DECIDED,
    INDETERMINATE,
    ConsensusState,
    DiscrepancyAction,
)

__all__ = [
    "agree",
    "defer",
    "propose",
    "resolve",
    "settle_if_nothing_open",
    "settle_what_is_decided",
]

logger = logging.getLogger(__name__)
# Drafts that this process could not settle.
_left: set[UUID] = set()


@transaction.atomic
def propose(
    *,
    discrepancy: Discrepancy,
    user: User,
    client: UUID,
    seen: int,
    resolution: str,
    rationale: str,
    shape: Mapping[str, Any] | None = None,
) -> Step:
    """Propose, as one of the two readers, what a discrepancy should become.

    Args:
        discrepancy: of a consensus that is being settled; a proposal it has is replaced.
        client: the act's UUID.
        seen: the version of the discrepancy it was made on.
        resolution: one of the protocol's.
        shape: of a redrawn one, `{"slices": [{"sop", "box", "runs"}]}`.

    Raises:
        Missing: there is no such thing, as far as this person may know.
        NotAllowed: they are not one of its two readers.
        BadInput: resolution, rationale or shape cannot be used.
        WrongState: `MOVED_ON`, `CONSENSUS_CLOSED`, `WRONG_STATE`, `CLIENT_REUSED`, or there is no
            such shape here.
    """
    asked = {"resolution": resolution, "rationale": rationale, "shape": shape}
    desk = Desk(discrepancy, user, client, "propose", {"seen": seen, **asked})
    if desk.told is not None:
        return desk.told
    desk.require(Seat.READER, "Only one of the two readers proposes.")
    desk.require_open(seen, DiscrepancyAction.PROPOSE)
    mask = desk.shape_for(resolution, shape)
    return desk.take(Act(DiscrepancyAction.PROPOSE, resolution, reason_of(rationale), mask))


@transaction.atomic
def agree(
    *,
    discrepancy: Discrepancy,
    user: User,
    client: UUID,
    seen: int,
    step: UUID,
    rationale: str = "",
    screen: User | None = None,
) -> Step:
    """Agree, as the other reader, to a proposal: `step`. Agreeing that it cannot be told leaves it.

    `screen` is whose session it is, where they agree at somebody else's screen. Raises as
    `propose` does; `NotAllowed` for one's own proposal.
    """
    asked = {"seen": seen, "step": str(step), "rationale": rationale}
    desk = Desk(discrepancy, user, client, "agree", asked, screen=screen)
    if desk.told is not None:
        return desk.told
    desk.require(Seat.READER, "Only one of the two readers agrees.")
    desk.require_open(seen, DiscrepancyAction.AGREE)
    proposal = desk.found.proposal
    if proposal is None or proposal.pk != step:
        raise desk.moved_on(seen)
    if proposal.actor_id == user.pk:
        raise NotAllowed(
            "OWN_PROPOSAL",
            "Nobody agrees to a proposal of their own.",
            "Wait for the other reader, propose something else, or defer it.",
            possible=possible_for(desk.asker, desk.found),
        )
    left = proposal.resolution == INDETERMINATE
    action = DiscrepancyAction.LEAVE if left else DiscrepancyAction.AGREE
    said = reason_of(rationale, needed=False)
    return desk.take(Act(action, proposal.resolution, said, proposal.mask, proposal))


@transaction.atomic
def defer(*, discrepancy: Discrepancy, user: User, client: UUID, seen: int, rationale: str) -> Step:
    """Leave a discrepancy, as either reader alone, to the adjudicator. Raises as `propose` does."""
    asked = {"seen": seen, "rationale": rationale}
    desk = Desk(discrepancy, user, client, "defer", asked)
    if desk.told is not None:
        return desk.told
    desk.require(Seat.READER, "Only one of the two readers defers.")
    desk.require_open(seen, DiscrepancyAction.DEFER)
    return desk.take(Act(DiscrepancyAction.DEFER, rationale=reason_of(rationale)))


@transaction.atomic
def resolve(
    *,
    discrepancy: Discrepancy,
    user: User,
    client: UUID,
    seen: int,
    resolution: str,
    rationale: str,
    shape: Mapping[str, Any] | None = None,
) -> Step:
    """Decide, as an adjudicator who is neither reader, what was deferred. Raises as `propose`."""
    asked = {"resolution": resolution, "rationale": rationale, "shape": shape}
    desk = Desk(discrepancy, user, client, "resolve", {"seen": seen, **asked})
    if desk.told is not None:
        return desk.told
    desk.require(Seat.ADJUDICATOR, "Only an adjudicator who is neither reader resolves.")
    left = resolution == INDETERMINATE
    action = DiscrepancyAction.LEAVE if left else DiscrepancyAction.RESOLVE
    # What was deferred alone: a proposal, too, can be left, but by the other reader.
    desk.require_open(seen, DiscrepancyAction.RESOLVE)
    mask = desk.shape_for(resolution, shape)
    return desk.take(Act(action, resolution, reason_of(rationale), mask))


def settle_what_is_decided() -> int:
    """Settle drafts that nobody's decision will settle, such as those of before; how many.

    One that cannot be settled is left, and not tried again by the same process.
    """
    undecided = Discrepancy.objects.exclude(state__in=DECIDED).values("consensus")
    waiting = Consensus.objects.filter(state=ConsensusState.DRAFT).exclude(pk__in=undecided)
    count = 0
    for found in waiting.exclude(pk__in=_left).only("pk", "case_id")[:20]:
        try:
            with transaction.atomic():
                case = lock_case(found.case_id)
                count += settle_if_nothing_open(joined(case, found.pk), None)
        except DatabaseError:
            raise  # The database is away: it is tried again.
        except Exception:
            logger.exception("consensus %s cannot be settled", found.pk)
            _left.add(found.pk)
    return count
