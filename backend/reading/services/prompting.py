"""One click: a reader asks what lies at a point, and is answered with a proposal.

A prompt is a run of its own kind on its own queue. Its id is the client's; asking again with it is
asking once. The answer never alters the reading: what the reader takes of it is an ordinary change
of voxels that names the prompt (`provenance_of`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import numpy as np
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.audit.services import announce
from backend.errors import BadInput, Missing, TooMany, WrongState
from backend.imaging.masks import Labels, Manifest, diff_patch
from backend.jobs import selectors as jobs
from backend.jobs import services as runs
from backend.jobs.models import UNDERWAY_STATES, ModelVersion, Run
from backend.jobs.protocol import ENDED, PROPOSED_NODE, RunKind, RunState
from backend.reading.maskstore import plane_of
from backend.reading.models import NodeState, Reading
from backend.reading.services.acts import named_by_client
from backend.reading.services.announcing import reading_audience
from backend.reading.services.changes import require_lease, require_open, require_reader
from backend.reading.services.guards import lock_reading
from backend.reading.services.proposed import prompts_of, state_of
from backend.reading.services.protocol_models import model_for
from backend.reading.vocabulary import Arm, Decision

REACH_MM = 45.0
MOST_CLICKS = 64
# A reader in a hurry asks twice a second; a script that asks more is told to wait.
MOST_PROMPTS, PROMPTS_SECONDS = 30, 10
OTHERS = "00000000-0000-4000-8000-000000000001"
NO_ANSWER = "No worker answered within {seconds:.0f} seconds. Your clicks are kept: ask again."

Voxel = tuple[int, int, int]


@dataclass(frozen=True)
class Click:
    """A voxel (slice, row, column) of the case's grid, in the node or beside it."""

    at: Voxel
    within: bool


@transaction.atomic
def ask_prompt(
    *,
    reading: Reading,
    user: User,
    lease: UUID | None,
    prompt: UUID,
    clicks: Sequence[Click],
    box: tuple[Voxel, Voxel] | None,
    node: UUID | None,
) -> Run:
    """Ask what lies at the clicks; with `node`, how that node of the reading should change.

    Raises:
        Missing: the reading's arm has no AI, so there is no such thing; or the id is another's.
        WrongState: closed, no lease, no model, or no worker to answer.
        TooMany: asked faster than a person clicks.
    """
    reading = lock_reading(reading.pk)
    require_reader(reading, user)
    require_arm(reading)
    if Run.objects.filter(pk=prompt).exists():
        return prompt_of(reading, prompt)
    require_open(reading)
    require_lease(reading, lease)
    _require_clicks(reading, clicks, box)
    _require_patience(reading)
    model = _model_of(reading)
    for earlier in prompts_of(reading).filter(state__in=UNDERWAY_STATES):
        runs.cancel(run=earlier.pk, actor=user, why="A later click took its place.")
    with named_by_client(Run):
        return runs.enqueue(
            kind=RunKind.PROMPT,
            run_id=prompt,
            subject=reading,
            series_id=reading.case.series_id,
            study_uid=reading.case.study_uid,
            series_uid=reading.case.series_uid,
            model=model,
            parameters={
                "geometry_hash": reading.case.geometry_hash,
                "shape": list(reading.case.grid.shape),
                "clicks": [{"at": list(c.at), "within": c.within} for c in clicks],
                "box": [list(corner) for corner in box] if box else None,
                "node": str(node) if node else None,
                "head": reading.head.hash,
                "around": _around(reading, clicks, node),
            },
            actor=user,
            chain=reading.case.chain,
        )


@transaction.atomic
def cancel_prompt(*, reading: Reading, user: User, prompt: UUID) -> Run:
    """Drop a prompt; one that has ended stays as it is."""
    reading = lock_reading(reading.pk)
    require_reader(reading, user)
    found = prompt_of(reading, prompt)
    if RunState(found.state) in ENDED:
        return found
    return runs.cancel(run=found.pk, actor=user, why="Dropped by the reader.")


def prompt_of(reading: Reading, prompt: UUID) -> Run:
    """A prompt of this reading; raises `Missing`."""
    require_arm(reading)
    found = prompts_of(reading).select_related("model").filter(pk=prompt).first()
    if found is None:
        raise Missing("prompt")
    return found


def require_arm(reading: Reading) -> None:
    """Where the arm hides the AI there are no prompts; raises `Missing`."""
    if reading.arm != Arm.AI_FIRST:
        raise Missing("prompt")


def on_prompt_changed(run: Run, what: str, payload: dict[str, Any]) -> None:
    """Tell the reading that asked (called inside the transaction that changed the run)."""
    if run.kind != RunKind.PROMPT or what in ("progress", "metrics"):
        return
    reading = Reading(pk=run.subject_id)
    told = {"prompt": str(run.pk), "state": state_of(run), "message": run.message}
    announce(reading_audience(reading), "prompt.changed", told)


