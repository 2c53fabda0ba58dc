"""Reference labels of the agreed nodes: given by either reader, or left to the adjudicator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import transaction

from backend.accounts.models import User
from backend.audit.services import record
from backend.errors import BadInput, Missing, NotAllowed, WrongState
from backend.reading.consensus_selectors import Seat, asker_of
from backend.reading.evidence import LabelKind
from backend.reading.label_rules import label_faults, rests_on_necrosis_alone
from backend.reading.label_selectors import (
    LABELLING,
    Labelled,
    evidence_shown,
    items_of,
    labelled_nodes,
    place_of,
    rules_of,
)
from backend.reading.models import (
    Case,
    Consensus,
    ConsensusNode,
    ReferenceLabel,
)
from backend.reading.services.acts import client_reused, named_by_client
from backend.reading.services.announcing import case_changed, to_adjudicators, to_readers
from backend.reading.services.carrying import begin_labelling
from backend.reading.services.label_news import (
    incomplete,
    label_changed,
    label_facts,
    lock_consensus,
    record_completed,
)
from backend.reading.services.versions import consensus_changed, step_consensus
from backend.reading.vocabulary import SettlingRole
from backend.reading.workflow import ConsensusAction, ConsensusState

__all__ = ["begin_labelling", "defer_label", "set_label"]


@transaction.atomic
def set_label(
    *,
    consensus: Consensus,
    number: int,
    user: User,
    client: UUID,
    seen: int,
    value: str,
    reason: str = "",
    rationale: str = "",
    evidence: Sequence[UUID] = (),
) -> ReferenceLabel:
    """Say what an agreed node is, and on which evidence that rests.

    Args:
        consensus: the version.
        number: the node's number in it.
        user: a reader; or the adjudicator, for a node that was left to them.
        client: the act's UUID; the same act again changes nothing.
        seen: how many labels the node had when it was looked at.
        value: the label.
        reason: why it cannot be assessed.
        rationale: why, in the user's words.
        evidence: what it rests on.

    Raises:
        WrongState: `MOVED_ON` with the node as it is now; or nothing is labelled now.
        NotAllowed: the node was left to the adjudicator, or was not.
        BadInput: what the label lacks, by its code.
    """
    asked = {
        "kind": LabelKind.SET.value,
        "value": value,
        "reason": reason.strip(),
        "rationale": rationale.strip(),
        "evidence": sorted({str(item) for item in evidence}),
    }
    case, consensus = lock_consensus(consensus)
    before = _told_before(client, consensus, number, user, asked)
    if before is not None:
        return before
    found = _guard(consensus, number, user, seen)
    role = _role(consensus, found, user)
    alone = _judge(case, consensus, found.node, asked)
    return _write(
        case, consensus, found, user=user, role=role, client=client, alone=alone, said=asked
    )


@transaction.atomic
def defer_label(
    *, consensus: Consensus, number: int, user: User, client: UUID, seen: int, rationale: str
) -> ReferenceLabel:
    """Leave a node to the adjudicator, who then alone labels it; raises as `set_label`."""
    asked = {
        "kind": LabelKind.DEFERRED.value,
        "value": "",
        "reason": "",
        "rationale": rationale.strip(),
        "evidence": [],
    }
    case, consensus = lock_consensus(consensus)
    before = _told_before(client, consensus, number, user, asked)
    if before is not None:
        return before
    found = _guard(consensus, number, user, seen)
    role = _role(consensus, found, user)
    if role != SettlingRole.READER:
        raise NotAllowed(
            "NOT_A_READER", "Only a reader leaves a label to the adjudicator.", "Label the node."
        )
    if not asked["rationale"]:
        raise BadInput(
            "RATIONALE_NEEDED",
            "Leaving a node to the adjudicator needs a rationale.",
            "Say what you cannot settle.",
        )
    return _write(
        case, consensus, found, user=user, role=role, client=client, alone=False, said=asked
    )


def _told_before(
    client: UUID, consensus: Consensus, number: int, user: User, asked: dict[str, Any]
) -> ReferenceLabel | None:
    """The label this very act gave before; raises `WrongState` where its UUID was another act's."""
    found = ReferenceLabel.objects.select_related("node").filter(pk=client).first()
    if found is None:
        return None
    same = (found.node.consensus_id, found.node.number, found.by_id) == (
        consensus.pk,
        number,
        user.pk,
    )
    if not same or any(getattr(found, name) != given for name, given in asked.items()):
        raise client_reused()
    return found


