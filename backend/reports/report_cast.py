"""Who and what a report speaks of by name, as its facts tell it. Pure."""

from __future__ import annotations

from typing import Any

from backend.reports.timeline_cast import Cast, Named, Part
from backend.reports.truths import Measured


def cast_of(facts: dict[str, Any], measured: Measured) -> Cast:
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
