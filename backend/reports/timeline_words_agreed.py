"""Comparing, settling, labelling and signing in plain words. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from backend.reports.record.events import Event
from backend.reports.record.readings import words_of
from backend.reports.timeline_cast import Cast
from backend.reports.timeline_said import NOTHING, Memory, Said, Words, begin


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
    """A cluster by its number and nodes: "cluster 4 (AI 7, R2 11)"."""
    return called(event.facts.get("cluster", "?"), nodes_meant(event, memory), cast)


def called(number: object, nodes: Iterable[str], cast: Cast) -> str:
    """How a cluster is called: by its number and the nodes in it."""
    named = ", ".join(dict.fromkeys(cast.node(node) for node in nodes))
    return f"cluster {number}" + (f" ({named})" if named else "")


def _discrepancy(verb: str, state: str) -> Words:
    def words(event: Event, cast: Cast, memory: Memory) -> Said:
        found = str(event.facts.get("resolution") or "")
        after = resolution_words(found, memory) if found else ""
        after = f"{state}: {after}" if state and after else state or after
        before = memory.discrepancies.get(event.subject_id, "open")
        memory.discrepancies[event.subject_id] = after
        said = verb.format(_cluster(event, cast, memory))
        return Said(said, before, after, detail=_at_whose_screen(event))

    return words


def _at_whose_screen(event: Event) -> str:
    """Two at one screen: who signed is the event's actor, who was signed in stands beside."""
    session = event.facts.get("session")
    return f"at the screen where {session} was signed in" if session else ""


def _by_rule(resolution: str, verb: str) -> Words:
    def words(event: Event, cast: Cast, memory: Memory) -> Said:
        nodes = [*(event.facts.get("first") or []), *(event.facts.get("second") or [])]
        cluster = called(event.facts.get("cluster", "?"), map(str, nodes), cast)
        return Said(
            begin(f"{cluster} {verb} by rule"), "open", resolution_words(resolution, memory)
        )

    return words


def _opened_consensus(event: Event, cast: Cast, memory: Memory) -> Said:
    facts = event.facts
    memory.versions[event.subject_id] = str(facts.get("version", "?"))
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
    detail = "follows from the last decision"
    detail += f"; {contested} contested voxels" if contested else ""
    many = "s" if len(nodes) != 1 else ""
    return Said(f"All is settled: {len(nodes)} node{many} agreed on", detail=detail)


def _agreed_node(event: Event, cast: Cast, memory: Memory) -> tuple[tuple[str, int], str]:
    """The key of an agreed node, and how it is called: "node 1 (AI 9)"."""
    facts = event.facts
    number = int(facts.get("number") or 0)
    key = (str(facts.get("consensus", "")), number)
    uuid = memory.agreed.get(key) or str(facts.get("node") or "")
    return key, f"node {number}" + (f" ({cast.node(uuid)})" if uuid in cast.nodes else "")


def _label(event: Event, cast: Cast, memory: Memory) -> Said:
    key, name = _agreed_node(event, cast, memory)
    before = memory.labels.get(key, NOTHING)
    value = words_of(str(event.facts.get("value") or "")) or NOTHING
    memory.labels[key] = value
    rests = [memory.evidence.get(str(one), "") for one in event.facts.get("evidence") or []]
    detail = f"rests on {'; '.join(filter(None, rests))}" if any(rests) else ""
    if event.facts.get("rests_on_necrosis_alone"):
        detail += "; on necrosis alone"
    return Said(begin(f"{name} labelled"), before, value, detail)


def _label_deferred(event: Event, cast: Cast, memory: Memory) -> Said:
    key, name = _agreed_node(event, cast, memory)
    before = memory.labels.get(key, NOTHING)
    return Said(begin(f"{name} left to the adjudicator"), before, "deferred")


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
    record = f"record {str(facts.get('record_hash', ''))[:12]}"
    return Said(what, detail=", ".join(filter(None, [record, _at_whose_screen(event)])))


def _version(verb: str) -> Words:
    def words(event: Event, cast: Cast, memory: Memory) -> Said:
        return Said(f"Consensus version {event.facts.get('version', '?')} {verb}")

    return words


def plain(words: str) -> Words:
    """Words that say all by themselves."""
    return lambda event, cast, memory: Said(words)


WORDS: dict[str, Words] = {
    "comparison.requested": plain("Asked for the comparison again"),
    "comparison.failed": plain("Comparison failed"),
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
    "consensus.completed": plain("Every node is labelled; ready to be signed"),
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
}
