"""Who is told of a reader's untouched share, and when."""

from __future__ import annotations

from backend.accounts.roles import Role
from backend.reading.models import Membership
from tests.reading.site import Site, Twin


def told(site: Site, name: str) -> int:
    """How many readings' accounts the case page shows someone."""
    answer = site.client(name).get(f"/cases/{site.case.pk}/")
    assert answer.status_code == 200, answer.content
    return int(answer.content.decode().count("data-hands"))


def test_a_reader_s_account_is_shown_once_signed_and_to_another_reader_once_both_are(
    ready: Site, twin: Twin
) -> None:
    Membership.objects.create(
        project=ready.case.project, user=ready.users["reader2"], role=Role.COORDINATOR.value
    )
    twin.send(twin.make("decision", node=ready.nodes[0], decision="accepted"))
    twin.send(twin.paint(ready.nodes[1], 5, (12, 9, 14, 10)))
    twin.send(twin.make("decision", node=ready.nodes[2], decision="rejected", reason="vessel"))
    assert told(ready, "coordinator") == 0
    twin.look_through()
    twin.submit()
    assert told(ready, "coordinator") == 1
    assert told(ready, "reader2") == 0
    page = ready.client("coordinator").get(f"/cases/{ready.case.pk}/").content.decode()
    assert "1 of 2 untouched" in page
    other = Twin(ready, "reader2")
    other.decide_all()
    other.look_through()
    other.submit()
    assert told(ready, "reader2") == told(ready, "coordinator") == 2
    assert ready.client("reader1").get(f"/cases/{ready.case.pk}/").status_code == 404