def give_up_on_prompts() -> int:
    """End the prompts nobody answered in time, with a sentence; returns how many."""
    seconds = settings.PROMPT_SECONDS
    late = Run.objects.filter(
        kind=RunKind.PROMPT,
        state__in=UNDERWAY_STATES,
        created__lt=timezone.now() - timedelta(seconds=seconds),
    )
    done = 0
    for pk in late.values_list("pk", flat=True):
        try:
            runs.cancel(run=pk, actor=None, why=NO_ANSWER.format(seconds=seconds))
        except WrongState:
            continue  # It was answered in the meantime.
        done += 1
    return done


def _model_of(reading: Reading) -> ModelVersion:
    """The model of the reading's protocol, which some connected worker holds; no other answers."""
    model, why_none = model_for(reading.case.protocol)
    if model is None:
        raise WrongState(
            "NO_MODEL", f"Nothing can be proposed: {why_none}",
            "Paint the node by hand; an administrator can look after the model.",
            possible=["paint"],
        )  # fmt: skip
    if not any(worker.alive for worker in jobs.workers()):
        raise WrongState(
            "NO_WORKER", "No worker is connected, so nothing can be proposed now.",
            "Your clicks are kept: ask again in a moment, or paint the node by hand.",
            possible=["retry", "paint"],
        )  # fmt: skip
    if not jobs.is_held_at_work(model):
        raise WrongState(
            "NO_WORKER",
            f"No connected worker has {model}, the model of this case's protocol, so nothing can "
            "be proposed now.",
            "Your clicks are kept: ask again when such a worker is connected, or paint the node "
            "by hand.",
            possible=["retry", "paint"],
        )  # fmt: skip
    return model


def _require_clicks(
    reading: Reading, clicks: Sequence[Click], box: tuple[Voxel, Voxel] | None
) -> None:
    shape = reading.case.grid.shape
    if not 0 < len(clicks) <= MOST_CLICKS or not any(click.within for click in clicks):
        raise BadInput(
            "BAD_PROMPT", f"A prompt has 1 to {MOST_CLICKS} clicks, one of them in the node.",
            "Click into the node first.",
        )  # fmt: skip
    for at in [click.at for click in clicks] + list(box or ()):
        if any(not 0 <= i < n for i, n in zip(at, shape, strict=True)):
            raise BadInput(
                "BAD_PROMPT", f"{list(at)} is outside the grid of {list(shape)} voxels.",
                "Click inside the images.",
            )  # fmt: skip
    if box is not None and any(a > b for a, b in zip(*box, strict=True)):
        raise BadInput("BAD_PROMPT", "The box ends before it begins.", "Draw it again.")


def _require_patience(reading: Reading) -> None:
    now, window = timezone.now(), timedelta(seconds=PROMPTS_SECONDS)
    asked = prompts_of(reading).filter(created__gt=now - window).order_by("-created")
    made = list(asked.values_list("created", flat=True)[:MOST_PROMPTS])
    if len(made) == MOST_PROMPTS:
        raise TooMany(
            "TOO_MANY_PROMPTS",
            f"More than {MOST_PROMPTS} prompts in {PROMPTS_SECONDS} seconds.",
            seconds=(made[-1] + window - now).total_seconds(),
        )


def _around(reading: Reading, clicks: Sequence[Click], node: UUID | None) -> dict[str, Any]:
    """The nodes near the first click as a patch: 1 is what others hold, 2 the node itself.

    A rejected node holds nothing: what it covers may be proposed.
    """
    manifest: Manifest = reading.head.manifest
    rejected = NodeState.objects.filter(reading=reading, decision=Decision.REJECTED)
    numbers = manifest.numbers
    free = {numbers[str(pk)] for pk in rejected.values_list("node_id", flat=True)
            if str(pk) in numbers}  # fmt: skip
    own = numbers.get(str(node)) if node else None
    if node and own is None:
        raise BadInput(
            "NO_SUCH_NODE", f"There is no node {node} in this reading.",
            "Choose one of its nodes.",
        )  # fmt: skip
    grid = reading.case.grid
    first = np.array(clicks[0].at)
    reach = np.ceil(REACH_MM / np.array(grid.spacing_mm)).astype(int)
    low = np.maximum(first - reach, 0)
    high = np.minimum(first + reach + 1, grid.shape)
    window = np.zeros(high - low, np.uint16)
    for index in range(int(low[0]), int(high[0])):
        if index in manifest.slices:
            plane: Labels = plane_of(manifest, grid.shape, index)
            part = plane[low[1] : high[1], low[2] : high[2]]
            kept = np.where(np.isin(part, list(free)), 0, (part > 0).astype(np.uint16))
            if own is not None:
                kept[part == own] = 2
            window[index - low[0]] = kept
    patch = diff_patch(np.zeros_like(window), window, {1: OTHERS, 2: PROPOSED_NODE}).to_json()
    for part in patch["slices"]:
        part["index"] += int(low[0])
        row, column = int(low[1]), int(low[2])
        shift = (row, column, row, column)
        part["box"] = [edge + by for edge, by in zip(part["box"], shift, strict=True)]
    return {"nodes": patch["nodes"], "slices": patch["slices"]}
