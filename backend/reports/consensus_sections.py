"""What a report says of the settling, the consensus, its labels and its signatures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from backend.reading.comparison_presentation import trigger_json
from backend.reports import blocks, shown
from backend.reports.blocks import Block
from backend.reports.consensus_rows import LABELS, RESOLUTIONS, step_words

NOT_BENIGN = "“Not marked metastatic” does not mean proven benign."
STATES = {
    "draft": "being settled",
    "labelling": "settled, being labelled",
    "ready": "labelled, waiting for signatures",
    "signing": "signed by some",
    "published": "published",
    "superseded": "replaced by a later version",
}


def discrepancy_section(
    version: dict[str, Any] | None, comparison: dict[str, Any] | None
) -> dict[str, Any]:
    """Everything that had to be settled, how it was, by whom and why; and every step."""
    title = "Discrepancies"
    if version is None or comparison is None:
        return blocks.missing("discrepancies", title, "Not reached: there is no comparison yet.")
    found = version["discrepancies"]
    by_rule = sum(d["by_rule"] for d in found)
    identical = comparison["outcomes"].get("identical", 0)
    still = sum(d["state"] not in ("resolved", "indeterminate") for d in found)
    return blocks.section(
        "discrepancies",
        title,
        blocks.text(
            f"Of {len(comparison['clusters'])} clusters {identical} were drawn alike by both, "
            f"{by_rule} were settled by the protocol’s rules, {len(found) - by_rule} by people"
            + (f"; {still} of these are still open." if still else ".")
        ),
        blocks.table(
            ("#Cluster", "Why", "Settled as", "By", "When (UTC)", "Rationale"),
            (_row(d, comparison) for d in found),
            empty="Both readers drew the same: there was nothing to settle.",
            widths=(0.7, 3.3, 1.2, 1.4, 1.2, 2.6),
        ),
        _steps(found),
    )


def _row(found: dict[str, Any], comparison: dict[str, Any]) -> dict[str, Any]:
    x_is_first = comparison["x"] == "first"
    why = [trigger_json(trigger, x_is_first=x_is_first)["text"] for trigger in found["triggers"]]
    who = "rule" if found["by_rule"] else found["who"] or shown.DASH
    if found["carried"]:
        who += " (in the version before)"
    elif found["role"] == "adjudicator":
        who += ", adjudicator"
    words = RESOLUTIONS.get(found["resolution"], found["resolution"])
    return blocks.row(
        str(found["cluster"]),
        " ".join(why) or "Not the same voxels; within all tolerances.",
        words if found["at"] else found["state"],
        who,
        shown.moment(found["at"]),
        found["rationale"] or shown.DASH,
        name=found["id"],
    )


def _steps(found: Sequence[dict[str, Any]]) -> Block | None:
    steps = [(d["cluster"], step) for d in found for step in d["steps"]]
    if not steps:
        return None
    return blocks.table(
        ("When (UTC)", "#Cluster", "Who", "Step", "Rationale"),
        (
            blocks.row(
                shown.moment(step["at"]),
                str(cluster),
                f"{step['who']}, {step['role']}",
                step_words(step),
                step["rationale"] or shown.DASH,
            )
            for cluster, step in sorted(steps, key=lambda pair: str(pair[1]["at"]))
        ),
        caption="Every step of the settling, in order.",
        widths=(1.6, 0.7, 1.9, 1.9, 3.3),
    )


def consensus_section(
    version: dict[str, Any] | None,
    versions: Sequence[dict[str, Any]],
    rows: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """The agreed nodes with size, label, evidence and where each came from."""
    title = "Consensus"
    if not versions:
        return blocks.missing("consensus", title, "Not reached: there is no consensus yet.")
    if version is None or version["settled"] is None:
        return blocks.missing("consensus", title, "Not reached: discrepancies are still open.")
    settled, published = version["settled"], version["published"]
    counts = Counter(row["status"] for row in rows)
    counted = ", ".join(f"{n} {LABELS.get(k, k)}" for k, n in sorted(counts.items()))
    return blocks.section(
        "consensus",
        f"Consensus, version {version['version']}",
        None
        if published
        else blocks.notice(
            "Not published.", f"This version is {STATES[version['state']]}.", "warn"
        ),
        blocks.columns(
            blocks.facts(
                ("Version", f"{version['version']}, {STATES[version['state']]}"),
                ("Opened", shown.when(version["opened"])),
                ("Reopened because", version["reason"]) if version["reason"] else None,
                ("Nodes agreed", shown.when(settled["at"])),
                ("Published", shown.when(published["at"]) if published else "not yet"),
            ),
            blocks.facts(
                ("Nodes", f"{len(rows)} ({counted})" if rows else "none"),
                ("Contested voxels", str(settled["contested_voxels"])),
                ("Mask", settled["mask"]),
                ("Ignored regions", settled["ignored"]) if settled["ignored"] else None,
                ("Signed record", published["record_hash"]) if published else None,
            ),
        ),
        _nodes(rows),
        blocks.text(NOT_BENIGN),
    )


def _nodes(rows: Sequence[dict[str, Any]]) -> Block:
    return blocks.table(
        ("#No.", "#SAD × LAD mm", "#Volume mm³", "Site", "Shape", "Label", "Basis", "Labelled by"),
        (
            blocks.row(
                str(row["number"]),
                f"{row['sad_shown']} × {row['lad_shown']}",
                row.get("volume_shown", shown.DASH),
                row["site_shown"],
                row["origin_shown"],
                row["label_shown"],
                row["basis_shown"],
                row["labelled_by"],
                name=row["uuid"],
            )
            for row in rows
        ),
        empty="No node was agreed on.",
        widths=(0.5, 1.3, 1.0, 0.8, 1.2, 1.4, 3.0, 1.5),
    )


def signature_section(
    readings: Sequence[dict[str, Any]], versions: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Every signature, those that were voided included."""
    rows = [
        blocks.row(
            reading["signature"]["name"],
            f"reading {reading['slot']}",
            reading["signature"]["meaning"],
            shown.moment(reading["signature"]["at"]),
            reading["signature"]["record_hash"][:16],
            "stands",
        )
        for reading in readings
        if reading["signed"]
    ]
    rows += [
        blocks.row(
            signature["name"],
            f"consensus {version['version']}, {signature['role']}",
            signature["meaning"],
            shown.moment(signature["at"]),
            signature["record_hash"][:16],
            _standing(signature["void"]),
        )
        for version in versions
        for signature in version["signatures"]
    ]
    return blocks.section(
        "signatures",
        "Signatures",
        blocks.table(
            ("Name", "Of", "Meaning", "When (UTC)", "Record", "Standing"),
            rows,
            widths=(1.6, 1.8, 1.1, 1.6, 1.7, 2.2),
        ),
    )


def _standing(void: dict[str, Any] | None) -> str:
    return f"void since {shown.moment(void['at'])}: {void['reason']}" if void else "stands"
