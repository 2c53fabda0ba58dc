"""What a report says of the settling, the consensus, its labels and its signatures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from backend.reading.comparison_presentation import trigger_json
from backend.reports import blocks, shown
from backend.reports.blocks import Block
from backend.reports.consensus_rows import LABELS, RESOLUTIONS, cluster_names, step_words
from backend.reports.timeline_cast import Cast

# The viewer says it in the same words; METHODS.md §1.10 wants it under every table of status.
NOT_BENIGN = "Non-metastatic means “not marked metastatic”, not “proven benign”."
STATES = {
    "draft": "being settled",
    "labelling": "settled, being labelled",
    "ready": "labelled, waiting for signatures",
    "signing": "signed by some",
    "published": "published",
    "superseded": "replaced by a later version",
}


def discrepancy_section(
    version: dict[str, Any] | None, facts: dict[str, Any], cast: Cast
) -> dict[str, Any]:
    """Everything that had to be settled, how it was, by whom and why; and every step."""
    title, comparison = "Discrepancies", facts["comparison"]
    if version is None or comparison is None:
        return blocks.missing("discrepancies", title, "Not reached: there is no comparison yet.")
    found = version["discrepancies"]
    clusters = {
        d["cluster"]: f"{d['cluster']} ({', '.join(cluster_names(facts, d['cluster'], cast))})"
        for d in found
    }
    by_rule = sum(d["by_rule"] for d in found)
    identical = comparison["outcomes"].get("identical", 0)
    still = sum(d["state"] not in ("resolved", "indeterminate") for d in found)
    return blocks.section(
        "discrepancies",
        title,
        blocks.text(
            f"Of {len(comparison['clusters'])} clusters {identical} needed no settling (the same "
            "voxels and the same word by both, and no doubt), "
            f"{by_rule} were settled by the protocol’s rules, {len(found) - by_rule} by people"
            + (f"; {still} of these are still open." if still else ".")
        ),
        blocks.table(
            ("Cluster", "Became", "Why", "Settled as", "By", "When (UTC)", "Rationale"),
            (_row(d, version, comparison, clusters) for d in found),
            empty="Both readers drew the same: there was nothing to settle.",
            widths=(1.1, 1.0, 2.9, 1.2, 1.4, 1.2, 2.3),
        ),
        _steps(found, clusters),
    )


def _row(
    found: dict[str, Any],
    version: dict[str, Any],
    comparison: dict[str, Any],
    clusters: dict[int, str],
) -> dict[str, Any]:
    x_is_first = comparison["x"] == "first"
    why = [trigger_json(trigger, x_is_first=x_is_first)["text"] for trigger in found["triggers"]]
    who = "rule" if found["by_rule"] else found["who"] or shown.DASH
    if found["carried"]:
        who += " (in the version before)"
    elif found["role"] == "adjudicator":
        who += ", adjudicator"
    words = RESOLUTIONS.get(found["resolution"], found["resolution"])
    return blocks.row(
        clusters[found["cluster"]],
        _became(found, version),
        " ".join(why) or "Not the same voxels; within all tolerances.",
        words if found["at"] else found["state"],
        who,
        shown.moment(found["at"]),
        found["rationale"] or shown.DASH,
        name=found["id"],
    )


def _became(found: dict[str, Any], version: dict[str, Any]) -> str:
    """The agreed nodes that came of a cluster, or what else did."""
    numbers = [n["number"] for n in version["nodes"] if n["cluster"] == found["cluster"]]
    if numbers:
        return ", ".join(f"node {number}" for number in sorted(numbers))
    if version["settled"] is None:
        return shown.DASH
    left = found["resolution"] in ("ignore", "indeterminate")
    return "left out" if left else "no node"


def _steps(found: Sequence[dict[str, Any]], clusters: dict[int, str]) -> Block | None:
    steps = [(d["cluster"], step) for d in found for step in d["steps"]]
    if not steps:
        return None
    return blocks.table(
        ("When (UTC)", "Cluster", "Who", "Step", "Rationale"),
        (
            blocks.row(
                shown.moment(step["at"]),
                clusters[cluster],
                f"{step['who']}, {step['role']}",
                step_words(step),
                step["rationale"] or shown.DASH,
            )
            for cluster, step in sorted(steps, key=lambda pair: str(pair[1]["at"]))
        ),
        caption="Every step of the settling, in order.",
        widths=(1.6, 1.1, 1.9, 1.9, 2.9),
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
                ("Nodes", f"{len(rows)}: {counted(rows)}" if rows else "none", True),
                ("Contested voxels", str(settled["contested_voxels"])),
                ("Mask", settled["mask"]),
                ("Ignored regions", settled["ignored"]) if settled["ignored"] else None,
                ("Signed record", published["record_hash"]) if published else None,
            ),
        ),
        node_table(rows),
        blocks.text(NOT_BENIGN),
    )


def counted(rows: Sequence[dict[str, Any]]) -> str:
    """How many nodes bear which label, in the order of the labels: "1 metastatic, 8 …"."""
    counts = Counter(row["status"] for row in rows)
    return ", ".join(f"{counts[key]} {words}" for key, words in LABELS.items() if counts[key])


def node_table(rows: Sequence[dict[str, Any]], *, brief: bool = False) -> Block:
    """Agreed nodes in a table; metastatic ones stand out. Sites only where one is known."""
    sites = any(row["site_shown"] != shown.DASH for row in rows)
    columns = [
        ("Node", 0.8, "name"),
        ("" if brief else "Drawn as", 1.1, "was"),
        ("#Long × short mm", 1.4, "axes_shown"),
        ("#Volume ml", 0.9, "volume_shown"),
        ("Site" if sites else "", 0.8, "site_shown"),
        ("" if brief else "Shape", 1.2, "origin_shown"),
        ("Label", 1.5, "label_shown"),
        ("Basis", 3.0, "basis_shown"),
        ("Labelled by", 1.5, "labelled_by"),
    ]
    kept = [column for column in columns if column[0]]
    return blocks.table(
        [head for head, _, _ in kept],
        (
            blocks.row(
                *(row[key] for _, _, key in kept),
                name=row["uuid"],
                strong=row["status"] == "metastatic",
            )
            for row in rows
        ),
        empty="No node was agreed on.",
        widths=[width for _, width, _ in kept],
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