def _guard(consensus: Consensus, number: int, user: User, seen: int) -> Labelled:
    seat = asker_of(user, consensus).seat
    if seat == Seat.OBSERVER:
        raise NotAllowed(
            "ROLE_NEEDED",
            "Only the two readers, or the adjudicator they leave a node to, label it.",
            "Ask one of them.",
        )
    if consensus.state not in LABELLING:
        raise _not_labelled_now(consensus)
    found = next((each for each in labelled_nodes(consensus) if each.node.number == number), None)
    if found is None:
        raise Missing("node")
    if found.position != seen:
        raise WrongState(
            "MOVED_ON",
            "Somebody labelled this node since you looked.",
            "Look at it as it is now, then decide.",
            possible=["reload"],
            number=number,
        )
    return found


def _not_labelled_now(consensus: Consensus) -> WrongState:
    state = ConsensusState(consensus.state)
    cure = {
        ConsensusState.DRAFT: "Settle what is open first.",
        ConsensusState.SIGNING: "Object to it first; that voids the signatures given.",
        ConsensusState.PUBLISHED: "Ask the coordinator to reopen it.",
    }.get(state, "Go to the version that took its place.")
    possible = {ConsensusState.DRAFT: ["settle"], ConsensusState.SIGNING: ["sign", "object"]}
    return WrongState(
        "WRONG_STATE",
        f"Nothing is labelled in a consensus that is {state}.",
        cure,
        possible=possible.get(state, []),
    )


def _role(consensus: Consensus, found: Labelled, user: User) -> SettlingRole:
    """As what the user labels this node; raises `NotAllowed`."""
    adjudicates = asker_of(user, consensus).seat == Seat.ADJUDICATOR
    if adjudicates and not found.left:
        raise NotAllowed(
            "NOT_DEFERRED",
            "This node was not left to the adjudicator.",
            "Label the nodes that were.",
        )
    if found.left and not adjudicates:
        raise NotAllowed(
            "DEFERRED",
            "This node was left to the adjudicator, who alone labels it now.",
            "Wait for the adjudicator's label.",
        )
    return SettlingRole.ADJUDICATOR if adjudicates else SettlingRole.READER


def _judge(case: Case, consensus: Consensus, node: ConsensusNode, asked: dict[str, Any]) -> bool:
    """Whether the label rests on necrosis alone; raises `BadInput` for what it lacks."""
    wanted = asked["evidence"]
    rows = list(evidence_shown(consensus).filter(pk__in=wanted))
    if len(rows) != len(wanted):
        raise BadInput(
            "NO_SUCH_EVIDENCE",
            "Not all of this is evidence of the case.",
            "Load the evidence again and link what is there.",
        )
    rules, items = rules_of(case), list(items_of(consensus, rows).values())
    place, study = place_of(node), case.study_date
    faults = label_faults(
        value=asked["value"],
        reason=asked["reason"],
        rationale=asked["rationale"],
        items=items,
        place=place,
        study=study,
        rules=rules,
    )
    if faults:
        first = faults[0]
        raise BadInput(
            first.code,
            " ".join(fault.sentence for fault in faults),
            " ".join(fault.cure for fault in faults),
            needs=[fault.code for fault in faults],
        )
    return rests_on_necrosis_alone(asked["value"], items, place, study, rules)


def _write(
    case: Case,
    consensus: Consensus,
    found: Labelled,
    *,
    user: User,
    role: SettlingRole,
    client: UUID,
    alone: bool,
    said: dict[str, Any],
) -> ReferenceLabel:
    before = consensus.state
    with named_by_client(ReferenceLabel):
        label = ReferenceLabel.objects.create(
            id=client,
            node=found.node,
            position=found.position + 1,
            rests_on_necrosis_alone=alone,
            by=user,
            role=role,
            **said,
        )
    step_consensus(consensus, ConsensusAction.LABEL)
    left = incomplete(consensus)
    if not left:
        step_consensus(consensus, ConsensusAction.COMPLETE)
    consensus.save(update_fields=["state"])
    deferred = said["kind"] == LabelKind.DEFERRED
    news = [label_changed(consensus, label), *to_readers(consensus.comparison)]
    if deferred or consensus.state != before:
        news += [consensus_changed(consensus), case_changed(case)]
    if deferred:
        news += to_adjudicators(consensus)
    record(
        f"label.{label.kind}",
        label,
        actor=user,
        chain=case.chain,
        reason=label.reason,
        news=news,
        **label_facts(consensus, label),
    )
    if not left:
        record_completed(case, consensus, user)
    return label
