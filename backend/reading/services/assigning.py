"""Who reads what: giving a slot to a person, holding and releasing a reading."""

from __future__ import annotations

from django.db import transaction

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.audit.services import record, revoke_grants
from backend.errors import WrongState
from backend.reading.models import Case, Mask, Membership, NodeState, Reading
from backend.reading.services.announcing import case_changed, worklist_changed
from backend.reading.services.guards import (
    lock_case,
    lock_reading,
    refresh_stage,
    require_read,
    require_role,
    step,
)
from backend.reading.sides import derived_side
from backend.reading.vocabulary import Arm, Decision, MaskKind, Slot
from backend.reading.workflow import CURRENT, SIGNED, ReadingAction, ReadingState


@transaction.atomic
def assign(*, case: Case, slot: str, reader: User, actor: User | None) -> Reading:
    """Give a slot of a case to a person; takes it from whoever had not opened it yet."""
    case = lock_case(case.pk)
    if actor is not None:
        require_role(actor, case, Role.COORDINATOR)
    require_read(case)
    _guard_person(case, slot, reader)
    held = case.readings.filter(slot=slot, state__in=[s.value for s in CURRENT]).first()
    if held is not None:
        held = lock_reading(held.pk)
        if held.state not in (ReadingState.ASSIGNED, ReadingState.ON_HOLD):
            raise WrongState(
                "SLOT_TAKEN",
                f"{slot} of {case.label} is being read already.",
                "Assign the other slot, or wait until the reading is submitted.",
            )
        step(held, ReadingAction.WITHDRAW)
        held.save(update_fields=["state"])
        revoke_grants()
    arm = case.protocol.definition["arms"].get(slot, Arm.NO_AI.value)
    empty = case.masks.get(kind=MaskKind.EMPTY)
    reading = Reading.objects.create(
        case=case, slot=slot, reader=reader, arm=arm, base=empty, head=empty
    )
    proposal = case.masks.filter(kind=MaskKind.AI).order_by("-created").first()
    if proposal is not None:
        offer(reading, proposal)
    refresh_stage(case)
    changed = [reading] if held is None else [reading, held]
    record(
        "reading.assigned",
        reading,
        actor=actor,
        chain=case.chain,
        news=[*worklist_changed(changed), case_changed(case)],
        slot=slot,
        reader=reader.username,
        arm=arm,
        withdrawn=str(held.pk) if held else None,
    )
    return reading


def _guard_person(case: Case, slot: str, reader: User) -> None:
    needed = Role.ADJUDICATOR if slot == Slot.ADJ else Role.READER
    member = Membership.objects.filter(project=case.project_id, user=reader, role=needed.value)
    if slot not in Slot.values or (slot != Slot.ADJ and slot not in case.protocol.slots):
        raise WrongState(
            "NO_SUCH_SLOT",
            f"{case.protocol.code} has no slot {slot}.",
            "Choose one of its slots.",
            possible=case.protocol.slots,
        )
    if not member.exists():
        raise WrongState(
            "NOT_A_READER",
            f"{reader.shown_name} is no {needed.value} of this project.",
            f"Give them the role {needed.value} first.",
        )
    if reader.is_superuser:
        raise WrongState(
            "ADMIN_READS_ALL",
            f"{reader.shown_name} is an administrator, who may look at everything.",
            "Choose someone who reads blind, or give them an account without that right.",
        )
    other = case.readings.filter(reader=reader, state__in=[s.value for s in CURRENT]).exclude(
        slot=Slot.REPEAT
    )
    if slot != Slot.REPEAT and other.exists():
        raise WrongState(
            "SAME_PERSON",
            f"{reader.shown_name} already reads this case in another slot.",
            "Two slots of a case are two people: choose someone else.",
        )


def offer(reading: Reading, proposal: Mask) -> bool:
    """Give a reading the AI's proposal, if its arm sees one; True if it now starts from it.

    A reading that has changes keeps its own mask, and so does one that was opened on an earlier
    proposal: nothing moves under the reader's hands. What is newer is `proposed` then, to be taken
    node by node (`reading.newer_proposal`). A signed one was read without this proposal, and its
    report goes on saying so.
    """
    state = ReadingState(reading.state)
    if reading.arm != Arm.AI_FIRST or state not in CURRENT - SIGNED:
        return False
    seen_earlier = reading.opened_at is not None and reading.ai_mask_id is not None
    starts = reading.changes_count == 0 and not seen_earlier
    reading.ai_mask = proposal if starts else reading.ai_mask or proposal
    reading.proposed = None if starts or not offers_later(reading.case) else proposal
    if starts:
        reading.base = reading.head = proposal
        reading.node_states.all().delete()
        NodeState.objects.bulk_create(
            NodeState(
                reading=reading,
                node=version.node,
                label=version.label,
                decision=Decision.UNDECIDED,
                measures=version.measures,
                side=derived_side(reading.case, version.measures),
            )
            for version in proposal.node_versions.filter(reading=None).select_related("node")
        )
    reading.save(update_fields=["ai_mask", "proposed", "base", "head"])
    return starts


def offers_later(case: Case) -> bool:
    """Whether the protocol lets a reader who has begun see what a newer run proposes."""
    return bool(case.protocol.definition.get("later_proposals", True))


@transaction.atomic
def hold(*, reading: Reading, actor: User, reason: str) -> Reading:
    """Stop a reading that is not submitted, with a reason; its work is kept."""
    return _move(reading, ReadingAction.HOLD, actor=actor, reason=reason, what="reading.held")


@transaction.atomic
def release(*, reading: Reading, actor: User, reason: str = "") -> Reading:
    """Let a held reading go on."""
    return _move(
        reading, ReadingAction.RELEASE, actor=actor, reason=reason, what="reading.released"
    )


@transaction.atomic
def withdraw(*, reading: Reading, actor: User, reason: str) -> Reading:
    """Take a reading that is not submitted from its reader for good; its slot is free again."""
    return _move(
        reading, ReadingAction.WITHDRAW, actor=actor, reason=reason, what="reading.withdrawn"
    )


def _move(
    reading: Reading, action: ReadingAction, *, actor: User, reason: str, what: str
) -> Reading:
    case = lock_case(reading.case_id)
    reading = lock_reading(reading.pk)
    require_role(actor, case, Role.COORDINATOR)
    step(reading, action)
    reading.lease = reading.lease_client = None
    reading.save(update_fields=["state", "lease", "lease_client"])
    refresh_stage(case)
    revoke_grants()
    record(
        what,
        reading,
        actor=actor,
        chain=case.chain,
        reason=reason,
        news=[*worklist_changed([reading]), case_changed(case)],
        slot=reading.slot,
    )
    return reading
