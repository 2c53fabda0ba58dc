"""Whether the log is whole: every chain recomputed, and compared with heads kept elsewhere."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC
from typing import Any

from django.conf import settings
from django.db import connections

from backend.audit import registry
from backend.audit.models import ChainHead


@dataclass(frozen=True)
class Fault:
    """One place where the log is not what was written."""

    chain: str
    position: int
    kind: str
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """What verification found: how much was checked, and every fault."""

    chains: int
    events: int
    heads_compared: int
    faults: tuple[Fault, ...]

    @property
    def holds(self) -> bool:
        """Whether no fault was found."""
        return not self.faults


# The columns as stored: what they should hash to is computed here, because whoever owns the
# database also owns the functions in it.
_ROWS = """
select number, chain, position, previous, hash, at, actor_id, actor_name, action, subject_type,
       subject_id, outcome, reason, facts::text, software
from audit_event {where} order by chain, position, number
"""


def canonical(row: Sequence[Any]) -> bytes:
    """The bytes an event is hashed as, from a row of the query above (as `audit_canonical`)."""
    number, chain, position, _, _, at, actor, *rest = row
    moment = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    values = (number, chain, position, moment, "" if actor is None else actor, *rest)
    return chr(31).join(str(value) for value in values).encode()


def verify(
    *, chain: str | None = None, exported: dict[str, Any] | None = None, using: str = "default"
) -> Verdict:
    """Recompute every chain (or one) and compare it with the heads, stored and exported.

    Args:
        chain: only this chain.
        exported: what `signed_heads` returned earlier and someone kept; finds a chain that was
            rebuilt as a whole, or cut together with its stored head.
        using: the database alias.
    """
    where, parameters = ("where chain = %s", [chain]) if chain else ("", [])
    with connections[using].cursor() as cursor:
        cursor.execute(_ROWS.format(where=where), parameters)
        rows = cursor.fetchall()
    by_chain: dict[str, list[tuple[Any, ...]]] = {}
    for row in rows:
        by_chain.setdefault(row[1], []).append(row)
    heads = ChainHead.objects.using(using).order_by("chain")
    stored = {h.chain: h for h in (heads.filter(chain=chain) if chain else heads)}
    faults: list[Fault] = []
    for name in sorted({*by_chain, *stored}):
        faults += _faults_of(name, by_chain.get(name, []), stored.get(name))
    compared = 0
    if exported is not None:
        ours = heads_are_ours(exported)
        if not ours:
            faults.append(
                Fault("", 0, "signature", "The exported heads do not carry our signature.")
            )
        for entry in exported["heads"] if ours else []:
            if chain is None or entry["chain"] == chain:
                compared += 1
                faults += _compare_exported(entry, by_chain.get(entry["chain"], []))
    faults += [
        Fault(name, 0, "signed_record", sentence)
        for check in registry.signed_records
        for name, sentence in check()
        if chain is None or name == chain
    ]
    return Verdict(len(by_chain), len(rows), compared, tuple(faults))


def _faults_of(chain: str, rows: list[tuple[Any, ...]], head: ChainHead | None) -> list[Fault]:
    faults: list[Fault] = []
    previous, expected, last_number = b"", 1, 0
    for row in rows:
        number, _, position, stored_previous, stored_hash = row[:5]
        computed = hashlib.sha256(bytes(stored_previous) + canonical(row)).digest()
        if position != expected:
            missing = f"{expected}" if position == expected + 1 else f"{expected} to {position - 1}"
            faults.append(
                Fault(chain, expected, "deleted", f"{chain}: event {missing} was deleted.")
            )
        elif number < last_number:
            faults.append(
                Fault(
                    chain,
                    position,
                    "swapped",
                    f"{chain}: events {position - 1} and {position} changed places.",
                )
            )
        elif bytes(stored_previous) != previous:
            faults.append(
                Fault(
                    chain,
                    position,
                    "unlinked",
                    f"{chain}: event {position} does not follow from event {position - 1}.",
                )
            )
        if computed != bytes(stored_hash):
            faults.append(
                Fault(chain, position, "altered", f"{chain}: event {position} was altered.")
            )
        previous, expected = bytes(stored_hash), position + 1
        last_number = max(last_number, number)
    if head is None:
        faults.append(Fault(chain, expected, "headless", f"{chain}: its head was deleted."))
    elif head.position > expected - 1:
        faults.append(
            Fault(
                chain,
                expected,
                "tail_deleted",
                f"{chain}: the tail was deleted, events {expected} to {head.position}.",
            )
        )
    elif bytes(head.hash) != previous:
        faults.append(
            Fault(
                chain, expected - 1, "head_differs", f"{chain}: the head is not the last event's."
            )
        )
    return faults


def _compare_exported(entry: dict[str, Any], rows: list[tuple[Any, ...]]) -> list[Fault]:
    chain, position = entry["chain"], entry["position"]
    at = next((r for r in rows if r[2] == position), None)
    if at is None:
        sentence = (
            f"{chain}: the exported head stands at event {position}, which is no longer there."
        )
        return [Fault(chain, position, "tail_deleted_with_head", sentence)]
    if bytes(at[4]).hex() != entry["hash"]:
        sentence = (
            f"{chain}: event {position} differs from the exported head: the chain was rebuilt."
        )
        return [Fault(chain, position, "rebuilt", sentence)]
    return []


def signed_heads(*, using: str = "default") -> dict[str, Any]:
    """All heads with our signature, to be kept outside the database."""
    heads = [
        {"chain": h.chain, "position": h.position, "hash": bytes(h.hash).hex()}
        for h in ChainHead.objects.using(using).order_by("chain")
    ]
    return {"heads": heads, "signature": _sign(heads)}


def head_of(chain: str) -> dict[str, Any] | None:
    """Position and hash of one chain's head, or None while it has no event."""
    head = ChainHead.objects.filter(chain=chain).first()
    if head is None:
        return None
    return {"chain": chain, "position": head.position, "hash": bytes(head.hash).hex()}


def heads_are_ours(exported: dict[str, Any]) -> bool:
    """Whether the list of heads carries the signature of this installation."""
    signature = exported.get("signature")
    return isinstance(signature, str) and hmac.compare_digest(
        _sign(exported.get("heads", [])).encode(), signature.encode()
    )


def _sign(heads: list[dict[str, Any]]) -> str:
    text = json.dumps(heads, sort_keys=True, separators=(",", ":")).encode()
    return hmac.new(settings.SECRET_KEY.encode(), text, hashlib.sha256).hexdigest()


def as_json(verdict: Verdict) -> dict[str, Any]:
    """The verdict as plain data."""
    return asdict(verdict) | {"holds": verdict.holds}
