"""Side and level: the side follows from the images until a reader says it; both can be undone."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import ProgrammingError, transaction

from backend.errors import BadInput
from backend.imaging.midline import Midline
from backend.reading import services
from backend.reading.models import Case, NodeState, Protocol
from backend.reading.presentation import shows_scores
from backend.reading.signatures import signature_faults
from tests.reading.site import PASSWORD, Site, Twin, build_site

# The second AI node lies left of it, the third (LPS x 14–19) beyond it.
MIDLINE = Midline(x_mm=9.5, spread_mm=1.0, slices=20)


@pytest.fixture
def sided(site: Site) -> Site:
    """A case whose body shows its midline, and whose AI proposed three nodes."""
    Case.objects.filter(pk=site.case.pk).update(midline=MIDLINE.to_json())
    site.presegment()
    return site


@pytest.fixture
def reader(sided: Site) -> Twin:
    """The first reader at work."""
    return Twin(sided)


def states(site: Site) -> dict[str, NodeState]:
    return {str(s.node_id): s for s in site.reading().node_states.all()}


def place(site: Site, node: str) -> tuple[str, str, bool]:
    state = states(site)[node]
    return state.side, state.level, state.side_said


def test_a_proposed_node_has_the_side_its_centroid_lies_on(sided: Site) -> None:
    assert [state.side for state in states(sided).values()] == ["R", "R", "L"]
    assert {state.level for state in states(sided).values()} == {""}


def test_without_a_midline_no_side_is_guessed(ready: Site) -> None:
    assert ready.case.midline is None
    assert {state.side for state in states(ready).values()} == {""}


def test_an_added_node_gets_its_side_and_one_near_the_midline_none(
    sided: Site, reader: Twin
) -> None:
    left, middle = str(uuid.uuid4()), str(uuid.uuid4())
    reader.send(reader.paint(left, 9, (2, 18, 6, 22)))
    answer = reader.send(reader.paint(middle, 10, (2, 8, 6, 12)))
    assert states(sided)[left].side == "L"
    assert states(sided)[middle].side == ""
    assert answer[0]["nodes"][0]["side"] is None


def test_what_a_reader_says_stands_through_later_strokes_and_comes_back_by_undo(
    sided: Site, reader: Twin
) -> None:
    node = sided.nodes[2]
    said = reader.make("level", node=node, side="R", level="IIA")
    (answer,) = reader.send(said)
    assert (answer["nodes"][0]["side"], answer["nodes"][0]["level"]) == ("R", "IIA")
    reader.send(reader.paint(node, 6, (12, 14, 15, 18)))
    assert place(sided, node) == ("R", "IIA", True)
    inverse = {"kind": "level", "node": node, "side": "L", "level": None}
    undo = reader.make("undo", undoes=said["id"], inverse=inverse)
    reader.send(undo)
    assert place(sided, node) == ("L", "", False)
    again = {"kind": "level", "node": node, "side": "R", "level": "IIA"}
    reader.send(reader.make("undo", undoes=undo["id"], inverse=again))
    assert place(sided, node) == ("R", "IIA", True)


def test_an_undo_of_a_level_brings_back_nothing_else(sided: Site, reader: Twin) -> None:
    node = sided.nodes[0]
    said = reader.make("level", node=node, side="R", level="III")
    reader.send(said)
    for inverse in (
        {"kind": "level", "node": node, "side": "L", "level": None},
        {"kind": "level", "node": sided.nodes[1], "side": "R", "level": None},
        {"kind": "doubt", "node": node, "value": False},
    ):
        body = {"kind": "undo", "undoes": said["id"], "inverse": inverse}
        with pytest.raises(BadInput) as refused:
            reader.send({"id": str(uuid.uuid4()), "base": reader.head, **body})
        assert refused.value.code == "NOT_THE_INVERSE"


@pytest.mark.parametrize(
    "body", [{"side": "M", "level": None}, {"side": None, "level": "VIII"}, {"side": 1}]
)
def test_only_sides_and_levels_that_exist_are_taken(
    sided: Site, reader: Twin, body: dict[str, Any]
) -> None:
    with pytest.raises(BadInput):
        reader.send(reader.make("level", node=sided.nodes[0], **body))


def test_side_and_level_are_part_of_what_is_signed(sided: Site, reader: Twin) -> None:
    for node in sided.nodes:
        reader.send(reader.make("decision", node=node, decision="accepted"))
    reader.send(reader.make("level", node=sided.nodes[0], side="R", level="IB"))
    user = sided.users["reader1"]
    for plane, last in (("axial", 11), ("coronal", 23), ("sagittal", 23)):
        services.note_seen(
            reading=sided.reading(),
            user=user,
            plane=plane,
            ranges=[[0, last]],
            active_seconds=1,
            resume=None,
        )
    signature = services.submit(
        reading=sided.reading(), user=user, lease=reader.lease, head=reader.head, password=PASSWORD
    )
    first = signature.record["nodes"][0]
    assert (first["side"], first["level"]) == ("R", "IB")
    assert signature_faults(sided.case.chain) == []
    with pytest.raises(ProgrammingError, match="final"), transaction.atomic():
        NodeState.objects.filter(node_id=sided.nodes[0]).update(level="II")


def test_the_models_score_is_shown_only_where_the_protocol_shows_it(sided: Site) -> None:
    sided.case.nodes.update(score=0.87)
    address = f"/api/readings/{sided.reading().pk}"
    assert "0.87" not in sided.client("reader1").get(address).content.decode()
    protocol = Protocol.objects.get(pk=sided.case.protocol_id)
    Protocol.objects.create(
        code=protocol.code,
        version=protocol.version + 1,
        name=protocol.name,
        design=protocol.design,
        active=True,
        definition=protocol.definition | {"show_scores": True},
    )
    shown = build_site(2)
    shown.presegment()
    shown.case.nodes.update(score=0.87)
    reading = shown.reading()
    client = shown.client("reader1")
    detail = client.get(f"/api/readings/{reading.pk}").json()
    assert [node["score"] for node in detail["nodes"]] == [0.87] * 3
    reader = Twin(shown)
    (answer,) = reader.send(reader.make("doubt", node=shown.nodes[0], value=True))
    assert answer["nodes"][0]["score"] == 0.87
    reading.arm = "no_ai"
    assert not shows_scores(reading)
