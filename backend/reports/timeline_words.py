"""What an event tells, in plain words: what was done, and what it was before and after. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.reports import shown
from backend.reports.record.events import Event
from backend.reports.record.readings import ARM_NAMES, CHANGED, words_of
from backend.reports.timeline_cast import Cast

NOTHING = shown.DASH


@dataclass(frozen=True)
class Said:
    """One event in words; `before` and `after` are "" where nothing was one thing before."""

    what: str
    before: str = ""
    after: str = ""
    detail: str = ""


@dataclass
class Memory:
    """What earlier events said that later ones refer to.

    Attributes:
        steps: of every change of a reading, node UUID → its step (`node_histories`).
        sides: who read as X and as Y, by name.
        comparison: the one that is settled now.
        clusters: comparison and number of a cluster → its nodes.
        discrepancies: id → where it stands, in words.
        labels: consensus and number of an agreed node → its label.
        agreed: consensus and number → node UUID.
        evidence: id → what was entered.
    """

    steps: Mapping[tuple[str, str], Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    sides: dict[str, str] = field(default_factory=dict)
    comparison: str = ""
    clusters: dict[tuple[str, int], tuple[str, ...]] = field(default_factory=dict)
    discrepancies: dict[str, str] = field(default_factory=dict)
    labels: dict[tuple[str, int], str] = field(default_factory=dict)
    agreed: dict[tuple[str, int], str] = field(default_factory=dict)
    evidence: dict[str, str] = field(default_factory=dict)


def said(event: Event, cast: Cast, memory: Memory) -> Said:
    """An event in words. What nobody wrote words for is told by its own name."""
    if event.action.startswith(CHANGED):
        return _changed(event, cast, memory)
    words = _WORDS.get(event.action)
    if words is not None:
        return words(event, cast, memory)
    room, _, act = event.action.partition(".")
    return Said(f"{room} {act}".replace("_", " ").strip().capitalize())


def _changed(event: Event, cast: Cast, memory: Memory) -> Said:
    facts = event.facts
    steps = memory.steps.get((event.subject_id, str(facts.get("change"))), {})
    undone = "Undone: " if "undoes" in facts else ""
    if "nodes" in facts:
        return _voxels(facts["nodes"], steps, cast, undone)
    node = str(facts.get("node", ""))
    before, after = facts.get("before"), facts.get("after")
    lead = f"{undone}node {cast.node(node)}"
    if isinstance(after, bool):
        words = Said("marked as in doubt" if after else "no longer in doubt", *_yes(before, after))
    elif isinstance(after, dict) and "decision" in after:
        words = Said(str(after["decision"]), _decision(before), _decision(after))
    else:
        words = Said("impression", _impression(before), _impression(after))
    return Said(_begin(f"{lead} {words.what}"), words.before, words.after)


def _begin(text: str) -> str:
    """A text that begins with a capital, the rest as it is."""
    return text[:1].upper() + text[1:]


def _voxels(
    told: list[dict[str, Any]], steps: Mapping[str, Mapping[str, Any]], cast: Cast, undone: str
) -> Said:
    if not told:
        return Said(_begin(f"{undone}a stroke that changed nothing"))
    order = sorted(told, key=lambda one: -(one["added"] + one["removed"]))
    main, *others = order
    step = steps.get(main["node"], {})
    before, after = step.get("sad_before"), main["sad_mm"]
    verb = "reshaped"
    if not main["voxels_before"]:
        verb = "added"
    elif not main["voxels_after"]:
        verb = "erased"
    what = f"{undone}node {cast.node(main['node'])} {verb}"
    detail = f"+{main['added']} −{main['removed']} voxels"
    if main.get("dice") is not None and main["voxels_before"] and main["voxels_after"]:
        detail += f", Dice to previous {main['dice']:.3f}"
    for other in others:
        change = f"+{other['added']} −{other['removed']}"
        detail += f"; node {cast.node(other['node'])} {change}"
    return Said(_begin(what), _mm(before), _mm(after), detail)


def _mm(value: float | None) -> str:
    return NOTHING if value is None else f"{shown.length(value)} mm"


def _yes(before: Any, after: Any) -> tuple[str, str]:
    return ("in doubt" if before else NOTHING), ("in doubt" if after else NOTHING)


def _decision(value: Any) -> str:
    if not isinstance(value, dict):
        return NOTHING
    reason = f" ({words_of(value['reason'])})" if value.get("reason") else ""
    return f"{value.get('decision', NOTHING)}{reason}"


def _impression(value: Any) -> str:
    if not isinstance(value, dict) or not value.get("value"):
        return NOTHING
    sure = f", {value['confidence']} %" if value.get("confidence") is not None else ""
    return f"{words_of(value['value'])}{sure}"


def _assigned(event: Event, cast: Cast, memory: Memory) -> Said:
    part = cast.readings.get(event.subject_id)
    reader = part.reader_name if part else str(event.facts.get("reader", ""))
    slot = event.facts.get("slot", "")
    arm = str(event.facts.get("arm") or "")
    return Said(f"{slot} given to {reader}", detail=ARM_NAMES.get(arm, words_of(arm)))


def _submitted(event: Event, cast: Cast, memory: Memory) -> Said:
    facts = event.facts
    changes = facts.get("changes")
    detail = f"{changes} changes, " if changes is not None else ""
    seconds = facts.get("active_seconds")
    detail += f"active for {shown.seconds(seconds)}, " if seconds is not None else ""
    return Said(
        f"{facts.get('slot', 'Reading')} signed and submitted: {facts.get('meaning', '')}",
        detail=f"{detail}record {str(facts.get('record_hash', ''))[:12]}",
    )


def _presegmented(event: Event, cast: Cast, memory: Memory) -> Said:
    nodes = event.facts.get("nodes", 0)
    return Said(f"Proposed {nodes} node{'s' if nodes != 1 else ''}", NOTHING, f"{nodes} nodes")


def _compared(event: Event, cast: Cast, memory: Memory) -> Said:
    facts = event.facts
    parts = {side: cast.readings.get(str(facts.get(side))) for side in ("first", "second")}
    x = facts.get("x", "first")
    for side, part in parts.items():
        memory.sides["X" if side == x else "Y"] = part.reader_name if part else side
    outcomes = ", ".join(f"{count} {name}" for name, count in facts.get("outcomes", {}).items())
    return Said(
        f"Compared both readings: {facts.get('clusters', 0)} clusters",
        detail=f"{outcomes}; X is {memory.sides['X']}, Y is {memory.sides['Y']}",
    )


def resolution_words(resolution: str, memory: Memory) -> str:
    """What a resolution makes of a cluster, with the readers by name."""
    if resolution in memory.sides:
        return f"{memory.sides[resolution]}'s shape ({resolution})"
    words = {
        "AI": "the AI's shape",
        "union": "all that either drew",
        "intersection": "what both drew",
        "redrawn": "a shape drawn anew",
        "absent": "no node",
        "mean": "the mean of both shapes",
        "ignore": "ignored region",
    }
    return words.get(resolution, words_of(resolution))


def nodes_meant(event: Event, memory: Memory) -> tuple[str, ...]:
    """The nodes of the cluster an event speaks of by its number."""
    number = int(event.facts.get("cluster") or 0)
    return memory.clusters.get((memory.comparison, number), ())


def _cluster(event: Event, cast: Cast, memory: Memory) -> str:
    """A cluster by its number and nodes."""
    number, nodes = event.facts.get("cluster", "?"), nodes_meant(event, memory)
    named = ", ".join(dict.fromkeys(cast.node(node) for node in nodes))
    return f"cluster {number}" + (f" (node {named})" if named else "")


def _discrepancy(verb: str, state: str) -> Callable[[Event, Cast, Memory], Said]:
    def words(event: Event, cast: Cast, memory: Memory) -> Said:
        found = str(event.facts.get("resolution") or "")
        after = resolution_words(found, memory) if found else ""
        after = f"{state}: {after}" if state and after else state or after
        before = memory.discrepancies.get(event.subject_id, "open")
        memory.discrepancies[event.subject_id] = after
        return Said(f"{verb.format(_cluster(event, cast, memory))}", before, after)

    return words


def _by_rule(resolution: str, verb: str) -> Callable[[Event, Cast, Memory], Said]:
    def words(event: Event, cast: Cast, memory: Memory) -> Said:
        nodes = [*(event.facts.get("first") or []), *(event.facts.get("second") or [])]
        named = ", ".join(dict.fromkeys(cast.node(str(node)) for node in nodes))
        cluster = f"Cluster {event.facts.get('cluster', '?')}" + (f" (node {named})" * bool(named))
        return Said(f"{cluster} {verb} by rule", "open", resolution_words(resolution, memory))

    return words


def _opened_consensus(event: Event, cast: Cast, memory: Memory) -> Said:
    facts = event.facts
    memory.comparison = str(facts.get("comparison", ""))
    for cluster in facts.get("clusters") or []:
        nodes = [n["node"] for side in ("first", "second") for n in cluster[side]["nodes"]]
        memory.clusters[memory.comparison, int(cluster["number"])] = tuple(nodes)
    carried, reopened = facts.get("carried") or [], facts.get("reopened") or []
    detail = ""
    if facts.get("supersedes"):
        detail = f"follows an earlier version; {len(carried)} decisions carried over, "
        detail += f"{len(reopened)} opened again"
    return Said(f"Consensus version {facts.get('version', '?')} opened", detail=detail)


def _settled(event: Event, cast: Cast, memory: Memory) -> Said:
    facts = event.facts
    nodes = facts.get("nodes") or []
    consensus = str(facts.get("consensus", event.subject_id))
    for node in nodes:
        memory.agreed[consensus, int(node["number"])] = str(node["node"])
    contested = facts.get("contested_voxels")
    detail = f"{contested} contested voxels" if contested else ""
    return Said(f"Settled: {len(nodes)} agreed node{'s' if len(nodes) != 1 else ''}", detail=detail)


def _agreed_node(event: Event, cast: Cast, memory: Memory) -> tuple[tuple[str, int], str]:
    """The key of an agreed node, and how it is called."""
    facts = event.facts
    number = int(facts.get("number") or 0)
    key = (str(facts.get("consensus", "")), number)
    uuid = memory.agreed.get(key) or str(facts.get("node") or "")
    same = cast.node(uuid) if uuid else str(number)
    return key, f"agreed node {number}" + ("" if same == str(number) else f" (node {same})")


def _label(event: Event, cast: Cast, memory: Memory) -> Said:
    key, name = _agreed_node(event, cast, memory)
    before = memory.labels.get(key, NOTHING)
    value = words_of(str(event.facts.get("value") or "")) or NOTHING
    memory.labels[key] = value
    rests = [memory.evidence.get(str(one), "") for one in event.facts.get("evidence") or []]
    detail = f"rests on {'; '.join(filter(None, rests))}" if any(rests) else ""
    if event.facts.get("rests_on_necrosis_alone"):
        detail += "; on necrosis alone"
    return Said(_begin(f"{name} labelled"), before, value, detail)


def _label_deferred(event: Event, cast: Cast, memory: Memory) -> Said:
    key, name = _agreed_node(event, cast, memory)
    before = memory.labels.get(key, NOTHING)
    return Said(_begin(f"{name} left to the adjudicator"), before, "deferred")


def _evidence(event: Event, cast: Cast, memory: Memory) -> Said:
    facts = event.facts
    text = str(facts.get("text") or "")
    if not text:
        parts = [facts.get("kind"), facts.get("result"), facts.get("date"), facts.get("source")]
        text = ", ".join(words_of(str(part)) for part in parts if part)
    name = str(facts.get("evidence") or facts.get("id") or event.subject_id)
    if event.action == "evidence.withdrawn":
        return Said("Evidence withdrawn", memory.evidence.get(name, text) or NOTHING, "withdrawn")
    memory.evidence[name] = text
    return Said("Evidence entered", NOTHING, text)


def _signed(event: Event, cast: Cast, memory: Memory) -> Said:
    facts = event.facts
    what = f"Consensus version {facts.get('version', '?')} signed by "
    what += f"{facts.get('printed_name') or event.actor_name}"
    return Said(what, detail=f"record {str(facts.get('record_hash', ''))[:12]}")


def _version(verb: str) -> Callable[[Event, Cast, Memory], Said]:
    def words(event: Event, cast: Cast, memory: Memory) -> Said:
        return Said(f"Consensus version {event.facts.get('version', '?')} {verb}")

    return words


def _export(verb: str) -> Callable[[Event, Cast, Memory], Said]:
    def words(event: Event, cast: Cast, memory: Memory) -> Said:
        kind = str(event.facts.get("format", "")).upper()
        return Said(f"{kind or 'Exported'} file {verb}")

    return words


def _plain(words: str) -> Callable[[Event, Cast, Memory], Said]:
    return lambda event, cast, memory: Said(words)


def _lease(event: Event, cast: Cast, memory: Memory) -> Said:
    over = " over from another window" if event.facts.get("taken_over") else ""
    return Said(f"Took writing{over}" if over else "Began writing")


def _looked(event: Event, cast: Cast, memory: Memory) -> Said:
    return Said(f"Looked at {event.facts.get('what') or 'the case'}")


def _run(verb: str) -> Callable[[Event, Cast, Memory], Said]:
    def words(event: Event, cast: Cast, memory: Memory) -> Said:
        attempt = event.facts.get("attempt")
        return Said(f"Run {verb}" + (f", attempt {attempt}" if attempt else ""))

    return words


def _verified(event: Event, cast: Cast, memory: Memory) -> Said:
    facts = event.facts
    found = "it holds" if facts.get("holds") else "it is broken"
    return Said(f"Chain verified: {found}", detail=f"{facts.get('events', '?')} events")


_WORDS: dict[str, Callable[[Event, Cast, Memory], Said]] = {
    "case.opened": lambda e, c, m: Said(
        f"Case opened under {e.facts.get('protocol', 'its protocol')}"
    ),
    "case.described": _plain("Images and protocol written into the log"),
    "case.presegmented": _presegmented,
    "run.queued": _run("asked for"),
    "run.leased": _run("began"),
    "run.succeeded": _run("ended well"),
    "run.failed": _run("failed"),
    "run.dead": _run("given up"),
    "run.cancelled": _run("cancelled"),
    "reading.assigned": _assigned,
    "reading.opened": lambda e, c, m: Said(f"{e.facts.get('slot', 'Reading')} opened"),
    "reading.lease_taken": _lease,
    "reading.held": lambda e, c, m: Said(f"{e.facts.get('slot', 'Reading')} held"),
    "reading.released": lambda e, c, m: Said(f"{e.facts.get('slot', 'Reading')} released"),
    "reading.withdrawn": lambda e, c, m: Said(f"{e.facts.get('slot', 'Reading')} withdrawn"),
    "reading.returned": lambda e, c, m: Said(f"{e.facts.get('slot', 'Reading')} returned"),
    "reading.submitted": _submitted,
    "signature.refused": _plain("Signature refused"),
    "comparison.requested": _plain("Asked for the comparison again"),
    "comparison.failed": _plain("Comparison failed"),
    "comparison.made": _compared,
    "discrepancy.ignored_by_rule": _by_rule("ignore", "ignored"),
    "discrepancy.settled_by_rule": _by_rule("mean", "settled"),
    "discrepancy.proposed": _discrepancy("Proposal for {}", "proposed"),
    "discrepancy.agreed": _discrepancy("Agreed on {}", ""),
    "discrepancy.deferred": _discrepancy("Left {} to the adjudicator", "deferred"),
    "discrepancy.resolved": _discrepancy("Resolved {}", ""),
    "discrepancy.left": _discrepancy("Left {} as it is", ""),
    "consensus.opened": _opened_consensus,
    "consensus.settled": _settled,
    "consensus.completed": _plain("Every node is labelled; ready to be signed"),
    "consensus.signed": _signed,
    "consensus.objected": _version("objected to; its signatures are void"),
    "consensus.published": _version("published"),
    "consensus.superseded": _version("superseded"),
    "consensus.reopened": _version("reopened"),
    "label.set": _label,
    "label.deferred": _label_deferred,
    "label.carried": _label,
    "evidence.entered": _evidence,
    "evidence.withdrawn": _evidence,
    "report.made": _plain("Report made"),
    "report.opened": _plain("Report looked at"),
    "export.requested": _export("asked for"),
    "export.made": _export("written, read back and found equal"),
    "export.failed": _export("not made"),
    "export.downloaded": _export("taken"),
    "admin.looked": _looked,
    "timeline.opened": _looked,
    "timeline.exported": _plain("Timeline taken as CSV"),
    "chain.verified": _verified,
}
