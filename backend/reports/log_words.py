"""The events of a report's timeline in the words of the case's timeline. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.reports.record.events import Event
from backend.reports.timeline_cast import Cast, Named, Part
from backend.reports.timeline_said import NOTHING, Said
from backend.reports.timeline_story import lines_of
from backend.reports.truths import Measured


def event_words(
    events: Sequence[Event], facts: dict[str, Any], measured: Measured
) -> dict[int, str]:
    """Position → what the event tells, in words."""
    return {line.first: _words(line.said) for line in lines_of(events, _cast(facts, measured))}


def _words(told: Said) -> str:
    """What happened, from what to what, and what is to be added."""
    before = f"{told.before} → " if told.before not in ("", NOTHING) else ""
    after = f": {before}{told.after}" if told.after else ""
    return f"{told.what}{after}" + (f" ({told.detail})" if told.detail else "")


def _cast(facts: dict[str, Any], measured: Measured) -> Cast:
    """Everyone and everything the events name, as the facts tell it."""
    model = facts["model"]
    signed = [reading for reading in facts["readings"] if reading["signed"]]
    nodes = {
        node["uuid"]: Named(node["label"], reading["slot"])
        for reading in signed
        for node in reading["nodes"]
        if node["origin"] != "ai"
    }
    offered = measured.last.evaluation.ai_measures
    return Cast(
        readings={
            reading["id"]: Part(
                reading["slot"], reading["round"], reading["reader_id"], reading["reader"]
            )
            for reading in signed
        },
        nodes=nodes | {node: Named(number) for node, number in measured.ai_numbers.items()},
        offered_mm={
            node: offered[number].sad_mm
            for node, number in measured.ai_numbers.items()
            if number in offered
        },
        model=f"{model['name']} {model['version']}" if model else "",
    )
