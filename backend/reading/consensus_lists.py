"""How far settling is, in a line: on a reader's worklist, an adjudicator's, a coordinator's page.

Counts and states alone. A line is shown to who may open the consensus, and names nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Prefetch

from backend.accounts.models import User
from backend.reading.consensus_selectors import (
    adjudicated_by,
    adjudicators_of,
    latest_of,
    settling_of,
)
from backend.reading.label_selectors import labelled
from backend.reading.models import (
    Case,
    Consensus,
    ConsensusNode,
    ConsensusSignature,
    Discrepancy,
    Evidence,
    ReferenceLabel,
)
from backend.reading.presentation import case_json
from backend.reading.workflow import ConsensusState, DiscrepancyState

_LABELLED = (ConsensusState.LABELLING.value, ConsensusState.READY.value)
_SIGNED = (ConsensusState.READY.value, ConsensusState.SIGNING.value)


@dataclass
class Progress:
    """What of one consensus waits for whom.

    Attributes:
        state: where the consensus stands.
        open: discrepancies nobody has proposed anything for; `proposed_by`: who proposed for the
            others; `deferred`: those left to the adjudicator.
        unlabelled: agreed nodes that the readers have to label; `labels_deferred`: those left to
            the adjudicator.
        signed_by: whose valid signatures stand.
        required: who has to sign.
    """

    state: str
    open: int = 0
    proposed_by: list[UUID] = field(default_factory=list)
    deferred: int = 0
    unlabelled: int = 0
    labels_deferred: int = 0
    signed_by: set[UUID] = field(default_factory=set)
    required: set[UUID] = field(default_factory=set)

    @property
    def to_settle(self) -> int:
        """Discrepancies that are the readers' to settle."""
        return self.open + len(self.proposed_by)

    def answers_due(self, reader: UUID) -> int:
        """Proposals that wait for this reader's answer."""
        return sum(who != reader for who in self.proposed_by)

    def signature_due(self, user: UUID) -> bool:
        """Whether this person has to sign now."""
        return self.state in _SIGNED and user in self.required - self.signed_by


def settle_rows(user: User) -> dict[UUID, dict[str, Any]]:
    """What the worklist says of settling, by reading of the user: the newest version of each."""
    found = list(settling_of(user))
    progress = progress_of(found)
    rows = {}
    for consensus in found:
        comparison = consensus.comparison
        for reading in (comparison.first, comparison.second):
            if reading.reader_id == user.pk:
                rows[reading.pk] = _settle_row(consensus, progress[consensus.pk], user)
    return rows


def _settle_row(consensus: Consensus, now: Progress, user: User) -> dict[str, Any]:
    answers, sign = now.answers_due(user.pk), now.signature_due(user.pk)
    texts = {
        ConsensusState.DRAFT: [
            _count(now.to_settle, "to settle"),
            _count(answers, "waits for your answer", "wait for your answer"),
            _count(now.deferred, "with the adjudicator"),
        ],
        ConsensusState.LABELLING: [
            _count(now.unlabelled, "node to label", "nodes to label"),
            _count(now.labels_deferred, "with the adjudicator"),
        ],
        ConsensusState.READY: ["waits for your signature" if sign else "waits for signatures"],
        ConsensusState.SIGNING: [
            "waits for your signature" if sign else "signed by you, waits for another signature"
        ],
        ConsensusState.PUBLISHED: [f"version {consensus.version} published"],
    }
    return {
        "url": settle_url(consensus),
        "consensus": str(consensus.pk),
        "state": consensus.state,
        "open": now.to_settle,
        "waiting_for_you": answers + now.unlabelled + sign,
        "text": " · ".join(filter(None, texts[ConsensusState(consensus.state)])) or "settled",
    }


def deferred_rows(user: User) -> list[dict[str, Any]]:
    """What was left to the user as adjudicator, in unfinished consensuses."""
    found = list(adjudicated_by(user))
    progress = progress_of(found)
    return [_deferred_row(consensus, progress[consensus.pk], user) for consensus in found]


def _deferred_row(consensus: Consensus, now: Progress, user: User) -> dict[str, Any]:
    sign = now.signature_due(user.pk)
    parts = [
        _count(now.deferred, "to decide"),
        _count(now.labels_deferred, "node to label", "nodes to label"),
        "waits for your signature" if sign else "",
    ]
    waiting = now.deferred + now.labels_deferred
    return {
        "case": case_json(consensus.case),
        "url": settle_url(consensus),
        "consensus": str(consensus.pk),
        "state": consensus.state,
        "open": waiting,
        "waiting_for_you": waiting + sign,
        "text": " · ".join(filter(None, parts)) or "nothing waits for you",
    }


