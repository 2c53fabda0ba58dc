"""Whether what is stored of a consensus is still what was signed.

A signature keeps its record and its hash, the store keeps the record under that hash, and the event
`consensus.signed` keeps the hash in the chain. Labels and evidence are told whole by their events.
The tables are compared with all of these, because whoever owns the database can rewrite them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import zstandard

from backend.audit.models import Event
from backend.reading.consensus_record import evidence_content, hash_of, record_of_consensus
from backend.reading.evidence import LabelKind
from backend.reading.models import Case, Consensus, ConsensusSignature, Evidence, ReferenceLabel
from backend.reading.signatures import cases_of
from backend.store import BlobMissing, store


def consensus_faults(chain: str | None = None) -> list[tuple[str, str]]:
    """(Chain, sentence) for everything of a consensus that is not what was signed or told."""
    cases = Case.objects.filter(consensuses__isnull=False) | Case.objects.filter(
        evidence__isnull=False
    )
    if chain is not None:
        cases = Case.objects.filter(pk__in=cases_of(chain))
    told = Event.objects.filter(
        action__in=("consensus.signed", "evidence.entered"), outcome="success"
    )
    chains = set(told.values_list("chain", flat=True).distinct())
    found = []
    for case in cases.select_related("protocol").distinct().order_by("created"):
        chains.discard(case.chain)
        found += [(case.chain, f"{case.label}: {fault}") for fault in _case_faults(case)]
    if chain is None:
        found += [(name, "A case whose consensus was signed is gone.") for name in sorted(chains)]
    return found


def _case_faults(case: Case) -> Iterator[str]:
    events = list(
        Event.objects.filter(
            chain=case.chain,
            outcome="success",
            action__in=(
                "consensus.signed",
                "consensus.published",
                "label.set",
                "label.deferred",
                "label.carried",
                "evidence.entered",
                "evidence.withdrawn",
            ),
        ).order_by("position")
    )
    yield from _signature_faults(case, events)
    yield from _label_faults(case, events)
    yield from _evidence_faults(case, events)


def _of(events: Iterable[Event], *actions: str) -> dict[str, Event]:
    return {event.subject_id: event for event in events if event.action in actions}


def _signature_faults(case: Case, events: Iterable[Event]) -> Iterator[str]:
    told = _of(events, "consensus.signed")
    published = _of(events, "consensus.published")
    consensuses = case.consensuses.select_related(
        "case__protocol", "comparison__first__effective", "comparison__second__effective"
    ).select_related("mask", "ignored")
    for consensus in consensuses.order_by("version"):
        signatures = list(consensus.signatures.order_by("at"))
        for signature in signatures:
            event = told.pop(str(signature.pk), None)
            yield from _signed_faults(consensus, signature, event)
        valid = [signature for signature in signatures if signature.void_at is None]
        if valid:
            yield from _record_faults(consensus, valid[0])
        event = published.pop(str(consensus.pk), None)
        if bool(consensus.published_at) != bool(event) or (
            event and event.facts.get("record_hash") != consensus.record_hash
        ):
            yield f"Version {consensus.version} is not published as the log says."
        if event and any(s.record_hash != consensus.record_hash for s in valid):
            yield f"Version {consensus.version} was published with a record nobody signed."
    for event in [*told.values(), *published.values()]:
        yield f"Event {event.position} is a {_WHAT[event.action]} that is no longer stored."


_WHAT = {
    "consensus.signed": "signature",
    "consensus.published": "published version",
    "evidence.entered": "piece of evidence",
    "label.set": "label",
    "label.deferred": "label",
    "label.carried": "label",
}


def _signed_faults(
    consensus: Consensus, signature: ConsensusSignature, event: Event | None
) -> Iterator[str]:
    which = f"Version {consensus.version}, signed by {signature.printed_name}"
    if hash_of(signature.record) != signature.record_hash:
        yield f"{which}: the record kept does not have the hash that was signed."
    if event is None:
        yield f"{which}: the log holds no event of this signature."
    else:
        said = {
            "record_hash": signature.record_hash,
            "printed_name": signature.printed_name,
            "meaning": signature.meaning,
            "role": signature.role,
        }
        different = [name for name, value in said.items() if event.facts.get(name) != value]
        if event.actor_id != signature.user_id:
            different.append("signer")
        if different:
            yield f"{which}: not what the log holds ({', '.join(different)})."
    try:
        kept = store().read(signature.record_hash)
    except (BlobMissing, zstandard.ZstdError):
        yield f"{which}: the record that was signed is not in the store."
    else:
        if hashlib.sha256(kept).hexdigest() != signature.record_hash:
            yield f"{which}: the record in the store is not the one that was signed."


def _record_faults(consensus: Consensus, signature: ConsensusSignature) -> Iterator[str]:
    """What the tables say now against what was signed."""
    now, signed = record_of_consensus(consensus), signature.record
    which = f"Version {consensus.version}"
    names = sorted({*now, *signed} - {"nodes", "discrepancies"})
    different = [name for name in names if now.get(name) != signed.get(name)]
    if different:
        yield f"{which} is not as it was signed: {', '.join(different)}."
    pairs = (("nodes", "number", "Node"), ("discrepancies", "cluster", "Discrepancy"))
    for part, key, word in pairs:
        then, here = (_by(record.get(part, []), key) for record in (signed, now))
        for number in sorted({*then, *here}):
            if number not in then or number not in here:
                gone = "was not" if number not in then else "is no longer"
                yield f"{which}: {word.lower()} {number} {gone} part of it."
                continue
            found = _different(then[number], here[number])
            if found:
                yield f"{which}: {word.lower()} {number} is not as it was signed ({found})."


def _by(rows: Iterable[Mapping[str, Any]], key: str) -> dict[int, Mapping[str, Any]]:
    return {row[key]: row for row in rows}


def _different(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs, by name: of a label, which part of it."""
    found = []
    for name in then:
        before, after = then[name], now.get(name)
        if before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            found += [f"{name}: {part}" for part in before if before[part] != after.get(part)]
        else:
            found.append(name)
    return ", ".join(word.replace("_", " ") for word in found)


