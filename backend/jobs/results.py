"""What a worker puts: a mask on the series' own grid, and measures with their provenance.

Both belong to the attempt whose lease token sent them; the run takes them over when the worker
announces them, both together (`services.mask_ready`), so that no run ever has a torn result.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import zstandard
from django.db import transaction
from rest_framework.exceptions import NotAuthenticated

from backend.errors import BadInput, NotAllowed
from backend.imaging.grid import Grid, Shape
from backend.imaging.masks import LARGEST_LABEL, MAX_HEADER_BYTES, DamagedMask, unpack_mask
from backend.imaging.told_measures import measures_fault
from backend.jobs import registry
from backend.jobs.figures import seconds_of
from backend.jobs.models import Run, RunAttempt
from backend.jobs.services import current_attempt, stale
from backend.store import store

SCORES = ("score", "score_highest", "probability")
PROVENANCE = ("model", "input", "device", "precision", "threads", "timings", "wall_seconds")


def attempt_of(*, token: str | None, run: uuid.UUID, number: int) -> RunAttempt:
    """The attempt a lease token speaks for; 401 unknown, 403 another run's, 409 ended."""
    digest = hashlib.sha256((token or "").encode()).hexdigest()
    attempt = RunAttempt.objects.select_related("run__model").filter(lease_digest=digest).first()
    if attempt is None:
        raise NotAuthenticated("Send the lease token that the claim was answered with.")
    if (attempt.run_id, attempt.number) != (run, number):
        raise NotAllowed(
            "NOT_YOUR_LEASE",
            "This lease token belongs to another attempt.",
            "Send it to the run and attempt it was given for.",
        )
    if attempt.ended is not None or attempt.run.attempt != number or not attempt.run.is_live:
        raise stale(number)
    return attempt


def put_mask(*, attempt: RunAttempt, body: bytes, encoding: str = "") -> str:
    """Check and keep the packed mask; returns the SHA-256 of its bytes."""
    data = _decoded(body, encoding, _largest(attempt.run))
    try:
        mask = unpack_mask(data)
    except DamagedMask as damaged:
        raise BadInput("MASK_DAMAGED", str(damaged)) from damaged
    expected = attempt.run.parameters
    if mask.geometry_hash != expected["geometry_hash"] or list(mask.shape) != expected["shape"]:
        raise BadInput(
            "OTHER_GRID",
            "The mask does not lie on the grid of this run's series.",
            "Send a mask on the grid that came with the volume.",
        )
    name = store().put(data, compress=True)
    for listener in registry.on_mask_put:
        listener(attempt.run, name, mask)
    _keep(attempt, mask_blob=name)
    return name


def put_result(*, attempt: RunAttempt, value: Any) -> None:
    """Check and keep measures and provenance."""
    fault = result_fault(value, attempt.run)
    if fault:
        raise BadInput("RESULT_DAMAGED", fault, "Correct the result and put it again.")
    if attempt.mask_blob and value["mask"] != attempt.mask_blob:
        raise BadInput(
            "OTHER_MASK", "The result names another mask than the one put.", "Put both again."
        )
    _keep(attempt, result=value)


def result_fault(value: Any, run: Run) -> str:
    """The first thing that is wrong with a result, as a sentence; "" when nothing is."""
    if not isinstance(value, dict) or not isinstance(value.get("nodes"), list):
        return "The result is not an object with a list of nodes."
    if not isinstance(value.get("mask"), str):
        return "The result does not name its mask."
    shape, grid = tuple(run.parameters["shape"]), registry.grid_of(run)
    seen: set[int] = set()
    for node in value["nodes"]:
        fault = _node_fault(node, shape, grid)
        if fault:
            return fault
        if node["label"] in seen:
            return f"Label {node['label']} is measured twice."
        seen.add(node["label"])
    provenance = value.get("provenance")
    if not isinstance(provenance, dict):
        return "The result has no provenance."
    missing = [key for key in PROVENANCE if key not in provenance]
    if missing:
        return f"The provenance does not tell {', '.join(missing)}."
    try:
        seconds_of(provenance["timings"])
    except BadInput as fault:
        return str(fault)
    return _model_fault(provenance["model"], run)


def _model_fault(named: Any, run: Run) -> str:
    expected = {
        "name": run.model.name,
        "version": run.model.version,
        "sha256": run.model.sha256,
        "description": run.model.description,
    }
    if not isinstance(named, dict) or any(named.get(k) != v for k, v in expected.items()):
        return (
            f"The result was not made by {run.model} with weights {run.model.sha256} "
            f"as its description {run.model.description} says."
        )
    return ""


def _node_fault(node: Any, shape: Shape, grid: Grid | None) -> str:
    if not isinstance(node, dict) or type(node.get("label")) is not int or node["label"] < 1:
        return "A node has no label number."
    if node["label"] > LARGEST_LABEL:
        return f"A node has label {node['label']!r:.60}; a mask holds at most {LARGEST_LABEL}."
    where = f"Node {node['label']}"
    try:
        uuid.UUID(str(node.get("uuid")))
    except ValueError:
        return f"{where} has no UUID."
    for name in SCORES:
        score = node.get(name)
        if score is not None and not (type(score) in (int, float) and 0 <= score <= 1):
            return f"{where} cannot have {name} {score!r:.60}: it is a number from 0 to 1, or none."
    fault = measures_fault(node.get("measures"), shape, grid)
    return f"{where} {fault}." if fault else ""


def _largest(run: Run) -> int:
    slices, rows, columns = run.parameters["shape"]
    return int(2 * slices * rows * columns + MAX_HEADER_BYTES + 4)


def _decoded(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its transport compression, never more than `limit` bytes."""
    if encoding in {"", "identity"}:
        data = body
    elif encoding == "zstd":
        try:
            with zstandard.ZstdDecompressor().stream_reader(body) as reader:
                data = reader.read(limit + 1)
        except zstandard.ZstdError as error:
            raise BadInput(
                "MASK_DAMAGED", f"The mask cannot be decompressed ({error}).", "Send it once more."
            ) from error
    else:
        raise BadInput(
            "BAD_ENCODING", f"{encoding} is not understood.", "Send the mask plain or as zstd."
        )
    if len(data) > limit:
        raise BadInput(
            "MASK_TOO_LARGE", "The mask is larger than its grid allows.", "Send the run's own mask."
        )
    return data


@transaction.atomic
def _keep(attempt: RunAttempt, **values: Any) -> None:
    _, current = current_attempt(attempt.run_id, attempt.number)
    for name, value in values.items():
        setattr(current, name, value)
        setattr(attempt, name, value)
    current.save(update_fields=list(values))