def panel_of(case: Case, *, link: bool) -> dict[str, Any]:
    """What the case's page says of settling: how far it is, and who still has to act, by role."""
    consensus = latest_of(case)
    if consensus is None:
        return {"state": "none"}
    now = progress_of([consensus])[consensus.pk]
    by_people: list[Discrepancy] = consensus.by_people  # type: ignore[attr-defined]
    states = [each.state for each in by_people]
    return {
        "state": consensus.state,
        "version": consensus.version,
        "counts": {state.value: states.count(state.value) for state in DiscrepancyState},
        "total": len(states),
        "waits": _waits(consensus, now),
        "published_at": consensus.published_at,
        "standing": _standing(case, consensus),
        "url": settle_url(consensus) if link else None,
    }


def _standing(case: Case, newest: Consensus) -> dict[str, Any] | None:
    """The published version that stands while a newer one is under way."""
    published = case.consensuses.filter(state=ConsensusState.PUBLISHED.value)
    found = published.exclude(pk=newest.pk).first()
    return {"version": found.version, "published_at": found.published_at} if found else None


def _waits(consensus: Consensus, now: Progress) -> list[tuple[str, str]]:
    """(Role, what it still has to do)."""
    first, second = consensus.comparison.first, consensus.comparison.second
    both = f"{first.slot} or {second.slot}"
    waits = [
        (both, _count(now.open, "to propose")),
        (both, _count(now.unlabelled, "node to label", "nodes to label")),
    ]
    for reading in (first, second):
        due = now.answers_due(reading.reader_id)
        waits.append((reading.slot, _count(due, "proposal to answer", "proposals to answer")))
        waits.append((reading.slot, "to sign" if now.signature_due(reading.reader_id) else ""))
    readers = {first.reader_id, second.reader_id}
    sign = any(now.signature_due(person) for person in now.required - readers)
    waits += [
        ("Adjudicator", _count(now.deferred, "to decide")),
        ("Adjudicator", _count(now.labels_deferred, "node to label", "nodes to label")),
        ("Adjudicator", "to sign" if sign else ""),
    ]
    return [(role, what) for role, what in waits if what]


def _count(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 or not many else many}" if count else ""


def settle_url(consensus: Consensus) -> str:
    """Where a consensus is settled, labelled and signed."""
    query = {"StudyInstanceUIDs": consensus.case.study_uid, "consensus": str(consensus.pk)}
    return f"/viewer/settle?{urlencode(query)}"


def progress_of(consensuses: Sequence[Consensus]) -> dict[UUID, Progress]:
    """How far consensuses are, each with its discrepancies at hand (`by_people`)."""
    found = {each.pk: _settling(each) for each in consensuses}
    _count_labels([each for each in consensuses if each.state in _LABELLED], found)
    signing = [each for each in consensuses if each.state in _SIGNED]
    _count_signatures(signing, found)
    return found


def _settling(consensus: Consensus) -> Progress:
    now = Progress(consensus.state)
    if consensus.state != ConsensusState.DRAFT:
        return now
    by_people: list[Discrepancy] = consensus.by_people  # type: ignore[attr-defined]
    for each in by_people:
        if each.proposal is not None:
            now.proposed_by.append(each.proposal.actor_id)
        now.open += each.state == DiscrepancyState.OPEN
        now.deferred += each.state == DiscrepancyState.DEFERRED
    return now


def _count_labels(labelling: Sequence[Consensus], found: dict[UUID, Progress]) -> None:
    """Add what each still has to label."""
    if not labelling:
        return
    withdrawn = defaultdict[UUID, dict[str, str]](dict)
    cases = [consensus.case_id for consensus in labelling]
    for evidence in Evidence.objects.filter(case__in=cases, withdrawn_at__isnull=False):
        withdrawn[evidence.case_id][str(evidence.pk)] = evidence.withdrawn_reason
    labels = ReferenceLabel.objects.order_by("position")
    nodes = ConsensusNode.objects.filter(consensus__in=labelling).defer("measures")
    for node in nodes.select_related("consensus").prefetch_related(Prefetch("labels", labels)):
        each = labelled(node, withdrawn[node.consensus.case_id])
        if each.needs:
            now = found[node.consensus_id]
            now.labels_deferred += each.left
            now.unlabelled += not each.left


def _count_signatures(signing: Sequence[Consensus], found: dict[UUID, Progress]) -> None:
    """Add who has to sign each, and who did."""
    if not signing:
        return
    for consensus in signing:
        comparison = consensus.comparison
        readers = {comparison.first.reader_id, comparison.second.reader_id}
        found[consensus.pk].required |= readers
    for signed, person in adjudicators_of(signing):
        found[signed].required.add(person)
    valid = ConsensusSignature.objects.filter(consensus__in=signing, void_at__isnull=True)
    for signed, person in valid.values_list("consensus", "user"):
        found[signed].signed_by.add(person)
