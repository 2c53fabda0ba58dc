"""What a report says of the log: timeline, verdict, head, and what the report was made of. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from backend.jobs.protocol import STAGES
from backend.reports import blocks, shown

CHANGED = "reading.changed"
CHAIN_CAVEAT = (
    "This finds events altered, removed or put in between. A chain rebuilt as a whole shows only "
    "against heads that were exported earlier and kept elsewhere."
)


def chain_section(facts: dict[str, Any], words: Mapping[int, str]) -> dict[str, Any]:
    """The timeline, and whether the chain holds; `words` tell the events by position."""
    chain = facts["chain"]
    listed = _listed(facts)
    others = chain["position"] - len(listed)
    sealed = (
        f" {others} event{'s' if others > 1 else ''} of readings that are not signed "
        f"{'are' if others > 1 else 'is'} not listed; the chain covers "
        f"{'them' if others > 1 else 'it'} too."
        if others
        else ""
    )
    sentence = (
        f"The chain holds: {chain['position']} events, each following from the last."
        if chain["holds"]
        else "The chain does not hold."
    )
    return blocks.section(
        "chain",
        "Timeline and audit chain",
        blocks.notice(
            sentence,
            " ".join([*chain["faults"], CHAIN_CAVEAT]),
            "good" if chain["holds"] else "bad",
        ),
        blocks.facts((f"Head at event {chain['position']}", chain["hash"])),
        blocks.table(
            ("Event", "Time (UTC)", "Who", "What", "Reason"),
            timeline(listed, words),
            caption=f"All events of the case up to that head.{sealed}",
            widths=(0.6, 1.8, 1.3, 4.0, 2.2),
        ),
    )


def _listed(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """The events, without what a reading that is not signed holds."""
    sealed = {reading["id"] for reading in facts["readings"] if not reading["signed"]}
    return [
        event
        for event in facts["timeline"]
        if event["subject"] not in sealed or event["action"] == "reading.assigned"
    ]


def timeline(events: Sequence[dict[str, Any]], words: Mapping[int, str]) -> list[dict[str, Any]]:
    """Events in order; a run of changes of one reading by one person is one row."""
    rows = []
    for (who, _, outcome), group in groupby(events, key=_kind_of):
        run = list(group)
        first, last = run[0], run[-1]
        alone = len(run) == 1
        places = [str(event["position"]) for event in (first, last)]
        times = [shown.moment(event["at"]) for event in (first, last)]
        action = words[first["position"]] if alone else f"{len(run)} changes: {_counted(run)}"
        rows.append(
            blocks.row(
                places[0] if alone else "–".join(places),
                times[0] if times[0] == times[1] else f"{times[0]} to {_until(*times)}",
                who,
                action if outcome == "success" else f"{action} ({outcome})",
                first["reason"] if alone else "",
            )
        )
    return rows


def _until(start: str, end: str) -> str:
    """The end of a span, without the day it shares with the start."""
    return end[11:] if start[:10] == end[:10] else end


def _kind_of(event: dict[str, Any]) -> tuple[str, str, str]:
    """What makes two events of one row: changes of a reading; everything else stands alone."""
    changed = event["action"].startswith(f"{CHANGED}.")
    return event["who"], event["subject"] if changed else str(event["position"]), event["outcome"]


def _counted(run: Sequence[dict[str, Any]]) -> str:
    return shown.changes(Counter(event["action"].removeprefix(f"{CHANGED}.") for event in run))


def made_section(manifest: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    """What went in, the model's run, and how to make the report again."""
    images, model = facts["images"], facts["model"]
    masks = [
        (f"Signed mask {reading['slot']}", reading["masks"]["effective"])
        for reading in facts["readings"]
        if reading["signed"]
    ]
    agreed = [
        (f"Consensus {version['version']}", version["settled"]["mask"])
        for version in facts["consensus"]
        if version["settled"]
    ]
    return blocks.section(
        "made",
        "Appendix: made from",
        blocks.text(
            f"Report {manifest['id']}, made {shown.when(manifest['created'])} by "
            f"{manifest['made_by']} with Concord {manifest['version']}. It can be made again from "
            "the events of its case and the files they name, byte for byte: manage.py "
            f"rebuild_report {manifest['id']}."
        ),
        blocks.facts(
            ("AI mask", model["mask"]) if model else None,
            *masks,
            *agreed,
            ("Geometry of the images", images["geometry_hash"]),
            ("Images (UIDs and files)", images["instances_hash"]),
            ("Study", images["study_uid"]),
            ("Series", images["series_uid"]),
            ("Chain", facts["chain"]["chain"]),
            ("Software", f"Concord {manifest['version']}"),
        ),
        _run(model),
    )


def _run(model: dict[str, Any] | None) -> blocks.Block | None:
    """The run that made the proposal: when, where, and how long each stage took."""
    if model is None:
        return None
    timings = sorted(model["timings"].items(), key=lambda item: _stage_place(item[0]))
    stages = [f"{name} {shown.seconds(v)}" for name, v in timings if isinstance(v, int | float)]
    return blocks.facts(
        ("Attempt", str(model["attempt"])) if model["attempt"] else None,
        ("Ended", shown.when(model["finished"])),
        ("Worker", model["worker"]) if model["worker"] else None,
        ("Stages", ", ".join(stages)) if stages else None,
        title="The model’s run",
    )


def _stage_place(stage: str) -> tuple[int, str]:
    """Stages in the order they ran; others (waiting) before them."""
    return (STAGES.index(stage) if stage in STAGES else -1, stage)
