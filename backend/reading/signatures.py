"""Whether what is stored is still what was signed.

A signature keeps its record and its hash; the event `reading.submitted` keeps the hash in the
chain. The tables are compared with both, because whoever owns the database can rewrite them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from backend.audit.models import Event
from backend.reading.models import Change, NodeVersion, Reading, Signature
from backend.reading.services.submission import hash_of, record_of

# What a node's version says that is signed too.
_SAID = ("decision", "reason", "impression", "confidence", "doubt")


def signature_faults(chain: str | None = None) -> list[tuple[str, str]]:
    """(Chain, sentence) for everything stored that is not what was signed, of one chain or all."""
    signed = Signature.objects.select_related(
        "reading__case__protocol", "reading__base", "reading__head", "reading__effective"
    ).order_by("at")
    told = Event.objects.filter(action="reading.submitted", outcome="success")
    if chain is not None:
        signed = signed.filter(reading__case__in=cases_of(chain))
        told = told.filter(chain=chain)
    found = []
    for signature in signed:
        case = signature.reading.case
        found += [
            (case.chain, f"{case.label}, {signature.reading.slot}: {fault}")
            for fault in faults_of(signature)
        ]
    without = told.exclude(
        subject_id__in=[str(pk) for pk in signed.values_list("reading_id", flat=True)]
    )
    return found + [
        (event.chain, f"Event {event.position} is a signature that is no longer stored.")
        for event in without
    ]


def cases_of(chain: str) -> list[UUID]:
    """The case whose chain it is, if it is a case's."""
    kind, _, name = chain.partition(":")
    try:
        return [UUID(name)] if kind == "case" else []
    except ValueError:
        return []


def faults_of(signature: Signature) -> list[str]:
    """A sentence for everything stored of a signed reading that is not what was signed."""
    reading = signature.reading
    return [
        *_record_faults(signature),
        *_event_faults(signature),
        *_table_faults(signature, reading),
        *_change_faults(reading),
    ]


def _record_faults(signature: Signature) -> Iterator[str]:
    if hash_of(signature.record) != signature.record_hash:
        yield "The record kept with the signature does not have the hash that was signed."


def _event_faults(signature: Signature) -> Iterator[str]:
    event = Event.objects.filter(
        chain=signature.reading.case.chain,
        action="reading.submitted",
        outcome="success",
        subject_id=str(signature.reading_id),
    ).first()
    if event is None:
        yield "The log holds no event of this signature."
    elif event.facts.get("record_hash") != signature.record_hash:
        yield "The hash of the signature is not the one the log holds."
    elif (event.facts.get("printed_name"), event.facts.get("meaning")) != (
        signature.printed_name,
        signature.meaning,
    ):
        yield "The name or the meaning of the signature is not the one the log holds."


def _table_faults(signature: Signature, reading: Reading) -> Iterator[str]:
    if reading.effective is None:
        yield "The mask that was signed is no longer named."
        return
    now = record_of(reading, reading.effective, list(reading.node_states.all()))
    signed = signature.record
    different = sorted(
        name for name in {*now, *signed} - {"nodes"} if now.get(name) != signed.get(name)
    )
    if different:
        yield f"The reading is not as it was signed: {', '.join(different)}."
    then, here = _by_node(signed.get("nodes", [])), _by_node(now["nodes"])
    for node in sorted({*then, *here}):
        yield from _node_faults(node, then.get(node), here.get(node))
    last: dict[str, NodeVersion] = {
        str(version.node_id): version
        for version in NodeVersion.objects.filter(reading=reading, change__isnull=False).order_by(
            "change__position"
        )
    }
    for node, version in last.items():
        said = {name: getattr(version, name) for name in _SAID}
        if node in then and said != {name: then[node].get(name) for name in _SAID}:
            label = then[node].get("label")
            yield f"The last version kept of node {label} is not what was signed."


def _by_node(nodes: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {str(node["node"]): node for node in nodes}


def _node_faults(
    node: str, then: dict[str, Any] | None, now: dict[str, Any] | None
) -> Iterator[str]:
    if then is None or now is None:
        yield f"Node {node} {'was not' if then is None else 'is no longer'} part of the reading."
        return
    for name in sorted({*then, *now}):
        if then.get(name) != now.get(name):
            yield (
                f"Node {then.get('label')}: {name.replace('_', ' ')} was signed as "
                f"{_quoted(then.get(name))} and is stored as {_quoted(now.get(name))}."
            )


def _quoted(value: Any) -> str:
    return "none" if value in (None, "") else f"“{value}”"


def _change_faults(reading: Reading) -> Iterator[str]:
    """Change records and the versions they made against the events that recorded them."""
    told = {
        event.facts.get("change"): event.facts
        for event in Event.objects.filter(
            chain=reading.case.chain,
            action__startswith="reading.changed.",
            subject_id=str(reading.pk),
        )
    }
    changes = list(Change.objects.filter(reading=reading).order_by("position"))
    for change in changes:
        facts = told.pop(str(change.client_id), None)
        if facts is None:
            yield f"The log holds no event of change {change.position}."
        elif any(facts.get(name) != value for name, value in change.facts.items()):
            yield f"Change {change.position} is not the one the log holds."
    if told:
        yield f"The log holds {len(told)} changes of this reading that are no longer stored."
    made = NodeVersion.objects.filter(reading=reading, change__isnull=False)
    for version in made.select_related("change").order_by("change__position", "label"):
        by = version.change
        if by is not None and not _is_told(version, by.facts):
            yield f"A version of node {version.label} is not what change {by.position} made."


def _is_told(version: NodeVersion, facts: dict[str, Any]) -> bool:
    """Whether a version says what the facts of its change say it came to."""
    if facts.get("node") != str(version.node_id):
        return True
    after = facts.get("after")
    if isinstance(after, bool):
        return version.doubt == after
    if not isinstance(after, dict):
        return True
    if "level" in after or "manual" in after:
        return True  # Versions keep neither place nor manual axes; the signed record does.
    if "undoes" in facts and "decision" in after:
        return True  # Older events hold what the inverse said, before the decision came back.
    if "decision" in after:
        return (version.decision, version.reason) == (after["decision"], after.get("reason"))
    return (version.impression or None, version.confidence) == (
        after.get("value"),
        after.get("confidence"),
    )
