"""Whether the log is whole: every chain recomputed, and compared with heads kept elsewhere."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings
from django.db import connections

from backend.audit import registry
from backend.audit.chain import Fault, broken_links
from backend.audit.models import ChainHead


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
    rows = stored_rows(chain=chain, using=using)
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
        for name, sentence in check(chain)
        if chain is None or name == chain
    ]
    return Verdict(len(by_chain), len(rows), compared, tuple(faults))


def stored_rows(*, chain: str | None, using: str = "default") -> list[tuple[Any, ...]]:
    """The events of one chain (or all) as stored, in order: rows as `chain.canonical` takes."""
    where, parameters = ("where chain = %s", [chain]) if chain else ("", [])
    with connections[using].cursor() as cursor:
        cursor.execute(_ROWS.format(where=where), parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _faults_of(chain: str, rows: list[tuple[Any, ...]], head: ChainHead | None) -> list[Fault]:
    faults = broken_links(chain, rows)
    previous, expected = (bytes(rows[-1][4]), rows[-1][2] + 1) if rows else (b"", 1)
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
