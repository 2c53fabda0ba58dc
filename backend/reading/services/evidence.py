"""Evidence: entered by an abstractor of the project, withdrawn with a reason, never changed."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.audit.services import News, record
from backend.errors import BadInput, NotAllowed, WrongState, reason_of
from backend.reading.consensus_record import evidence_facts
from backend.reading.consensus_selectors import Seat, asker_of
from backend.reading.evidence import (
    EvidenceKind,
    Item,
    Scope,
)
from backend.reading.evidence_entry import entry_faults
from backend.reading.label_selectors import (
    LABELLING,
    agreed_version,
    labelling_version,
    may_abstract,
    resting_on,
    unfinished_version,
)
from backend.reading.models import Case, Consensus, ConsensusNode, Evidence
from backend.reading.services.acts import client_reused, named_by_client
from backend.reading.services.announcing import case_changed, to_readers
from backend.reading.services.guards import lock_case
from backend.reading.services.label_news import label_changed
from backend.reading.services.moving import moved, shift_of
from backend.reading.services.versions import consensus_changed, step_consensus
from backend.reading.services.voiding import void_signatures
from backend.reading.workflow import ConsensusAction, ConsensusState


@dataclass(frozen=True)
class Entry:
    """What was typed, with the details of its kind; dates as the hospital's records have them.

    `node` is the number of an agreed node in `version` of the consensus: numbers are given anew
    in every version.
    """

    kind: str
    result: str
    source: str
    scope: str
    date: datetime.date | None = None
    known_at: datetime.date | None = None
    node: int | None = None
    version: int | None = None
    side: str = ""
    level: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@transaction.atomic
def enter_evidence(*, case: Case, user: User, client: UUID, entry: Entry) -> Evidence:
    """Keep a piece of evidence, whether it counts or not.

    Raises:
        NotAllowed: the user is no abstractor of the project; who reads enters necrosis alone.
        BadInput: with a sentence for every field that is missing or odd.
        WrongState: `MOVED_ON`, the node was chosen from another version than holds now.
    """
    case = lock_case(case.pk)
    shift = shift_of(case)
    date, known_at = moved(entry.date, shift), moved(entry.known_at, shift)
    entry = replace(entry, date=date, known_at=known_at)
    before = _entered_before(client, case, user, entry)
    if before is not None:
        return before
    labelling = labelling_version(case)
    _guard_person(case, user, entry, labelling)
    agreed = agreed_version(case)
    _guard_version(entry, agreed)
    numbers = {node.number: node for node in agreed.nodes.all()} if agreed else {}
    node = numbers.get(entry.node) if entry.node is not None else None
    _judge(case, entry, node, shift, nodes_known=bool(numbers))
    here = entry.scope == Scope.SIDE_LEVEL
    with named_by_client(Evidence):
        evidence = Evidence.objects.create(
            id=client,
            case=case,
            kind=entry.kind,
            result=entry.result,
            date=None if entry.kind == EvidenceKind.NECR else entry.date,
            known_at=entry.known_at,
            source=entry.source,
            scope=entry.scope,
            node=node if entry.scope == Scope.NODE else None,
            side=entry.side if here else "",
            level=entry.level if here else "",
            details=dict(entry.details),
            entered_by=user,
        )
    record(
        "evidence.entered",
        evidence,
        actor=user,
        chain=case.chain,
        news=evidence_changed(labelling),
        **evidence_facts(evidence, case),
    )
    return evidence


def _entered_before(client: UUID, case: Case, user: User, entry: Entry) -> Evidence | None:
    """What this very act entered before; raises `WrongState` where its UUID was another act's."""
    found = (
        Evidence.objects.select_related("node__consensus", "case__protocol")
        .filter(pk=client)
        .first()
    )
    if found is None:
        return None
    here = entry.scope == Scope.SIDE_LEVEL
    date = None if entry.kind == EvidenceKind.NECR else entry.date
    side, level = (entry.side, entry.level) if here else ("", "")
    then: list[Any] = [found.case_id, found.entered_by_id, found.kind, found.result, found.source]
    then += [found.scope, found.date, found.known_at, found.side, found.level]
    now: list[Any] = [case.pk, user.pk, entry.kind, entry.result, entry.source]
    now += [entry.scope, date, entry.known_at, side, level]
    details = found.details == dict(entry.details)
    if then != now or not details or not _same_node(found, entry):
        raise client_reused()
    return found


def _same_node(found: Evidence, entry: Entry) -> bool:
    if found.node is None:
        return True
    return (found.node.number, found.node.consensus.version) == (entry.node, entry.version)


def _guard_version(entry: Entry, agreed: Consensus | None) -> None:
    if entry.scope != Scope.NODE or entry.node is None or agreed is None:
        return
    if entry.version is None:
        raise BadInput(
            "BAD_INPUT",
            "A node is named by its number and the version of the consensus that numbers it.",
            "Send the version that was shown beside the numbers.",
            fields={"node": "Choose the node from the list."},
        )
    if entry.version != agreed.version:
        raise WrongState(
            "MOVED_ON",
            f"The nodes were numbered anew in version {agreed.version} of the consensus; this "
            f"was typed with those of version {entry.version}.",
            "Choose the node again; what else you typed is kept here.",
            version=agreed.version,
        )


def _guard_person(case: Case, user: User, entry: Entry, labelling: Consensus | None) -> None:
    if may_abstract(user, case):
        return
    if labelling is None or asker_of(user, labelling).seat == Seat.OBSERVER:
        raise NotAllowed(
            "ROLE_NEEDED",
            "Only an abstractor of the project enters evidence.",
            "Ask an abstractor of this project.",
        )
    if entry.kind != EvidenceKind.NECR:
        raise NotAllowed(
            "NECROSIS_ONLY",
            "Who reads enters what this CT shows alone: central necrosis.",
            "Ask the abstractor to enter what comes from elsewhere.",
        )
    _guard_signing(case, labelling, user)


