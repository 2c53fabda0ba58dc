"""Prompts that were asked: how they stand, what they propose, and what is recorded once taken."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import QuerySet

from backend.errors import BadInput
from backend.imaging.masks import canonical_json
from backend.jobs.models import Run
from backend.jobs.protocol import RunKind, RunState
from backend.reading.models import Reading


def state_of(run: Run) -> str:
    """`waiting`, `answered` or `failed`, as the reader is told."""
    state = RunState(run.state)
    if state is RunState.SUCCEEDED:
        return "answered"
    return "failed" if state in (RunState.DEAD, RunState.CANCELLED) else "waiting"


def prompt_json(run: Run, sop_uids: Sequence[str]) -> dict[str, Any]:
    """A prompt as its reader is told; a proposal's slices are those of a change of voxels."""
    result, asked = run.result or {}, run.parameters
    proposal = None
    if state_of(run) == "answered":
        proposal = {
            "slices": [
                {"sop": sop_uids[part["index"]], "box": part["box"], "runs": part["runs"]}
                for part in result["slices"]
            ],
            "voxels": result["voxels"],
            "confidence": result["confidence"],
            "unsure": result["unsure"],
            "algorithm": result["provenance"]["algorithm"],
            "model": run.model.named,
        }
    return {
        "id": str(run.pk),
        "state": state_of(run),
        "message": run.message,
        "clicks": asked["clicks"],
        "box": asked["box"],
        "node": asked["node"],
        "head": asked["head"],
        "proposal": proposal,
        "timings": run.timings,
    }


def provenance_of(reading: Reading, prompt: str, taken: Mapping[str, Any]) -> dict[str, Any]:
    """What a change of voxels that takes a proposal records of it.

    Raises:
        BadInput: the prompt is none of this reading that was answered.
    """
    run = prompts_of(reading).select_related("model").filter(pk=prompt).first()
    if run is None or state_of(run) != "answered" or run.result is None:
        raise BadInput(
            "NO_SUCH_PROMPT",
            "The prompt this change names is no answered prompt of this reading.",
            "Ask again, then take the new proposal.",
        )
    proposed = _canonical(run.result["slices"])
    return {
        "run": str(run.pk),
        "model": run.model.named,
        "algorithm": run.result["provenance"]["algorithm"],
        "clicks": run.parameters["clicks"],
        "box": run.parameters["box"],
        "head": run.parameters["head"],
        "confidence": run.result["confidence"],
        "unsure": run.result["unsure"],
        "proposal_sha256": proposed,
        "taken_as_proposed": _canonical(taken["slices"]) == proposed,
    }


def _canonical(slices: Any) -> str:
    """SHA-256 of a patch's slices, whatever their order."""
    plain = sorted([s["index"], list(s["box"]), [list(run) for run in s["runs"]]] for s in slices)
    return hashlib.sha256(canonical_json(plain)).hexdigest()


def prompts_of(reading: Reading) -> QuerySet[Run]:
    """The prompts of a reading."""
    return Run.objects.filter(
        kind=RunKind.PROMPT, subject_type=Reading._meta.label_lower, subject_id=reading.pk
    )
