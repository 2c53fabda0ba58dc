"""Which model pre-segments a protocol's new cases: its own choice, else everyone's default.

A protocol's definition is frozen once used; one that says `default` leaves the model to a setting,
and the setting is an event. A case that is there keeps what it has: a choice starts no run.
"""

from __future__ import annotations

from django.db import transaction

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.audit.services import record
from backend.errors import NotAllowed, WrongState, reason_of
from backend.jobs import selectors as jobs
from backend.jobs.model_acts import require_fit
from backend.jobs.models import ModelVersion
from backend.jobs.registering import why_unfit
from backend.reading.models import Membership, Protocol, ProtocolModel

NO_MODEL = "No model is installed that could propose nodes. The case can be read without one."
READABLE = "The case can be read without it."


def chosen_model(protocol: Protocol) -> ModelVersion | None:
    """The model that was chosen for this protocol version; None where none was."""
    last = ProtocolModel.objects.select_related("model").filter(protocol=protocol).first()
    return last.model if last else None


def model_for(protocol: Protocol) -> tuple[ModelVersion | None, str]:
    """The model of a protocol's new cases; None with the sentence that says why there is none.

    No other model takes the place of a chosen one that cannot run.
    """
    chosen = chosen_model(protocol)
    if chosen is None:
        found = jobs.default_model()
        return found, "" if found else NO_MODEL
    if chosen.retired is not None:
        return None, f"{chosen}, the model of {protocol}, is retired. {READABLE}"
    if refusal := why_unfit(chosen):
        return None, f"{refusal} {READABLE}"
    return chosen, ""


def may_choose_model(user: User) -> bool:
    """Whether the user says which model a protocol's new cases get.

    An administrator, and who coordinates the project that new cases are opened in.
    """
    if user.is_superuser and user.is_active:
        return True
    return Membership.objects.filter(
        user=user, role=Role.COORDINATOR.value, project__default=True
    ).exists()


@transaction.atomic
def choose_model(
    *, protocol: Protocol, model: ModelVersion, reason: str, actor: User
) -> ProtocolModel:
    """From now on new cases of this protocol version are pre-segmented by `model`.

    Raises:
        NotAllowed: for who may not.
        WrongState: the protocol is not in use or names its model, or the model takes no run.
    """
    if not may_choose_model(actor):
        raise NotAllowed(
            "ROLE_NEEDED",
            "Only a coordinator of the project that new cases are opened in may do that.",
            "Ask one of its coordinators, or an administrator.",
        )
    why = reason_of(reason, "Making a model a protocol's default needs a reason.")
    protocol = Protocol.objects.select_for_update().get(pk=protocol.pk)
    model = ModelVersion.objects.select_for_update().get(pk=model.pk)
    if not protocol.active:
        raise WrongState(
            "PROTOCOL_NOT_IN_USE",
            f"{protocol} opens no new cases.",
            "Choose a protocol that is in use.",
        )
    if not protocol.leaves_model_open:
        raise WrongState(
            "MODEL_FROZEN",
            f"{protocol} names its model, and what a protocol names is frozen with it.",
            "Make a new version of the protocol.",
        )
    require_fit(model)
    before = chosen_model(protocol)
    chosen = ProtocolModel.objects.create(
        protocol=protocol, model=model, chosen_by=actor, reason=why
    )
    record(
        "protocol.model_chosen",
        protocol,
        actor=actor,
        reason=why,
        code=protocol.code,
        version=protocol.version,
        model=str(model.pk),
        name=str(model),
        sha256=model.sha256,
        before=str(before.pk) if before else None,
    )
    return chosen


def carry_over(older: Protocol, newer: Protocol) -> None:
    """A new version of a protocol goes on with the model chosen for the older one."""
    model = chosen_model(older)
    if model is None or not newer.leaves_model_open or chosen_model(newer) is not None:
        return
    why = f"Carried over from version {older.version}."
    ProtocolModel.objects.create(protocol=newer, model=model, reason=why)
    record(
        "protocol.model_chosen",
        newer,
        actor=None,
        reason=why,
        code=newer.code,
        version=newer.version,
        model=str(model.pk),
        name=str(model),
        sha256=model.sha256,
        before=None,
    )
