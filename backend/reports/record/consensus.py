"""What two readings were compared to, how it was settled, labelled, signed and published."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from backend.reports.record.blobs import Blobs
from backend.reports.record.events import Event

BY_RULE = ("discrepancy.settled_by_rule", "discrepancy.ignored_by_rule")
STEPS = (
    "discrepancy.proposed",
    "discrepancy.agreed",
    "discrepancy.deferred",
    "discrepancy.resolved",
    "discrepancy.left",
)
ENDS = ("discrepancy.agreed", "discrepancy.resolved", "discrepancy.left")
LABELS = ("label.set", "label.deferred", "label.carried")


def comparison_of(events: Sequence[Event]) -> dict[str, Any] | None:
    """The last comparison of two submitted readings; None before there was one."""
    made = [event for event in events if event.action == "comparison.made"]
    if not made:
        return None
    facts = made[-1].facts
    opened = _opened(events, made[-1].subject_id)
    return {
        "id": made[-1].subject_id,
        "at": made[-1].stamp,
        "first": facts["first"],
        "second": facts["second"],
        "x": facts["x"],
        "rules": facts["rules"],
        "pairs": facts["pairs"],
        "union_dice": facts["union_dice"],
        "positive_agreement": facts["positive_agreement"],
        "outcomes": facts["outcomes"],
        "settled": facts["settled"],
        "clusters": opened.facts.get("clusters", []) if opened else [],
    }


def _opened(events: Sequence[Event], comparison: str) -> Event | None:
    """The first version of a consensus that a comparison opened."""
    found = (e for e in events if e.action == "consensus.opened")
    return next((e for e in found if e.facts.get("comparison") == comparison), None)


def consensus_of(events: Sequence[Event], blobs: Blobs) -> list[dict[str, Any]]:
    """Every version of the consensus, in order."""
    versions: dict[str, dict[str, Any]] = {}
    for opened in [event for event in events if event.action == "consensus.opened"]:
        name = opened.subject_id
        mine = [e for e in events if name in (e.subject_id, e.facts.get("consensus"))]
        version = _version(opened, events, versions.get(opened.facts.get("supersedes") or ""))
        _settle(version, mine)
        _label(version, mine)
        _sign(version, mine, blobs)
        versions[name] = version
    return list(versions.values())


def _version(
    opened: Event, events: Sequence[Event], before: dict[str, Any] | None
) -> dict[str, Any]:
    facts = opened.facts
    return {
        "id": opened.subject_id,
        "version": facts["version"],
        "comparison": facts["comparison"],
        "supersedes": facts.get("supersedes"),
        "opened": opened.stamp,
        "opened_by": opened.actor_name if opened.actor else None,
        "reason": opened.reason,
        "state": "draft",
        "carried": facts.get("carried", []),
        "reopened": facts.get("reopened", []),
        "discrepancies": list(_discrepancies(opened, events, before)),
    }


def _discrepancies(
    opened: Event, events: Sequence[Event], before: dict[str, Any] | None
) -> Iterable[dict[str, Any]]:
    """Every discrepancy of a version; what it does not reopen is decided as in the one before."""
    facts = opened.facts
    ruled = {
        event.facts["cluster"]: event
        for event in events
        if event.action in BY_RULE and event.facts.get("comparison") == facts["comparison"]
    }
    same = before is not None and before["comparison"] == facts["comparison"]
    earlier = {d["cluster"]: d for d in before["discrepancies"]} if before and same else {}
    for told in facts.get("discrepancies", []):
        cluster, rule = told["cluster"], ruled.get(told["cluster"])
        found: dict[str, Any] = {
            "id": told["id"],
            "cluster": cluster,
            "triggers": told["triggers"],
            "state": "open",
            "resolution": "",
            "by_rule": False,
            "rationale": "",
            "who": "",
            "role": "",
            "at": None,
            "mask": None,
            "geometry": None,
            "carried": False,
            "steps": [],
        }
        was = earlier.get(cluster)
        if rule is not None:
            by = {"resolution": "ignore" if rule.action.endswith("ignored_by_rule") else "mean"}
            found |= by | {"state": "resolved", "by_rule": True, "at": rule.stamp, "role": "rule"}
            found |= {"rationale": rule.reason, "geometry": rule.facts.get("geometry")}
        elif was is not None and told["state"] in ("resolved", "indeterminate"):
            kept = ("state", "resolution", "rationale", "who", "role", "at", "mask")
            found |= {name: was[name] for name in kept} | {"carried": True}
        yield found


def _settle(version: dict[str, Any], events: Sequence[Event]) -> None:
    """Steps towards each discrepancy, and the nodes that came of it."""
    by_id = {d["id"]: d for d in version["discrepancies"]}
    for event in events:
        found = by_id.get(event.subject_id)
        if found is None or event.action not in STEPS:
            continue
        _step(found, event)
    settled = next((e for e in events if e.action == "consensus.settled"), None)
    version["settled"] = settled and {
        "at": settled.stamp,
        "mask": settled.facts["mask"],
        "ignored": settled.facts["ignored"],
        "contested_voxels": settled.facts.get("contested_voxels", 0),
    }
    version["nodes"] = [dict(node) for node in settled.facts["nodes"]] if settled else []
    if settled is not None:
        version["state"] = "labelling"


def _step(found: dict[str, Any], event: Event) -> None:
    facts, action = event.facts, event.action.removeprefix("discrepancy.")
    step = {
        "at": event.stamp,
        "who": event.actor_name,
        "role": facts.get("role", "adjudicator" if action == "resolved" else "reader"),
        "action": action,
        "resolution": facts.get("resolution") or "",
        "rationale": facts.get("rationale") or event.reason,
        "mask": facts.get("mask"),
    }
    found["steps"].append(step)
    found["state"] = action
    if event.action not in ENDS:
        return
    proposed = next((s for s in reversed(found["steps"]) if s["action"] == "proposed"), step)
    # An agreement is both readers': the one who proposed it stands first.
    people = [proposed["who"], step["who"]] if step["role"] == "reader" else [step["who"]]
    said = [step["rationale"]] if step["role"] != "reader" else []
    said = said or [text for text in (proposed["rationale"], step["rationale"]) if text]
    left = action == "left" or step["resolution"] == "indeterminate"
    found |= {
        "state": "indeterminate" if left else "resolved",
        "resolution": "indeterminate" if left else step["resolution"] or proposed["resolution"],
        "rationale": " · ".join(dict.fromkeys(said)),
        "who": " and ".join(dict.fromkeys(people)),
        "role": step["role"],
        "at": step["at"],
        "mask": step["mask"] or proposed["mask"],
    }


def _label(version: dict[str, Any], events: Sequence[Event]) -> None:
    """What was said of each agreed node, oldest first; `label` is what holds."""
    by_number: dict[int, list[dict[str, Any]]] = {}
    names = {e.facts.get("label"): e.actor_name for e in events if e.action in LABELS}
    for event in events:
        if event.action not in LABELS:
            continue
        facts = event.facts
        carried = event.action == "label.carried"
        by_number.setdefault(facts["number"], []).append(
            {
                "at": event.stamp,
                "who": facts.get("by_name") or names.get(facts.get("carried"), "")
                if carried
                else event.actor_name,
                "role": facts.get("role", "reader"),
                "kind": "deferred" if event.action == "label.deferred" else "set",
                "carried": carried,
                "value": facts.get("value", ""),
                "reason": event.reason,
                "rationale": facts.get("rationale", ""),
                "evidence": facts.get("evidence", []),
                "rests_on_necrosis_alone": facts.get("rests_on_necrosis_alone", False),
            }
        )
    for node in version["nodes"]:
        labels = by_number.get(node["number"], [])
        node["labels"] = labels
        node["label"] = labels[-1] if labels and labels[-1]["kind"] == "set" else None
    if version["nodes"] and all(node["label"] for node in version["nodes"]):
        version["state"] = "ready"


def _sign(version: dict[str, Any], events: Sequence[Event], blobs: Blobs) -> None:
    """Signatures, those that an objection voided included, and publication."""
    signatures: list[dict[str, Any]] = []
    version |= {"published": None, "signatures": signatures, "superseded": None, "faults": []}
    for event in events:
        facts = event.facts
        if not event.succeeded:
            continue
        if event.action == "consensus.signed":
            version["state"] = "signing"
            signatures.append(
                {
                    "name": facts["printed_name"],
                    "role": facts["role"],
                    "meaning": facts["meaning"],
                    "at": event.stamp,
                    "position": event.position,
                    "record_hash": facts["record_hash"],
                    "void": None,
                }
            )
        elif event.action == "consensus.objected":
            version["state"] = "labelling"
            for signature in signatures:
                signature["void"] = signature["void"] or {
                    "at": event.stamp,
                    "who": event.actor_name,
                    "reason": event.reason or facts.get("reason", ""),
                }
        elif event.action == "consensus.published":
            version["state"] = "published"
            version["published"] = {"at": event.stamp, "record_hash": facts["record_hash"]}
            record = blobs.json_of(facts["record_hash"], "The signed record")
            version["faults"] = list(_faults(version, record))
        elif event.action == "consensus.superseded":
            version["state"] = "superseded"
            version["superseded"] = event.stamp


def _faults(version: dict[str, Any], record: dict[str, Any]) -> Iterable[str]:
    """A sentence wherever the signed record is not what the logged steps and labels lead to."""
    settled = version["settled"] or {"mask": None, "ignored": None}
    if (record["mask"], record["ignored"]) != (settled["mask"], settled["ignored"]):
        yield "The signed record names other masks than the log."
    decided = {d["cluster"]: (d["state"], d["resolution"]) for d in version["discrepancies"]}
    for told in record["discrepancies"]:
        resolution = told["resolution"] or (
            "" if told["state"] != "indeterminate" else told["state"]
        )
        if decided.get(told["cluster"]) != (told["state"], resolution):
            yield f"Cluster {told['cluster']} was signed as settled otherwise than the log tells."
    names = ("value", "reason", "rationale", "rests_on_necrosis_alone")
    nodes = {node["number"]: node for node in version["nodes"]}
    for told in record["nodes"]:
        label = (nodes.get(told["number"]) or {"label": None})["label"]
        signed = told["label"] or {}
        evidence = [item["id"] for item in signed.get("evidence", [])]
        if (
            label is None
            or nodes[told["number"]]["node"] != told["node"]
            or any(label[name] != signed.get(name) for name in names)
            or sorted(label["evidence"]) != sorted(evidence)
        ):
            yield f"Node {told['number']} was signed with another label than the log tells of."


def evidence_of(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Every piece of evidence, in the order it was entered."""
    found: dict[str, dict[str, Any]] = {}
    for event in events:
        if event.action == "evidence.entered":
            content = {k: v for k, v in event.facts.items() if k not in ("id", "evidence")}
            found[event.subject_id] = content | {
                "id": event.subject_id,
                "entered_by": event.actor_name,
                "entered": event.stamp,
                "withdrawn": None,
            }
        elif event.action == "evidence.withdrawn" and event.subject_id in found:
            found[event.subject_id]["withdrawn"] = {
                "at": event.stamp,
                "who": event.actor_name,
                "reason": event.reason,
            }
    return list(found.values())
