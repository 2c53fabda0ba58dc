"""What a worker answers to a prompt: a patch on the series' grid, never a mask of its own."""

from __future__ import annotations

from typing import Any

from backend.imaging.masks import InvalidPatch, parse_patch
from backend.jobs.models import Run
from backend.jobs.protocol import PROPOSED_NODE

UNSURE = frozenset(
    {"no_tissue", "no_fat_between", "neighbour", "size_limit", "end_of_scan", "faint"}
)
FIELDS = frozenset({"slices", "voxels", "confidence", "unsure", "provenance"})


def prompt_fault(value: Any, run: Run) -> str:
    """The first thing that is wrong with an answer, as a sentence; "" when nothing is."""
    if not isinstance(value, dict) or set(value) != FIELDS:
        return f"An answer to a prompt has exactly {', '.join(sorted(FIELDS))}."
    shape = run.parameters["shape"]
    try:
        patch = parse_patch(
            {"nodes": [PROPOSED_NODE], "slices": value["slices"]}, (shape[0], shape[1], shape[2])
        )
    except InvalidPatch as error:
        return str(error)
    proposed = sum(length for part in patch.slices for _, length, k in part.runs if k == 1)
    if value["voxels"] != proposed:
        return "The answer does not count its own voxels."
    confidence = value["confidence"]
    if not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        return "Confidence is a share, 0 to 1."
    unsure = value["unsure"]
    if not isinstance(unsure, list) or not set(map(str, unsure)) <= UNSURE:
        return f"What is unsure is one of {', '.join(sorted(UNSURE))}."
    provenance = value["provenance"]
    if not isinstance(provenance, dict) or not {"algorithm", "model", "input"} <= set(provenance):
        return "The provenance does not tell algorithm, model, input."
    return ""
