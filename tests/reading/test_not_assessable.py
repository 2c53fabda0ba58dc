"""Parts of the images that cannot be read: marked with a reason, changed, taken back, signed."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from backend.audit.models import Event
from backend.errors import BadInput
from backend.reading.models import Change, NotAssessable
from tests.reading.site import SHAPE, Site, Twin

WHOLE = SHAPE[1] * SHAPE[2]


def slices(twin: Twin, *indices: int) -> list[dict[str, Any]]:
    """Whole slices."""
    return [
        {"sop": twin.sops[index], "box": [0, 0, *SHAPE[1:]], "runs": [[0, WHOLE, 1]]}
        for index in indices
    ]


def region(twin: Twin, name: str, reason: str, *indices: int) -> dict[str, Any]:
    return twin.make("region", region=name, reason=reason, slices=slices(twin, *indices))


def shown(site: Site, name: str = "reader1") -> list[dict[str, Any]]:
    found = site.client(name).get(f"/api/readings/{site.reading().pk}").json()
    return list(found["regions"])


def test_a_region_is_marked_changed_taken_back_and_undone(ready: Site, twin: Twin) -> None:
    name = str(uuid.uuid4())
    first = region(twin, name, "streaks", 3, 4)
    (answer,) = twin.send(first)
    assert (
        answer["regions"]
        == shown(ready)
        == [{"region": name, "reason": "streaks", "slices": slices(twin, 3, 4)}]
    )
    second = region(twin, name, "motion", 4)
    twin.send(second)
    assert ready.reading().head.hash == twin.head
    assert NotAssessable.objects.get().voxels == WHOLE
    before = {"kind": "region", "region": name, "reason": "streaks", "slices": slices(twin, 3, 4)}
    back = twin.make("undo", undoes=second["id"], inverse=before)
    twin.send(back)
    assert shown(ready)[0]["reason"] == "streaks"
    after = {"kind": "region", "region": name, "reason": "motion", "slices": slices(twin, 4)}
    twin.send(twin.make("undo", undoes=back["id"], inverse=after))
    assert shown(ready)[0]["reason"] == "motion"
    twin.send(region(twin, name, ""))
    assert shown(ready) == []
    told = Event.objects.filter(action="reading.changed.region")
    assert [event.facts["after"]["voxels"] for event in told] == [2 * WHOLE, WHOLE, 0]


def test_a_region_needs_a_reason_and_voxels_or_neither(ready: Site, twin: Twin) -> None:
    name = str(uuid.uuid4())
    for reason, shape in (
        ("", slices(twin, 3)),
        ("streaks", []),
        ("ugly", slices(twin, 3)),
        ("streaks", [{**slices(twin, 3)[0], "runs": [[0, 4, 0]]}]),
        ("streaks", [{**slices(twin, 3)[0], "sop": "1.2.3"}]),
    ):
        with pytest.raises(BadInput) as refused:
            twin.send(
                {
                    "id": str(uuid.uuid4()),
                    "base": twin.head,
                    "kind": "region",
                    "region": name,
                    "reason": reason,
                    "slices": shape,
                }
            )
        assert refused.value.code == "BAD_CHANGE"
    assert Change.objects.count() == 0


def test_an_undo_of_a_region_brings_back_that_region_alone(ready: Site, twin: Twin) -> None:
    name = str(uuid.uuid4())
    change = region(twin, name, "streaks", 3)
    twin.send(change)
    for inverse in (
        {"kind": "region", "region": name, "reason": "streaks", "slices": slices(twin, 3)},
        {"kind": "region", "region": str(uuid.uuid4()), "reason": "", "slices": []},
        {"kind": "doubt", "node": ready.nodes[0], "value": False},
    ):
        with pytest.raises(BadInput) as refused:
            twin.send(
                {
                    "id": str(uuid.uuid4()),
                    "base": twin.head,
                    "kind": "undo",
                    "undoes": change["id"],
                    "inverse": inverse,
                }
            )
        assert refused.value.code == "NOT_THE_INVERSE"


def test_the_other_reader_sees_none_of_it_before_the_end(ready: Site, twin: Twin) -> None:
    twin.send(region(twin, str(uuid.uuid4()), "streaks", 3))
    other = ready.client("reader2")
    assert other.get(f"/api/readings/{ready.reading().pk}").status_code == 404
    own = other.get(f"/api/readings/{ready.reading('reader2').pk}").json()
    assert own["regions"] == []


def test_a_signed_region_is_part_of_the_record_and_final(ready: Site, twin: Twin) -> None:
    name = str(uuid.uuid4())
    twin.send(region(twin, name, "cut_off", 0, 1))
    twin.decide_all()
    twin.look_through()
    signature = twin.submit()
    (kept,) = signature.record["not_assessable"]
    assert (kept["region"], kept["reason"], kept["voxels"]) == (name, "cut_off", 2 * WHOLE)
    row = NotAssessable.objects.get()
    row.reason = "motion"
    with pytest.raises(DatabaseError, match="final"), transaction.atomic():
        row.save()
