"""What an event tells, in plain words: what was done, and what it was before and after. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from backend.reading.hand_times import CHANGED
from backend.reports import shown
from backend.reports.record.events import Event
from backend.reports.record.readings import ARM_NAMES, axes_of, words_of
from backend.reports.timeline_cast import Cast
from backend.reports.timeline_said import NOTHING, Memory, Said, Words, begin
from backend.reports.timeline_words_agreed import WORDS, plain

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HASH = re.compile(r"[0-9a-f]{64}")


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
    if "region" in facts:
        return _region(facts, undone)
    if facts.get("lineage"):
        return _lineage(facts["lineage"], cast, undone)
    if "nodes" in facts:
        return _voxels(facts["nodes"], steps, cast, undone)
    node = str(facts.get("node", ""))
    before, after = facts.get("before"), facts.get("after")
    lead = f"{undone}{cast.node(node)}"
    if isinstance(after, bool):
        words = Said("marked as in doubt" if after else "no longer in doubt", *_yes(before, after))
    elif isinstance(after, dict) and "decision" in after:
        words = Said(str(after["decision"]), _decision(before), _decision(after))
    elif isinstance(after, dict) and "level" in after:
        words = Said("side and level", _place(before), _place(after))
    elif isinstance(after, dict) and "manual" in after:
        words = Said("measured by hand", _axes(before), _axes(after))
    else:
        words = Said("impression", _impression(before), _impression(after))
    return Said(begin(f"{lead} {words.what}"), words.before, words.after)


def _axes(value: Any) -> str:
    return axes_of(value["manual"]) if value["manual"] else NOTHING


def _lineage(lineage: Mapping[str, Any], cast: Cast, undone: str) -> Said:
    node, other = cast.node(lineage["node"]), cast.node(lineage["other"])
    if lineage["kind"] == "split":
        return Said(begin(f"{undone}{other} split off {node}"))
    return Said(begin(f"{undone}{other} merged into {node}"))


def _region(facts: Mapping[str, Any], undone: str) -> Said:
    before, after = (_unreadable(facts[name]) for name in ("before", "after"))
    return Said(begin(f"{undone}part of the images that cannot be read"), before, after)


def _unreadable(told: Mapping[str, Any]) -> str:
    if not told["voxels"]:
        return NOTHING
    plural = "" if told["slices"] == 1 else "s"
    return f"{told['slices']} slice{plural}, {words_of(told['reason'])}"


def _voxels(
    told: list[dict[str, Any]], steps: Mapping[str, Mapping[str, Any]], cast: Cast, undone: str
) -> Said:
    if not told:
        return Said(begin(f"{undone}a stroke that changed nothing"))
    order = sorted(told, key=lambda one: -(one["added"] + one["removed"]))
    main, *others = order
    step = steps.get(main["node"], {})
    before, after = step.get("sad_before"), main["sad_mm"]
    verb = "reshaped"
    if not main["voxels_before"]:
        verb = "added"
    elif not main["voxels_after"]:
        verb = "erased"
    what = f"{undone}{cast.node(main['node'])} {verb}"
    detail = f"+{main['added']} −{main['removed']} voxels"
    if main.get("dice") is not None and main["voxels_before"] and main["voxels_after"]:
        detail += f", Dice {main['dice']:.3f}"
    for other in others:
        change = f"+{other['added']} −{other['removed']}"
        detail += f"; {cast.node(other['node'])} {change}"
    return Said(begin(what), _mm(before), _mm(after, " short axis"), detail)


def _mm(value: float | None, of_what: str = "") -> str:
    return NOTHING if value is None else f"{shown.length(value)} mm{of_what}"


def _yes(before: Any, after: Any) -> tuple[str, str]:
    return ("in doubt" if before else NOTHING), ("in doubt" if after else NOTHING)


def _place(value: Any) -> str:
    if not isinstance(value, dict):
        return NOTHING
    return " ".join(filter(None, (value.get("side"), value.get("level")))) or NOTHING


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


def _export(verb: str) -> Words:
    def words(event: Event, cast: Cast, memory: Memory) -> Said:
        facts = event.facts
        if facts.get("format"):
            kind, of_what = str(facts["format"]).upper(), _subject(facts, cast, memory)
            memory.exports[event.subject_id] = f"{kind} file" + (f" of {of_what}" * bool(of_what))
        if facts.get("sidecar"):
            memory.sidecars.add(str(facts["sidecar"]))
        name = memory.exports.get(event.subject_id, "Exported file")
        if facts.get("file") in memory.sidecars:
            name = f"Labels beside the {name}"
        return Said(f"{name} {verb}")

    return words


def _subject(facts: Mapping[str, Any], cast: Cast, memory: Memory) -> str:
    """The reading or the consensus that facts name, in words; "" for neither."""
    part = cast.readings.get(str(facts.get("reading") or ""))
    if part is not None:
        return part.slot
    version = memory.versions.get(str(facts.get("consensus") or ""))
    return f"consensus version {version}" if version else ""


def _push(verb: str) -> Words:
    def words(event: Event, cast: Cast, memory: Memory) -> Said:
        return Said(f"Export {verb} {event.facts.get('remote') or 'another archive'}")

    return words


def _lease(event: Event, cast: Cast, memory: Memory) -> Said:
    over = " over from another window" if event.facts.get("taken_over") else ""
    return Said(f"Took writing{over}" if over else "Began writing")


def _looked(event: Event, cast: Cast, memory: Memory) -> Said:
    """What was looked at by its name: no line says a UUID where the case has a name for it."""

    def named(found: re.Match[str]) -> str:
        name = found[0]
        if name in cast.readings:
            return cast.readings[name].slot
        return f"version {memory.versions[name]}" if name in memory.versions else cast.node(name)

    what = str(event.facts.get("what") or "the case")
    if what == "timeline":
        what = "the timeline"
    elif what.startswith("node "):
        what = f"the life of {what.removeprefix('node ')}"
    return Said(f"Looked at {_HASH.sub(lambda found: found[0][:12], UUID.sub(named, what))}")


def _refused(event: Event, cast: Cast, memory: Memory) -> Said:
    """Only a wrong password is refused under this name; whose, where it was not the actor's."""
    of_what = _subject(event.facts, cast, memory)
    named = event.facts.get("named")
    whose = f" for {named}" if named else ""
    return Said(
        "Signature" + (f" of {of_what}" if of_what else "") + " refused",
        detail=f"wrong user name or password{whose}; nothing was signed"
        if "named" in event.facts
        else "wrong password; nothing was signed",
    )


