"""A case's events with all they speak of by name, read from the database."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from backend.accounts.models import User
from backend.audit import history
from backend.jobs.models import Run
from backend.reading.models import Case, ConsensusNode, Membership, NodeState, NodeVersion
from backend.reports.record.events import Event, of_row
from backend.reports.timeline_cast import Cast, Named, Part
from backend.reports.timeline_story import Line, folded, lines_of

# A chain only grows: what was told of it up to one head is never told otherwise.
_KEPT_STORIES = 8


@dataclass(frozen=True)
class Story:
    """All lines of a case, one by one and with runs folded, up to the head they were read at."""

    cast: Cast
    head: dict[str, Any]
    lines: tuple[Line, ...]
    folded: tuple[Line, ...]


def story_of(case: Case) -> Story:
    """Everything that happened to a case."""
    head = history.head_of(case.chain) or {"chain": case.chain, "position": 0, "hash": ""}
    return _story(case.pk, head["position"], head["hash"])


@lru_cache(maxsize=_KEPT_STORIES)
def _story(case: UUID, position: int, digest: str) -> Story:
    found = Case.objects.get(pk=case)
    cast = cast_of(found)
    events = [event for event in events_of(found) if event.position <= position]
    lines = lines_of(events, cast)
    head = {"position": position, "hash": digest}
    return Story(cast, head, tuple(lines), tuple(folded(lines)))


def events_of(case: Case) -> list[Event]:
    """The case's chain, in order."""
    return [of_row(row) for row in history.stored_rows(chain=case.chain)]


def cast_of(case: Case) -> Cast:
    """Everyone and everything that the case's events name."""
    readings = {
        str(reading.pk): Part(
            slot=reading.slot,
            round=reading.round,
            reader=str(reading.reader_id),
            reader_name=reading.reader.shown_name,
        )
        for reading in case.readings.select_related("reader").order_by("assigned_at")
    }
    offered = NodeVersion.objects.filter(node__case=case, reading=None)
    rows = offered.values_list("node_id", "label", "measures__sad_mm").order_by("id")
    nodes = {str(node): Named(label) for node, label, _ in rows}
    made = NodeState.objects.filter(reading__case=case, node__reading__isnull=False)
    for node, label, slot in made.values_list("node_id", "label", "reading__slot"):
        nodes[str(node)] = Named(label, slot)
    agreed = ConsensusNode.objects.filter(consensus__case=case).order_by("consensus__version")
    return Cast(
        readings=readings,
        nodes=nodes,
        roles=_roles(case),
        offered_mm={str(node): sad for node, _, sad in rows if sad is not None},
        model=_model(case),
        agreed={str(node): number for node, number in agreed.values_list("node_id", "number")},
    )


def _model(case: Case) -> str:
    found = Run.objects.select_related("model")
    run = found.filter(pk=case.ai_run_id).first() if case.ai_run_id else None
    return f"{run.model.name} {run.model.version}" if run else ""


def _roles(case: Case) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    members = Membership.objects.filter(project=case.project_id).order_by("role")
    for user, role in members.values_list("user_id", "role"):
        found.setdefault(str(user), []).append(role)
    for user in User.objects.filter(is_superuser=True).values_list("pk", flat=True):
        found.setdefault(str(user), []).append("administrator")
    return {user: ", ".join(roles) for user, roles in found.items()}