def _label_faults(case: Case, events: Iterable[Event]) -> Iterator[str]:
    told = _of(events, "label.set", "label.deferred", "label.carried")
    labels = ReferenceLabel.objects.filter(node__consensus__case=case).select_related(
        "node__consensus"
    )
    for label in labels.order_by("node__consensus__version", "node__number", "position"):
        version, number = label.node.consensus.version, label.node.number
        which = f"Version {version}, node {number}, label {label.position}"
        event = told.pop(str(label.pk), None)
        if event is None:
            yield f"{which}: the log holds no event of it."
            continue
        said = {
            "version": version,
            "number": number,
            "node": str(label.node.node_id),
            "position": label.position,
            "kind": label.kind,
            "value": label.value,
            "rationale": label.rationale,
            "evidence": label.evidence,
            "rests_on_necrosis_alone": label.rests_on_necrosis_alone,
            "role": label.role,
        }
        different = [name for name, value in said.items() if event.facts.get(name) != value]
        if event.reason != label.reason:
            different.append("reason")
        carried = event.action == "label.carried"
        if not carried and event.actor_id != label.by_id:
            different.append("who gave it")
        if carried != (label.carried_id is not None) or label.kind not in tuple(LabelKind):
            different.append("kind")
        if different:
            yield f"{which}: not what the log holds ({', '.join(different).replace('_', ' ')})."
    for event in told.values():
        yield f"Event {event.position} is a {_WHAT[event.action]} that is no longer stored."


def _evidence_faults(case: Case, events: Iterable[Event]) -> Iterator[str]:
    told, withdrawn = _of(events, "evidence.entered"), _of(events, "evidence.withdrawn")
    for item in Evidence.objects.filter(case=case).select_related("node").order_by("entered_at"):
        event = told.pop(str(item.pk), None)
        which = f"{item.kind} entered {item.entered_at:%Y-%m-%d}"
        if event is None:
            yield f"{which}: the log holds no event of it."
            continue
        content = evidence_content(item)
        different = [name for name, value in content.items() if event.facts.get(name) != value]
        if different:
            yield f"{which}: not what was entered ({', '.join(different).replace('_', ' ')})."
        taken = withdrawn.pop(str(item.pk), None)
        same = taken and (taken.reason, taken.actor_id) == (
            item.withdrawn_reason,
            item.withdrawn_by_id,
        )
        if bool(item.withdrawn_at) != bool(taken) or (taken and not same):
            yield f"{which}: not withdrawn as the log says."
    for event in [*told.values(), *withdrawn.values()]:
        yield f"Event {event.position} is a piece of evidence that is no longer stored."
