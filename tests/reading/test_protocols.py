"""The built-in protocols: a new version takes over, and one in use stays as it was."""

from __future__ import annotations

from backend.audit.models import Event
from backend.reading import services
from backend.reading.models import Protocol
from backend.reading.protocols import BUILT_IN
from tests.reading.site import build_site, default_model, make_series


def test_a_new_version_takes_new_cases_and_leaves_the_old_ones_alone(db: None) -> None:
    default_model()
    new = Protocol.objects.get(code="LN-CT-BLIND")
    definition = {k: v for k, v in new.definition.items() if k != "comparison"}
    old = Protocol.objects.create(
        code=new.code, version=1, name=new.name, design=new.design, definition=definition
    )
    Protocol.objects.filter(pk=new.pk).delete()
    site = build_site()
    before, after = Protocol.objects.filter(code=new.code).order_by("version")
    assert (before.pk, before.active, before.definition) == (old.pk, False, definition)
    assert (after.version, after.active) == (5, True)
    assert site.case.protocol == after
    event = Event.objects.get(action="protocol.superseded")
    assert event.facts == {"code": "LN-CT-BLIND", "version": 1, "by": 5}
    services.install_protocols()
    assert Event.objects.filter(action="protocol.superseded").count() == 1


def test_a_case_of_an_older_version_keeps_it(db: None) -> None:
    default_model()
    old = Protocol.objects.get(code="LN-CT-BLIND")
    site = build_site()
    newer = Protocol.objects.create(
        code=old.code, version=99, name="later", design=old.design, definition=old.definition
    )
    following = services.open_case(series=make_series(2))
    assert following is not None
    assert following.protocol == newer
    site.case.refresh_from_db()
    assert site.case.protocol == old


def test_every_active_built_in_protocol_of_two_blind_readers_says_how_they_are_compared() -> None:
    for built_in in BUILT_IN:
        blind = built_in["design"] == "independent_blind"
        assert ("comparison" in built_in["definition"]) == blind
