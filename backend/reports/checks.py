"""What is checked while a report is made, and what the report says of it. Pure."""

from __future__ import annotations

from typing import Any

from backend.reports.truths import Measured

NOT_AS_SIGNED = "What is stored is not what was signed."
AS_SIGNED = (
    "What is stored is what was signed: the records kept with the signatures, the hashes in the "
    "log and the changes it tells of agree."
)
TOLERANCE_MM = 1e-6


def checks_of(
    manifest: dict[str, Any],
    facts: dict[str, Any],
    measured: Measured,
    rows: dict[str, list[dict[str, Any]]],
) -> list[dict[str, Any]]:
    """The checks in the order they are printed: the signatures first."""
    return [_signatures(manifest, facts), _chain(facts), _axes(measured, rows)]


def alarm_of(checks: list[dict[str, Any]]) -> str | None:
    """What the head of the report must say before anything else, or None."""
    failed = [check["text"] for check in checks if not check["ok"]]
    return " ".join(failed) or None


def _signatures(manifest: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    """The log against the signed records, and (as it was when made) the tables against both."""
    faults = [
        f"{reading['slot']}: {fault}"
        for reading in facts["readings"]
        if reading["signed"]
        for fault in reading["signature"]["faults"]
    ]
    faults += [
        f"Consensus {version['version']}: {fault}"
        for version in facts["consensus"]
        for fault in version["faults"]
    ]
    faults += manifest["stored_faults"]
    if faults:
        return {"ok": False, "text": " ".join([NOT_AS_SIGNED, *faults])}
    return {"ok": True, "text": AS_SIGNED}


def _chain(facts: dict[str, Any]) -> dict[str, Any]:
    chain = facts["chain"]
    if chain["holds"]:
        return {
            "ok": True,
            "text": f"The audit chain of the case, recomputed event by event: "
            f"{chain['position']} events.",
        }
    return {"ok": False, "text": " ".join(["The audit chain does not hold.", *chain["faults"]])}


def _axes(measured: Measured, rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Short axes as measured now against those the log tells of."""
    compared = []
    for truth in measured.all:
        for row in rows[truth.name]:
            told = row.get("stored_sad_mm")
            for step in row["history"] if truth.name != "consensus" else ():
                told = step["sad_after"]
            if row["sad_mm"] is not None and told is not None:
                compared.append((row["sad_mm"], told))
    wrong = sum(abs(a - b) > TOLERANCE_MM for a, b in compared)
    return {
        "ok": wrong == 0,
        "text": f"Short axes measured again from the stored masks: {len(compared)} compared, "
        f"{wrong} differ from what the log tells of.",
    }
