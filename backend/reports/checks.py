"""What is checked while a report is made, and what the report says of it."""

from __future__ import annotations

from typing import Any

from backend.reading.models import Signature
from backend.reading.signatures import faults_of

NOT_AS_SIGNED = "What is stored is not what was signed."
AS_SIGNED = (
    "What is stored is what was signed: the record kept with the signature, the hash in the log "
    "and the reading as it is now agree."
)
UNSIGNED = "The reading carries no signature."
TOLERANCE_MM = 1e-6


def signed_faults(signature: Signature) -> list[str]:
    """A sentence for everything stored that is not what this signature was put under."""
    return faults_of(signature)


def checks_of(facts: dict[str, Any], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The checks in the order they are printed: the signature first."""
    return [_signature(facts["signature"]), _axes(facts, rows)]


def alarm_of(facts: dict[str, Any]) -> str | None:
    """What the head of the report must say before anything else, or None."""
    check = _signature(facts["signature"])
    return None if check["ok"] else str(check["text"])


def _signature(signature: dict[str, Any] | None) -> dict[str, Any]:
    if signature is None:
        return {"ok": False, "text": UNSIGNED}
    if signature["faults"]:
        return {"ok": False, "text": " ".join([NOT_AS_SIGNED, *signature["faults"]])}
    return {"ok": True, "text": AS_SIGNED}


def _axes(facts: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    stored = {node["uuid"]: node.get("stored_sad_mm") for node in facts["nodes"]}
    compared = [
        (row["sad_mm"], stored[row["uuid"]])
        for row in rows
        if row["sad_mm"] is not None and stored.get(row["uuid"]) is not None
    ]
    wrong = sum(abs(a - b) > TOLERANCE_MM for a, b in compared)
    return {
        "ok": wrong == 0,
        "text": f"Short axes measured again from the stored masks: {len(compared)} compared, "
        f"{wrong} differ from what the reader saw.",
    }
