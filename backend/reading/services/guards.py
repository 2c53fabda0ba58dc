"""How every service begins: lock, then guard."""

from __future__ import annotations

from uuid import UUID

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.errors import NotAllowed, WrongState
from backend.reading.models import Case, Membership, Reading
from backend.reading.workflow import (
    ConsensusState,
    Parts,
    ReadingAction,
    ReadingState,
    StepRefused,
    case_stage,
    next_state,
)

# Read where they are needed and not in memory (`models.cases.grids`, `models.masks.manifests`).
_LARGE = ("case__grid_json", "base__manifest_json", "head__manifest_json")


def lock_case(case: UUID) -> Case:
    """The case, locked until the transaction ends. Locked before any of its readings."""
    return Case.objects.select_for_update(of=("self",)).select_related("protocol").get(pk=case)


def lock_reading(reading: UUID) -> Reading:
    """The reading, locked until the transaction ends, with its case and masks.

    First locked, then read: a statement that had to wait for the lock cannot join the row it then
    finds to a head that was made meanwhile.
    """
    locked = Reading.objects.select_for_update().only("pk").get(pk=reading)
    joined = Reading.objects.select_related("case__protocol", "reader", "base", "head")
    return joined.defer(*_LARGE).get(pk=locked.pk)


def step(reading: Reading, action: ReadingAction) -> None:
    """Move the reading along its table (not saved); raises `WrongState`, naming what can be."""
    try:
        reading.state = next_state(ReadingState(reading.state), action).value
    except StepRefused as refused:
        raise WrongState(
            "WRONG_STATE",
            str(refused),
            "Choose one of what is possible now.",
            possible=refused.possible,
        ) from None


def require_role(user: User, case: Case, *roles: Role) -> None:
    """Let pass only who holds one of `roles` in the case's project, or an administrator."""
    if user.is_superuser and Role.COORDINATOR in roles:
        return
    held = Membership.objects.filter(
        project=case.project_id, user=user, role__in=[role.value for role in roles]
    )
    if not held.exists():
        names = " or ".join(role.value for role in roles)
        raise NotAllowed(
            "ROLE_NEEDED", f"Only a {names} may do that.", f"Ask a {names} of this project."
        )


def require_read(case: Case) -> None:
    """Let pass a case that is read, not one that gave way to another."""
    if case.superseded_by is not None:
        raise WrongState(
            "CASE_WITHDRAWN",
            f"{case.label} is withdrawn: {case.superseded_by.label} is read instead.",
            f"Do it in {case.superseded_by.label}.",
        )


def refresh_stage(case: Case) -> None:
    """Write the cache of the case's stage from its parts."""
    stage = stage_of(case)
    if case.stage != stage:
        case.stage = stage
        case.save(update_fields=["stage"])


def stage_of(case: Case) -> str:
    """The stage of a case, derived from its readings and its consensus now."""
    readings = [(r.slot, ReadingState(r.state)) for r in Reading.objects.filter(case=case)]
    published = case.consensuses.filter(state=ConsensusState.PUBLISHED).exists()
    superseded = case.superseded_by_id is not None
    return case_stage(Parts(case.protocol.slots, readings, published, superseded)).value
