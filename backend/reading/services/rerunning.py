"""A coordinator has the AI look at a case again: with a newer model, or after a run that failed."""

from __future__ import annotations

from django.db import transaction

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.errors import WrongState
from backend.jobs.models import UNDERWAY_STATES, Run
from backend.jobs.protocol import RunKind
from backend.reading.models import Case
from backend.reading.services.guards import lock_case, require_read, require_role
from backend.reading.services.opening import presegment
from backend.reading.services.presegmentation import tell_state
from backend.reading.services.protocol_models import model_for
from backend.reading.workflow import SIGNED


@transaction.atomic
def presegment_again(*, case: Case, actor: User) -> Case:
    """Queue another run of the model in use now; who reads keeps all they have.

    Raises:
        WrongState: a run is under way, no model is installed, or every reading is signed.
    """
    case = lock_case(case.pk)
    require_role(actor, case, Role.COORDINATOR)
    require_read(case)
    refusal = why_not_again(case)
    if refusal:
        raise WrongState("NO_RUN_AGAIN", refusal, "Look at the case's AI panel.", possible=[])
    presegment(case=case, actor=actor)
    tell_state(case)
    return case


def why_not_again(case: Case) -> str:
    """Why the AI is not asked again now, as a sentence; "" where it may be."""
    runs = Run.objects.filter(
        kind=RunKind.PRESEGMENT, subject_type=Case._meta.label_lower, subject_id=case.pk
    )
    if runs.filter(state__in=UNDERWAY_STATES).exists():
        return "A run is under way already."
    model, why_none = model_for(case.protocol)
    if model is None:
        return why_none
    states = set(case.readings.values_list("state", flat=True))
    if states and states <= {state.value for state in SIGNED}:
        return "Every reading is signed: a new proposal would reach nobody."
    return ""
