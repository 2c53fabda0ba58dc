"""Changes of a reading: an ordered list, all or nothing, each a new version of the mask.

Every change names the head it was made on. One the server knows is answered as it was the first
time, whatever happened since; so a client may send again whatever it is not sure of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from backend import rows
from backend.accounts.models import User
from backend.audit.services import record
from backend.errors import BadInput, NotAllowed, WrongState
from backend.reading.checks import can_submit
from backend.reading.maskstore import Writes
from backend.reading.models import (
    Change,
    Mask,
    Node,
    NodeState,
    NodeVersion,
    Reading,
)
from backend.reading.presentation import checks_for, node_json, region_json, shows_scores
from backend.reading.services.announcing import to_reading
from backend.reading.services.bodies import Undo, parse_change
from backend.reading.services.effects import Desk, NodeNotNew
from backend.reading.services.ledger import Ledger, begin
from backend.reading.services.masks import version_of
from backend.reading.workflow import OF_A_READER, ReadingState, possible

LARGEST_LIST = 500
_STATE_FIELDS = (
    "decision",
    "reason",
    "reason_group",
    "impression",
    "impression_reason",
    "confidence",
    "doubt",
    "measures",
    "side",
    "side_said",
    "level",
    "touched",
    "parents",
    "merged_into",
    "manual",
)


@transaction.atomic
def apply_changes(
    *, reading: Reading, user: User, lease: UUID | None, changes: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Apply a list of changes in order, in one transaction; returns the answer to each.

    Raises:
        WrongState: `READING_CLOSED`, `LEASE_LOST`, or `HEAD_MOVED` with what changed since.
        BadInput: a change that cannot be read or applied; none of the list was applied.
    """
    ids = _client_ids(changes)
    begun = begin(reading.pk, ids)
    reading, answers = begun.reading, begun.answers
    require_reader(reading, user)
    if len(answers) == len(ids):
        return [answers[client_id] for client_id in ids]
    require_open(reading)
    require_lease(reading, lease)
    desk = Desk(reading, begun.states, begun.regions)
    made: list[Change] = []
    writes, ledger = Writes(), Ledger()
    for client_id, change in zip(ids, changes, strict=True):
        if client_id not in answers:
            _require_head(reading, change)
            made.append(_apply_one(desk, client_id, change, writes, ledger))
            answers[client_id] = made[-1].answer
    for name in desk.altered_regions:
        desk.regions[name].save()
    with rows.in_one_go():
        ledger.write()
        _save_states(desk, made)
        rows.update(reading, ["head", "changes_count"])
        _record(reading, user, made)
    writes.finish()
    return [answers[client_id] for client_id in ids]


def _record(reading: Reading, user: User, made: Sequence[Change]) -> None:
    for done in made:
        told = {"head": done.head.hash, "client": str(reading.lease_client)}
        record(
            f"reading.changed.{done.kind}",
            reading,
            actor=user,
            chain=reading.case.chain,
            news=[to_reading(reading, "change.applied", told)],
            change=str(done.client_id),
            position=done.position,
            base=done.base.hash,
            head=done.head.hash,
            **done.facts,
        )


def require_reader(reading: Reading, user: User) -> None:
    """Only the reader writes a reading, whoever else may look at it."""
    if reading.reader_id != user.pk:
        raise NotAllowed(
            "READ_ONLY", "Only its reader may change a reading.", "Look at it; nothing was changed."
        )


def require_open(reading: Reading) -> None:
    """Let pass only an open reading."""
    state = ReadingState(reading.state)
    if state is not ReadingState.OPEN:
        raise WrongState(
            "READING_CLOSED",
            f"This reading is {state.value.replace('_', ' ')}; it takes no changes now.",
            "Open it from your worklist, or ask the coordinator.",
            possible=possible(state, OF_A_READER),
        )


def require_lease(reading: Reading, lease: UUID | None) -> None:
    """Let pass only the one writer."""
    if lease is None or reading.lease != lease:
        holder = reading.reader.shown_name if reading.lease else None
        raise WrongState(
            "LEASE_LOST",
            "This reading is being written elsewhere."
            if reading.lease
            else "This reading has no writer yet.",
            "Continue here to take it over.",
            possible=["lease"],
            holder=holder,
        )


