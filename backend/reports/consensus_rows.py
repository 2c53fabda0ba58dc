"""The node table of a consensus: measured again, with labels, evidence and where each came from."""

from __future__ import annotations

from typing import Any

from backend.reports import node_rows, shown
from backend.reports.evaluation import Evaluation
from backend.reports.record.readings import words_of
from backend.reports.timeline_cast import Cast

ORIGINS = {
    "identical": "both alike",
    "mean": "mean of both, by rule",
    "X": "X’s shape",
    "Y": "Y’s shape",
    "AI": "the AI’s shape",
    "union": "union",
    "intersection": "intersection",
    "redrawn": "redrawn",
}
RESOLUTIONS = ORIGINS | {
    "absent": "no node",
    "ignore": "ignored by rule",
    "indeterminate": "indeterminate",
    "": "open",
}
LABELS = {
    "metastatic": "metastatic",
    "non_metastatic": "non-metastatic",
    "indeterminate": "indeterminate",
    "not_assessable": "not assessable",
    "": "not labelled",
}
POPULATIONS = (
    ("non-metastatic", frozenset({"non_metastatic"})),
    ("metastatic", frozenset({"metastatic"})),
    ("indeterminate", frozenset({"indeterminate", "not_assessable", ""})),
    ("all", frozenset[str]()),
)


def rows_of(
    version: dict[str, Any], evaluation: Evaluation, facts: dict[str, Any], cast: Cast
) -> list[dict[str, Any]]:
    """One row per agreed node, by number."""
    evidence = {item["id"]: item for item in facts["evidence"]}
    truth = {node.label: node for node in evaluation.detection.truth}
    rows = []
    for node in sorted(version["nodes"], key=lambda node: int(node["number"])):
        number = node["number"]
        measures = evaluation.truth_measures.get(number)
        label = node["label"]
        rows.append(
            {
                "uuid": node["node"],
                "number": number,
                "name": f"node {number}",
                "was": ", ".join(cluster_names(facts, node["cluster"], cast)) or shown.DASH,
                "cluster": node["cluster"],
                "group": "agreed",
                "origin": node["origin"],
                "origin_shown": ORIGINS.get(node["origin"], node["origin"]),
                "site_shown": " ".join(filter(None, (node.get("side"), node.get("level"))))
                or shown.DASH,
                "stored_sad_mm": node["measures"]["sad_mm"],
            }
            | node_rows.sizes(measures, evaluation.grid)
            | node_rows.found(truth.get(number), number, evaluation)
            | node_rows.proposal(number, measures, evaluation)
            | _label(label, evidence)
            | {"history": _history(node, version, facts)}
        )
    return rows


def cluster_names(facts: dict[str, Any], number: int, cast: Cast) -> list[str]:
    """What both readers' nodes of a cluster are called, each once."""
    clusters = facts["comparison"]["clusters"] if facts["comparison"] else []
    found = next((cluster for cluster in clusters if cluster["number"] == number), None)
    sides = [found["first"], found["second"]] if found else []
    return list(dict.fromkeys(cast.node(n["node"]) for side in sides for n in side["nodes"]))


def _label(label: dict[str, Any] | None, evidence: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if label is None:
        return {
            "status": "",
            "label_shown": LABELS[""],
            "basis": [],
            "evidence": 0,
            "basis_shown": "none",
            "labelled_by": shown.DASH,
            "rests_on_necrosis_alone": False,
        }
    items = [_evidence(evidence.get(name)) for name in label["evidence"]]
    said = [*items, *filter(None, (label["reason"], label["rationale"]))]
    alone = label["rests_on_necrosis_alone"]
    return {
        "status": label["value"],
        "label_shown": LABELS.get(label["value"], label["value"])
        + (" (central necrosis alone)" if alone else ""),
        "basis": said,
        "basis_shown": " ".join(said) or "none",
        "evidence": len(items),
        "labelled_by": f"{label['who']}, {label['role']}",
        "rests_on_necrosis_alone": alone,
    }


def _evidence(item: dict[str, Any] | None) -> str:
    if item is None:
        return "Evidence that the log does not hold."
    gone = item["withdrawn"]
    return f"{item['text']} (withdrawn: {gone['reason']})" if gone else str(item["text"])


def _history(
    node: dict[str, Any], version: dict[str, Any], facts: dict[str, Any]
) -> list[dict[str, Any]]:
    """What both readers did to the nodes of its cluster; how it was settled and labelled."""
    comparison = facts["comparison"]
    cluster = next((c for c in comparison["clusters"] if c["number"] == node["cluster"]), None)
    steps: list[dict[str, Any]] = []
    if cluster is not None:
        sides = ((comparison["first"], "first"), (comparison["second"], "second"))
        for reading, side in sides:
            steps += _of_reading(facts, reading, {n["node"] for n in cluster[side]["nodes"]})
    found = next((d for d in version["discrepancies"] if d["cluster"] == node["cluster"]), None)
    steps += _of_settling(found) if found else []
    steps += [
        _step(label["at"], label["who"], f"labelled {LABELS.get(label['value'], label['value'])}")
        if label["kind"] == "set"
        else _step(label["at"], label["who"], f"left to the adjudicator: {label['rationale']}")
        for label in node["labels"]
    ]
    seen: dict[tuple[Any, ...], dict[str, Any]] = {}
    for step in steps:
        seen.setdefault((step["at"], step["who"], step["what"], step["sad_after"]), step)
    return [node_rows.step_shown(s) for s in sorted(seen.values(), key=lambda s: str(s["at"]))]


def _of_reading(facts: dict[str, Any], reading: str, nodes: set[str]) -> list[dict[str, Any]]:
    found = next(r for r in facts["readings"] if r["id"] == reading)
    return [step for n in found["nodes"] if n["uuid"] in nodes for step in n["history"]]


def _of_settling(found: dict[str, Any]) -> list[dict[str, Any]]:
    if found["by_rule"] or not found["steps"]:
        words = RESOLUTIONS.get(found["resolution"], found["resolution"])
        who = "rule" if found["by_rule"] else found["who"]
        again = "as in the version before: " if found["carried"] else ""
        return [_step(found["at"], who, f"{again}{words}")] if found["at"] else []
    return [_step(step["at"], step["who"], step_words(step)) for step in found["steps"]]


def step_words(step: dict[str, Any]) -> str:
    """What someone did to settle a discrepancy, in words."""
    resolution = RESOLUTIONS.get(step["resolution"], words_of(step["resolution"]))
    words = {
        "proposed": f"proposed: {resolution}",
        "agreed": f"agreed: {resolution}",
        "deferred": "left to the adjudicator",
        "resolved": f"decided: {resolution}",
        "left": "left indeterminate",
    }
    return words.get(step["action"], str(step["action"]))


def _step(at: str, who: str, what: str) -> dict[str, Any]:
    return {"at": at, "who": who, "what": what, "sad_before": None, "sad_after": None}
