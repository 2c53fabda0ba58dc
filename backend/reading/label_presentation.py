"""Labels, evidence and signatures as the API shows them: to each what they may see, by role."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from backend.accounts.models import User
from backend.reading.consensus_record import hash_of, record_of_consensus, required_signers
from backend.reading.consensus_selectors import Asker, Seat
from backend.reading.evidence import (
    Item,
    LabelKind,
    Rules,
    days_from_study,
    shortcomings,
    standing,
    text_of,
)
from backend.reading.label_selectors import (
    LABELLING,
    SIGNED,
    Labelled,
    evidence_shown,
    item_of,
    labelled_nodes,
    node_now,
    rules_of,
)
from backend.reading.models import Case, Consensus, ConsensusNode, Evidence, ReferenceLabel
from backend.reading.presentation import measures_json
from backend.reading.vocabulary import SettlingRole
from backend.reading.workflow import ConsensusState

_PUBLISHED = (ConsensusState.PUBLISHED.value, ConsensusState.SUPERSEDED.value)


def nodes_json(consensus: Consensus, asker: Asker) -> list[dict[str, Any]]:
    """The agreed nodes with their labels; none before they are agreed on."""
    if not asker.whole:
        return []
    return [node_json(each, asker, consensus) for each in labelled_nodes(consensus)]


def node_json(found: Labelled, asker: Asker, consensus: Consensus) -> dict[str, Any]:
    """One agreed node, its label, what it still needs, and what this asker may do."""
    node = found.node
    return {
        "number": node.number,
        "uuid": str(node.node_id),
        "cluster": node.cluster.number,
        "origin": node.origin,
        "side": node.side or None,
        "level": node.level or None,
        "measures": measures_json(node.measures),
        "impressions": node.impressions,
        "label": label_json(found.label, asker) if found.label else None,
        "position": found.position,
        "possible": _possible(found, asker, consensus),
        "needs": list(found.needs),
    }


def label_json(label: ReferenceLabel, asker: Asker) -> dict[str, Any]:
    """A label, and as whose this asker may know it; one carried over, as it was given."""
    given = label
    while given.carried is not None:
        given = given.carried
    return {
        "value": label.value,
        "reason": label.reason,
        "rationale": label.rationale,
        "evidence": label.evidence,
        "by": asker.word_for(label.by, label.role),
        "at": given.at.isoformat(),
        "carried": given is not label,
        "position": label.position,
        "deferred": label.kind == LabelKind.DEFERRED,
        "rests_on_necrosis_alone": label.rests_on_necrosis_alone,
    }


def _possible(found: Labelled, asker: Asker, consensus: Consensus) -> list[str]:
    if consensus.state not in LABELLING or asker.seat == Seat.OBSERVER:
        return []
    if found.left:
        return ["label"] if asker.seat == Seat.ADJUDICATOR else []
    return ["label", "defer"] if asker.seat == Seat.READER else []


def evidence_json(consensus: Consensus, asker: Asker) -> list[dict[str, Any]]:
    """The evidence this asker sees in this version; none before its nodes are agreed on."""
    if not asker.whole:
        return []
    nodes = list(consensus.nodes.all())
    return items_json(consensus.case, evidence_shown(consensus), nodes)


def items_json(
    case: Case, evidence: Iterable[Evidence], nodes: Iterable[ConsensusNode] = ()
) -> list[dict[str, Any]]:
    """Pieces of evidence; the numbers of nodes are those of `nodes`."""
    nodes, study, rules = list(nodes), case.study_date, rules_of(case)
    found = []
    for one in evidence:
        item, node = item_of(one, nodes), node_now(one, nodes)
        verdict = standing(item, study, rules)
        found.append(
            {
                "id": str(one.pk),
                "kind": one.kind,
                "result": one.result,
                "date": one.date.isoformat() if one.date else None,
                "days_from_study": days_from_study(one.date, study),
                "known_at": one.known_at.isoformat() if one.known_at else None,
                "source": one.source,
                "scope": one.scope,
                "node": node.number if node else None,
                "side": one.side or None,
                "level": one.level or None,
                "details": one.details,
                "counts_as_positive": verdict.counts,
                "why_not": _why_not(item, study, rules),
                "text": text_of(item, study, node=node.number if node else None),
                "withdrawn": one.withdrawn_reason or None,
            }
        )
    return found


_CURE = " Rest the label on other evidence."


def _why_not(item: Item, study: datetime.date | None, rules: Rules) -> str:
    """Every reason, and the cure that several of them share only once."""
    found = shortcomings(item, study, rules)
    if sum(sentence.endswith(_CURE) for sentence in found) > 1:
        found = [*(sentence.removesuffix(_CURE) for sentence in found), _CURE.strip()]
    return " ".join(found)


def labels_json(consensus: Consensus) -> dict[str, Any]:
    """What the protocol asks of labels."""
    rules = rules_of(consensus.case)
    return {
        "values": list(rules.values),
        "metastatic_needs": rules.metastatic_needs,
        "pet_max_days": rules.pet_max_days,
    }


def signing_json(consensus: Consensus, asker: Asker) -> dict[str, Any]:
    """Who signs, who has, what is signed, and what keeps it from being signed."""
    required = required_signers(consensus)
    valid = {s.user_id: s for s in consensus.signatures.filter(void_at=None)}
    people = User.objects.in_bulk(list(required))
    published = consensus.state in _PUBLISHED

    def signer(user: UUID) -> dict[str, Any]:
        signature, mine = valid.get(user), user == asker.user.pk
        named = mine or asker.names or (signature is not None and (asker.whole or published))
        name = signature.printed_name if signature else people[user].shown_name
        return {
            "role": required[user].value,
            "name": name if named else None,
            "mine": mine,
            "signed_at": signature.at.isoformat() if signature else None,
        }

    def place(user: UUID) -> tuple[bool, str, str]:
        return user != asker.user.pk, _ROLE_ORDER[required[user]], str(user)

    can = consensus.state in SIGNED and asker.user.pk in required and asker.user.pk not in valid
    objection = _objection(consensus)
    return {
        "required": [signer(user) for user in sorted(required, key=place)],
        "record_hash": record_hash_of(consensus),
        "can_sign": can and asker.seat != Seat.OBSERVER,
        "missing": _missing(consensus, objection) if asker.whole else [],
        "objection": objection if asker.whole else None,
    }


_ROLE_ORDER = {SettlingRole.READER: "0", SettlingRole.ADJUDICATOR: "1"}


def record_hash_of(consensus: Consensus) -> str:
    """The hash of what is signed, as it stands now; "" before there is anything to sign."""
    if consensus.state in SIGNED:
        return hash_of(record_of_consensus(consensus))
    return consensus.record_hash


def _objection(consensus: Consensus) -> str | None:
    """Why a signer objected, while nobody has labelled anything since."""
    if consensus.state != ConsensusState.LABELLING:
        return None
    last = consensus.signatures.filter(void_at__isnull=False).order_by("void_at").last()
    if last is None:
        return None
    since = ReferenceLabel.objects.filter(node__consensus=consensus, at__gte=last.void_at)
    return None if since.exists() else last.void_reason


def _missing(consensus: Consensus, objection: str | None) -> list[str]:
    if consensus.state == ConsensusState.DRAFT:
        return ["Something is still to be settled."]
    if consensus.state != ConsensusState.LABELLING:
        return []
    found = [
        f"Node {each.node.number}: {need}"
        for each in labelled_nodes(consensus)
        for need in each.needs
    ]
    if objection is not None:
        found.insert(
            0,
            f"A signer objected: {objection} Label a node again, or have the coordinator reopen "
            "what is to be settled again.",
        )
    return found