def _client_ids(changes: Sequence[Mapping[str, Any]]) -> list[UUID]:
    if not 0 < len(changes) <= LARGEST_LIST:
        raise BadInput(
            "BAD_LIST", f"A list has 1 to {LARGEST_LIST} changes.", "Send it in smaller parts."
        )
    try:
        ids = [UUID(str(change["id"])) for change in changes]
    except (KeyError, TypeError, ValueError):
        raise BadInput(
            "BAD_CHANGE", "A change has no UUID.", "Give every change a UUID of its own."
        ) from None
    if len(set(ids)) != len(ids):
        raise BadInput(
            "BAD_LIST", "Two changes of the list have one UUID.", "Give each its own UUID."
        )
    return ids


def _require_head(reading: Reading, change: Mapping[str, Any]) -> None:
    base = change.get("base")
    if base == reading.head.hash:
        return
    at = reading.changes.filter(base__hash=base).first() if isinstance(base, str) else None
    later = reading.changes.select_related("base", "head")
    since = later.filter(position__gte=at.position) if at else later.none()
    raise WrongState(
        "HEAD_MOVED",
        "The reading has moved on from the version this change was made on."
        if at
        else "This change was made on a version that this reading never had.",
        "Take over what changed, then make the change again.",
        possible=["reload"],
        head=reading.head.hash,
        since=[change_json(one) for one in since],
    )


def change_json(change: Change) -> dict[str, Any]:
    """A change as the client sent it, and where it led."""
    return {
        **change.body,
        "id": str(change.client_id),
        "base": change.base.hash,
        "head": change.head.hash,
        "position": change.position,
    }


def _apply_one(
    desk: Desk, client_id: UUID, change: Mapping[str, Any], writes: Writes, ledger: Ledger
) -> Change:
    reading = desk.reading
    content = {key: value for key, value in change.items() if key not in ("id", "base")}
    body = parse_change(content, desk.case.grid)
    undone = None
    if isinstance(body, Undo):
        ledger.write()  # It may be one of this list.
        undone = _undone(reading, body.undoes)
    effect = desk.act(body, undone)
    base = reading.head
    head, slices = version_of(reading, desk.draft.manifest, effect.slices, writes)
    ledger.add([head, *slices])
    if effect.created:
        ledger.write()
        _save_new_nodes([desk.states[node] for node in effect.created], head)
    reading.head = head
    reading.changes_count += 1
    checks = checks_for(reading, desk.states.values())
    answer = {
        "id": str(client_id),
        "head": head.hash,
        "nodes": [
            node_json(desk.states[node], scores=shows_scores(reading)) for node in effect.nodes
        ],
        "regions": [
            region_json(desk.regions[name]) for name in desk.regions if name in effect.regions
        ],
        "checks": [check.to_json() for check in checks],
        "can_submit": can_submit(checks),
    }
    done = Change(
        reading=reading,
        client_id=client_id,
        position=reading.changes_count,
        kind=str(content["kind"]),
        base=base,
        head=head,
        undoes=undone,
        body=content,
        states=effect.states,
        facts=effect.facts,
        answer=answer,
    )
    versions = (
        NodeVersion(
            node=state.node,
            mask=head,
            reading=reading,
            change=done,
            label=state.label,
            measures=state.measures,
            decision=state.decision,
            reason=state.reason,
            impression=state.impression,
            confidence=state.confidence,
            doubt=state.doubt,
            parents=state.parents,
            merged_into=state.merged_into,
        )
        for state in (desk.states[node] for node in effect.nodes)
    )
    ledger.add([done, *versions])
    return done


def _undone(reading: Reading, client_id: UUID) -> Change:
    found = reading.changes.filter(client_id=client_id).first()
    if found is None:
        raise BadInput(
            "NOTHING_TO_UNDO",
            "What is to be undone is no change of this reading.",
            "Reload the reading and undo one of its changes.",
        )
    return found


def _save_new_nodes(created: Sequence[NodeState], mask: Mask) -> None:
    for state in created:
        state.node.first_mask = mask
        state.node.box = state.measures["bounding_box"] if state.measures else None
    try:
        with transaction.atomic():
            Node.objects.bulk_create([state.node for state in created])
    except IntegrityError:  # Another reading made a node of that UUID at the same moment.
        raise NodeNotNew from None
    NodeState.objects.bulk_create(created)


def _save_states(desk: Desk, made: Sequence[Change]) -> None:
    touched = {node for change in made for node in change.states}
    for node in sorted(touched):
        rows.update(desk.states[node], _STATE_FIELDS)
