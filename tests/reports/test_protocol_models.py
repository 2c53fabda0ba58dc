"""Which model a protocol's new cases get: chosen, recorded, never replaced in silence."""

from __future__ import annotations

from typing import Any

import pytest

from backend.accounts.models import User
from backend.accounts.roles import Role
from backend.audit.models import Event
from backend.errors import NotAllowed, WrongState
from backend.jobs import model_acts
from backend.jobs.models import ModelVersion, Run
from backend.reading import services
from backend.reading.models import Case, Protocol, ProtocolModel
from tests.reading.site import make_series
from tests.reports.room import Room
from tests.reports.trials import first_model, other

__all__ = ["other"]


def test_a_protocols_model_is_chosen_for_new_cases_alone(room: Room, other: ModelVersion) -> None:
    protocol = room.case.protocol
    before = Case.objects.get(pk=room.case.pk).ai_run_id

    services.choose_model(
        protocol=protocol, model=other, reason="finds more", actor=room.users["coordinator"]
    )

    assert Case.objects.get(pk=room.case.pk).ai_run_id == before
    assert services.model_for(protocol) == (other, "")
    case = services.open_case(series=make_series(61))
    assert case is not None
    assert Run.objects.get(pk=case.ai_run_id).model == other
    event = Event.objects.get(action="protocol.model_chosen")
    assert (event.reason, event.facts["model"]) == ("finds more", str(other.pk))
    with pytest.raises(WrongState, match=f"is the default of {protocol}"):
        model_acts.retire(model=other.pk, reason="old", actor=room.users["admin"])


def test_a_chosen_model_that_is_damaged_is_not_replaced_by_another(
    room: Room, other: ModelVersion
) -> None:
    services.choose_model(
        protocol=room.case.protocol, model=other, reason="better", actor=room.users["admin"]
    )
    ModelVersion.objects.filter(pk=other.pk).update(verified=None, fault="weights are gone.")

    case = services.open_case(series=make_series(62))

    assert case is not None
    assert case.ai_run_id is None
    assert "weights are gone. The case can be read without it." in case.ai_message


def test_what_a_protocol_names_is_frozen_and_only_some_may_choose(
    room: Room, other: ModelVersion
) -> None:
    protocol = room.case.protocol
    said: dict[str, Any] = {"model": other, "reason": "mine"}
    for name in ("reader1", "scientist", "auditor", "abstractor"):
        with pytest.raises(NotAllowed):
            services.choose_model(protocol=protocol, actor=room.users[name], **said)
    stranger = User.objects.create_user("coordinator-elsewhere")
    elsewhere = services.create_project(code="ELSE", name="Elsewhere")
    services.grant_role(project=elsewhere, user=stranger, role=Role.COORDINATOR, actor=None)
    with pytest.raises(NotAllowed):
        services.choose_model(protocol=protocol, actor=stranger, **said)
    fixed = Protocol.objects.create(
        code="FIXED",
        name="Fixed",
        design=protocol.design,
        definition=protocol.definition | {"presegmentation": {"model": str(first_model().pk)}},
    )
    with pytest.raises(WrongState, match="frozen with it"):
        services.choose_model(protocol=fixed, actor=room.users["admin"], **said)
    form = {"protocol": str(protocol.pk), "reason": "mine"}
    assert room.client("scientist").post(f"/models/{other.pk}/choose", form).status_code == 403
    assert not ProtocolModel.objects.exists()