def _guard_signing(case: Case, labelling: Consensus, user: User) -> None:
    """Who reads takes signatures away by objecting alone; an abstractor corrects all the same."""
    if labelling.state in LABELLING or may_abstract(user, case):
        return
    raise WrongState(
        "WRONG_STATE",
        "The consensus is being signed.",
        "Object to it first; that voids the signatures given.",
        possible=["sign", "object"],
    )


def _judge(
    case: Case,
    entry: Entry,
    node: ConsensusNode | None,
    shift: datetime.timedelta,
    *,
    nodes_known: bool,
) -> None:
    faults = entry_faults(
        item=Item(
            kind=entry.kind,
            result=entry.result,
            date=entry.date,
            scope=entry.scope,
            node=str(node.node_id) if node else "",
            side=entry.side,
            level=entry.level,
            details=entry.details,
        ),
        source=entry.source,
        known_at=entry.known_at,
        today=timezone.now().date() + shift,
        study=case.study_date,
        slices=case.grid.shape[0],
        nodes_known=nodes_known,
    )
    if faults:
        raise BadInput(
            "BAD_INPUT",
            "; ".join(f"{name}: {sentence}" for name, sentence in faults.items()),
            "Correct the fields named and send again.",
            fields=faults,
        )


@transaction.atomic
def withdraw_evidence(*, evidence: Evidence, user: User, reason: str) -> Evidence:
    """Take a piece of evidence back; what was labelled on it has to be labelled again.

    Raises:
        NotAllowed: the user neither entered it nor is an abstractor of the project.
        WrongState: it was withdrawn before, or a published label rests on it.
    """
    case = lock_case(evidence.case_id)
    evidence = (
        Evidence.objects.select_for_update(of=("self",)).select_related("node").get(pk=evidence.pk)
    )
    _guard_withdrawal(case, evidence, user)
    reason = reason_of(reason, "Withdrawing evidence needs a reason.")
    if evidence.withdrawn_at is not None:
        if (evidence.withdrawn_by_id, evidence.withdrawn_reason) == (user.pk, reason):
            return evidence
        raise WrongState(
            "WITHDRAWN", "This was withdrawn already.", "Enter it again where it holds after all."
        )
    resting = resting_on(evidence)
    _guard_published(case, resting)
    labelling = labelling_version(case)
    fallen = [node for node in resting if labelling and node.consensus_id == labelling.pk]
    if labelling is not None and fallen:
        _guard_signing(case, labelling, user)
    evidence.withdrawn_at, evidence.withdrawn_by = timezone.now(), user
    evidence.withdrawn_reason = reason
    evidence.save(update_fields=["withdrawn_at", "withdrawn_by", "withdrawn_reason"])
    news = evidence_changed(labelling)
    if labelling is not None and fallen:
        news += _label_again(case, labelling, fallen, user=user, reason=reason)
    record(
        "evidence.withdrawn",
        evidence,
        actor=user,
        chain=case.chain,
        reason=reason,
        news=news,
        **evidence_facts(evidence, case),
        labels=[{"consensus": str(node.consensus_id), "number": node.number} for node in resting],
    )
    return evidence


def _guard_withdrawal(case: Case, evidence: Evidence, user: User) -> None:
    if may_abstract(user, case) or evidence.entered_by_id == user.pk:
        return
    raise NotAllowed(
        "ROLE_NEEDED",
        "Only who entered it, or an abstractor of the project, withdraws evidence.",
        "Ask an abstractor of this project.",
    )


def _guard_published(case: Case, resting: Iterable[ConsensusNode]) -> None:
    published = [n for n in resting if n.consensus.state == ConsensusState.PUBLISHED]
    if not published or unfinished_version(case) is not None:
        return
    numbers = " and ".join(str(node.number) for node in published)
    raise WrongState(
        "PUBLISHED",
        f"The label of node {numbers} in version {published[0].consensus.version} of the "
        "consensus rests on this, and that is published.",
        "Ask the coordinator to reopen the consensus first, then withdraw it.",
    )


def _label_again(
    case: Case,
    consensus: Consensus,
    nodes: Iterable[ConsensusNode],
    *,
    user: User,
    reason: str,
) -> list[News]:
    """The version goes back to labelling; signatures given are void, and on record."""
    before = consensus.state
    if consensus.state == ConsensusState.SIGNING:
        why = f"Evidence was withdrawn: {reason}"
        voided = void_signatures(consensus, reason=why)
        step_consensus(consensus, ConsensusAction.OBJECT)
        consensus.save(update_fields=["state"])
        record(
            "consensus.objected",
            consensus,
            actor=user,
            chain=case.chain,
            reason=why,
            consensus=str(consensus.pk),
            version=consensus.version,
            voided=voided,
            client=None,
        )
    else:
        step_consensus(consensus, ConsensusAction.LABEL)
        consensus.save(update_fields=["state"])
    news = [label_changed(consensus, list(node.labels.all())[-1]) for node in nodes]
    news += to_readers(consensus.comparison)
    if consensus.state != before:
        news += [consensus_changed(consensus), case_changed(case)]
    return news


def evidence_changed(labelling: Consensus | None) -> list[News]:
    """To whoever labels now, that there is something to load; to nobody before that."""
    return [News(labelling.audience, "evidence.changed", {})] if labelling else []
