"""One act on a discrepancy: locked, guarded, taken by the table, recorded, answered once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils import timezone

from backend.accounts.models import User
from backend.audit.services import News, record
from backend.errors import BadInput, NotAllowed, WrongState
from backend.imaging.masks import canonical_json
from backend.reading.consensus_presentation import act_json, moved_on, possible_for, resolutions_of
from backend.reading.consensus_selectors import Asker, Seat, asker_of, discrepancy_for
from backend.reading.models import Discrepancy, Mask, Step
from backend.reading.services.acts import client_reused, named_by_client
from backend.reading.services.agreed import joined, settle_if_nothing_open
from backend.reading.services.announcing import case_changed, to_adjudicators, to_readers
from backend.reading.services.guards import lock_case
from backend.reading.services.shapes import require_shape, save_redrawn
from backend.reading.vocabulary import SettlingRole
from backend.reading.workflow import (
    DECIDED,
    ConsensusState,
    DiscrepancyAction,
    DiscrepancyState,
    DiscrepancyStepRefused,
    Resolution,
    discrepancy_after,
)

LONGEST_RATIONALE = 1000
_EVENTS = {
    DiscrepancyAction.PROPOSE: "discrepancy.proposed",
    DiscrepancyAction.AGREE: "discrepancy.agreed",
    DiscrepancyAction.DEFER: "discrepancy.deferred",
    DiscrepancyAction.RESOLVE: "discrepancy.resolved",
    DiscrepancyAction.LEAVE: "discrepancy.left",
}


@dataclass(frozen=True)
class Act:
    """What somebody is about to do to a locked discrepancy."""

    action: DiscrepancyAction
    resolution: str = ""
    rationale: str = ""
    mask: Mask | None = None
    proposal: Step | None = None


class Desk:
    """A discrepancy under the locks of its case and itself, and who is about to do what to it.

    Attributes:
        told: the step that this very act led to before; then there is nothing left to do.
    """

    def __init__(
        self,
        discrepancy: Discrepancy,
        user: User,
        client: UUID,
        verb: str,
        asked: Mapping[str, Any],
        screen: User | None = None,
    ) -> None:
        self.user, self.client, self.screen = user, client, screen
        self.case = lock_case(discrepancy.consensus.case_id)
        locked = Discrepancy.objects.select_for_update().only("pk").get(pk=discrepancy.pk)
        self.found = Discrepancy.objects.select_related("cluster", "proposal__mask__case").get(
            pk=locked.pk
        )
        self.consensus = joined(self.case, self.found.consensus_id)
        self.found.consensus = self.consensus
        self.asker: Asker = asker_of(user, self.consensus)
        text = canonical_json({"verb": verb, "discrepancy": str(locked.pk), **asked})
        self.body_hash = hashlib.sha256(text).hexdigest()
        self.told = self._told()

    def _told(self) -> Step | None:
        before = Step.objects.filter(pk=self.client).first()
        if before is None:
            return None
        if (before.actor_id, before.body_hash) != (self.user.pk, self.body_hash):
            raise client_reused()
        return before

    def require(self, seat: Seat, message: str) -> None:
        """Let pass only who sits there."""
        if self.asker.seat != seat:
            raise NotAllowed(
                "NOT_YOURS",
                message,
                "Look at it; nothing was changed.",
                possible=possible_for(self.asker, self.found),
            )

    def require_open(self, seen: int, action: DiscrepancyAction) -> None:
        """Let pass only a step that the table knows, on the version that was seen."""
        if self.consensus.state != ConsensusState.DRAFT:
            raise WrongState(
                "CONSENSUS_CLOSED",
                "This consensus is settled; nothing of it is decided any more.",
                "Ask the coordinator to reopen it.",
            )
        if seen != self.found.version:
            raise self.moved_on(seen)
        try:
            discrepancy_after(DiscrepancyState(self.found.state), action)
        except DiscrepancyStepRefused as refused:
            raise WrongState(
                "WRONG_STATE",
                f"Cannot {action} a discrepancy that is {refused.state}.",
                "Choose one of what is possible now.",
                possible=possible_for(self.asker, self.found),
            ) from None

    def moved_on(self, seen: int) -> WrongState:
        """The error of who decides on what is no longer so, with what changed since."""
        return WrongState(
            "MOVED_ON",
            "This discrepancy has moved on since you looked at it.",
            "Look at what changed, then decide again.",
            possible=["reload"],
            **moved_on(*discrepancy_for(self.user, self.found.pk), seen=seen),
        )

    def shape_for(self, resolution: str, shape: Mapping[str, Any] | None) -> Mask | None:
        """Let pass only a resolution that can be had here; the mask of one drawn anew."""
        allowed = resolutions_of(self.case)
        if resolution not in allowed:
            raise BadInput(
                "BAD_RESOLUTION",
                f"What can be settled is one of {', '.join(allowed)}.",
                "Choose one of them.",
                possible=allowed,
            )
        if (shape is not None) != (resolution == Resolution.REDRAWN):
            raise BadInput(
                "BAD_SHAPE",
                "A shape comes with the resolution `redrawn`, and with that alone.",
                "Send a shape to redraw, and none for anything else.",
            )
        if shape is not None:
            return save_redrawn(self.case, shape, step=self.client, author=self.user)
        require_shape(self.consensus.comparison, self.found.cluster, resolution)
        return None

    def take(self, act: Act) -> Step:
        """Take the step, settle what it was the last of, and record both."""
        found = self.found
        adjudicates = self.asker.seat == Seat.ADJUDICATOR
        with named_by_client(Step):
            step = Step.objects.create(
                id=self.client,
                discrepancy=found,
                position=found.version + 1,
                actor=self.user,
                role=SettlingRole.ADJUDICATOR if adjudicates else SettlingRole.READER,
                action=act.action.value,
                resolution=act.resolution,
                rationale=act.rationale,
                mask=act.mask,
                proposal=act.proposal,
                body_hash=self.body_hash,
            )
        self._move(step, act)
        record(
            _EVENTS[act.action],
            found,
            actor=self.user,
            chain=self.case.chain,
            reason=step.rationale,
            news=self._news(act),
            consensus=str(self.consensus.pk),
            cluster=found.cluster.number,
            version=found.version,
            role=step.role,
            state=found.state,
            resolution=step.resolution,
            mask=step.mask.hash if step.mask else None,
            step=str(step.pk),
            proposal=str(act.proposal.pk) if act.proposal else None,
            **({"session": self.screen.username} if self.screen else {}),
        )
        if found.state in DECIDED:
            settle_if_nothing_open(self.consensus, self.user)
        step.answer = act_json(*discrepancy_for(self.user, found.pk))
        step.save(update_fields=["answer"])
        return step

    def _move(self, step: Step, act: Act) -> None:
        found = self.found
        found.state = discrepancy_after(DiscrepancyState(found.state), act.action).value
        found.version = step.position
        found.proposal = step if act.action == DiscrepancyAction.PROPOSE else None
        if found.state in DECIDED:
            said = [act.proposal.rationale if act.proposal else "", act.rationale]
            found.decision, found.decided_at = step, timezone.now()
            found.rationale = " · ".join(dict.fromkeys(text for text in said if text))
        if found.state == DiscrepancyState.RESOLVED:
            found.resolution = act.resolution
        found.save()

    def _news(self, act: Act) -> list[News]:
        found, comparison = self.found, self.consensus.comparison
        told = {"discrepancy": str(found.pk), "version": found.version, "state": found.state}
        news = [News(self.consensus.audience, "discrepancy.changed", told)]
        news += to_readers(comparison)
        if act.action == DiscrepancyAction.DEFER or self.asker.seat == Seat.ADJUDICATOR:
            news += to_adjudicators(self.consensus)
        return [*news, case_changed(self.case)]


def reason_of(rationale: str, *, needed: bool = True) -> str:
    """What somebody gave as their reason; raises `BadInput` for none or too much."""
    said = rationale.strip()
    if (needed and not said) or len(said) > LONGEST_RATIONALE:
        raise BadInput(
            "RATIONALE_NEEDED",
            f"A rationale has 1 to {LONGEST_RATIONALE} characters.",
            "Say why, in a sentence or two.",
        )
    return said