def _run(verb: str) -> Words:
    def words(event: Event, cast: Cast, memory: Memory) -> Said:
        attempt = event.facts.get("attempt")
        return Said(f"Run {verb}" + (f", attempt {attempt}" if attempt else ""))

    return words


def _verified(event: Event, cast: Cast, memory: Memory) -> Said:
    facts = event.facts
    found = "it holds" if facts.get("holds") else "it is broken"
    return Said(f"Chain verified: {found}", detail=f"{facts.get('events', '?')} events")


def _registered(event: Event, cast: Cast, memory: Memory) -> Said:
    facts = event.facts
    shift = ", ".join(f"{value:.1f}" for value in facts.get("offset_mm", ()))
    return Said(
        f"Registration of another {facts.get('modality', 'series')} confirmed",
        detail=f"shifted by {shift} mm; {facts.get('series_uid', '')}",
    )


_WORDS: dict[str, Words] = {
    **WORDS,
    "case.opened": lambda e, c, m: Said(
        f"Case opened under {e.facts.get('protocol', 'its protocol')}"
    ),
    "case.series_offered": lambda e, c, m: Said(
        "A series came late that fits the protocol better", detail=str(e.facts.get("series", ""))
    ),
    "case.superseded": lambda e, c, m: Said(
        f"Withdrawn: {e.facts.get('by', 'another case')} is read instead",
        detail=str(e.facts.get("series", "")),
    ),
    "case.released": lambda e, c, m: Said(
        f"Version {e.facts.get('version', '?')} released in {e.facts.get('name', 'a release')}",
        detail=str(e.facts.get("sha256", ""))[:12],
    ),
    "case.described": plain("Images and protocol written into the log"),
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
    "reading.registered": _registered,
    "reading.submitted": _submitted,
    "signature.refused": _refused,
    "report.made": plain("Report made"),
    "report.opened": plain("Report looked at"),
    "export.requested": _export("asked for"),
    "export.made": _export("written, read back and found equal"),
    "export.failed": _export("not made"),
    "export.downloaded": _export("taken"),
    "push.requested": _push("to be sent to"),
    "push.done": _push("sent to"),
    "push.failed": _push("not sent to"),
    "push.lost": _push("interrupted on its way to"),
    "push.cancelled": _push("no longer to be sent to"),
    "push.retried": _push("to be sent again to"),
    "admin.looked": _looked,
    "timeline.opened": _looked,
    "timeline.exported": plain("Timeline taken as CSV"),
    "chain.verified": _verified,
}
