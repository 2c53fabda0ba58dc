"""The small case read twice, settled, labelled, signed and published, all by the services."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import numpy as np

from backend.reading import services
from backend.reading.consensus_record import hash_of, record_of_consensus
from backend.reading.models import Case, Consensus, Discrepancy, Reading
from backend.reading.services.evidence import Entry
from tests.reports.room import PASSWORD, SHAPE, Room, _strokes, ball, offered

SECOND_SIXTH = str(uuid.UUID(int=2006))


def drawn_by_second() -> np.ndarray[Any, Any]:
    """1 as it was, 2 elsewhere, 3 kept, 4 rejected, 5 as by the first, 6 a little larger."""
    volume = offered()
    volume[volume == 2] = 0
    volume[ball(10, 14, 43, 6.5)] = 2
    volume[volume == 4] = 0
    volume[ball(14, 40, 48, 7)] = 5
    volume[ball(4, 45, 32, 4.3)] = 6
    return volume


def read_second(room: Room) -> Reading:
    """The second reading, differing from the first in every way, submitted."""
    reading = Reading.objects.get(case=room.case, slot="R2")
    user, nodes = reading.reader, room.nodes
    lease = services.take_lease(reading=reading, user=user, client=uuid.uuid4(), take_over=False)

    def change(kind: str, **body: Any) -> None:
        head = Reading.objects.get(pk=reading.pk).head.hash
        made = {"id": str(uuid.uuid4()), "base": head, "kind": kind, **body}
        services.apply_changes(reading=reading, user=user, lease=lease, changes=[made])

    drawn = drawn_by_second()
    change("decision", node=nodes[1], decision="accepted")
    change("decision", node=nodes[3], decision="accepted")
    change("decision", node=nodes[4], decision="rejected", reason="too_small")
    for number in (2, 5):
        change("voxels", **_strokes(reading, nodes[number], offered() == number, drawn == number))
    change("voxels", **_strokes(reading, SECOND_SIXTH, drawn == 99, drawn == 6))
    change("impression", node=nodes[1], value="non_metastatic", confidence=60)
    for plane in ("axial", "coronal", "sagittal"):
        ranges = [[0, SHAPE[0] - 1]]
        services.note_seen(
            reading=reading, user=user, plane=plane, ranges=ranges, active_seconds=9, resume=None
        )
    reading = Reading.objects.get(pk=reading.pk)
    head = reading.head.hash
    services.submit(reading=reading, user=user, lease=lease, head=head, password=PASSWORD)
    return Reading.objects.get(pk=reading.pk)


def compared(room: Room) -> Consensus:
    """Both readings compared, nothing settled by people yet."""
    read_second(room)
    made = services.compare_readings(case=Case.objects.get(pk=room.case.pk))
    assert made is not None
    assert made.state == "made", made.message
    return Consensus.objects.get(case=room.case, state="draft")


def fresh(discrepancy: Discrepancy) -> Discrepancy:
    return Discrepancy.objects.get(pk=discrepancy.pk)


def settle(room: Room, consensus: Consensus) -> Consensus:
    """One left to the adjudicator, the others proposed by one reader and agreed to by the other."""
    found = list(consensus.discrepancies.filter(state="open").order_by("cluster__number"))
    one, two = room.users["reader1"], room.users["reader2"]
    for place, discrepancy in enumerate(found):
        kinds = {trigger["kind"] for trigger in discrepancy.triggers}
        if place == 0:
            services.defer(
                discrepancy=discrepancy,
                user=two,
                client=uuid.uuid4(),
                seen=0,
                rationale="The border cannot be told from the vessel.",
            )
            services.resolve(
                discrepancy=fresh(discrepancy),
                user=room.users["adjudicator"],
                client=uuid.uuid4(),
                seen=1,
                resolution="union",
                rationale="Both saw a part of it.",
            )
            continue
        step = services.propose(
            discrepancy=discrepancy,
            user=one,
            client=uuid.uuid4(),
            seen=0,
            resolution="absent" if "presence" in kinds else "intersection",
            rationale="A vessel in cross-section." if "presence" in kinds else "What both drew.",
        )
        services.agree(
            discrepancy=fresh(discrepancy),
            user=two,
            client=uuid.uuid4(),
            seen=1,
            step=step.pk,
            rationale="Followed through: a vessel." if "presence" in kinds else "",
        )
    return Consensus.objects.get(pk=consensus.pk)


def label(room: Room, consensus: Consensus) -> None:
    """PET for one node, central necrosis alone for another, nothing for the others."""
    study = room.case.study_date
    assert study is not None
    numbers = list(consensus.nodes.order_by("number").values_list("number", flat=True))
    pet = services.enter_evidence(
        case=room.case,
        user=room.users["abstractor"],
        client=uuid.uuid4(),
        entry=Entry(
            kind="PET",
            result="positive",
            date=study + datetime.timedelta(days=12),
            known_at=None,
            source="PET/CT report",
            scope="node",
            node=numbers[0],
            version=consensus.version,
            details={"suv_max": 9.4, "tracer": "FDG"},
        ),
    )
    necrosis = services.enter_evidence(
        case=room.case,
        user=room.users["reader1"],
        client=uuid.uuid4(),
        entry=Entry(
            kind="NECR",
            result="present",
            date=None,
            known_at=None,
            source="this CT",
            scope="node",
            node=numbers[1],
            version=consensus.version,
            details={"landmark": "below the hyoid"},
        ),
    )
    said: dict[int, dict[str, Any]] = {
        numbers[0]: {"value": "metastatic", "evidence": [pet.pk], "rationale": "Hot and round."},
        numbers[1]: {"value": "metastatic", "evidence": [necrosis.pk]},
    }
    for number in numbers:
        services.set_label(
            consensus=consensus,
            number=number,
            user=room.users["reader2"],
            client=uuid.uuid4(),
            seen=0,
            **said.get(number, {"value": "non_metastatic"}),
        )


def sign(room: Room, consensus: Consensus, *people: str) -> Consensus:
    for name in people:
        found = Consensus.objects.get(pk=consensus.pk)
        services.sign_consensus(
            consensus=found,
            user=room.users[name],
            client=uuid.uuid4(),
            record_hash=hash_of(record_of_consensus(found)),
            password=PASSWORD,
        )
    return Consensus.objects.get(pk=consensus.pk)


def publish(room: Room) -> Consensus:
    """The whole way, with one signature that an objection voids."""
    consensus = settle(room, compared(room))
    assert consensus.state == "labelling", consensus.state
    label(room, consensus)
    sign(room, consensus, "reader1")
    services.object_to_consensus(
        consensus=Consensus.objects.get(pk=consensus.pk),
        user=room.users["reader2"],
        client=uuid.uuid4(),
        reason="Node 3 once more, please.",
    )
    number = consensus.nodes.order_by("number").values_list("number", flat=True)[2]
    services.set_label(
        consensus=consensus,
        number=number,
        user=room.users["reader1"],
        client=uuid.uuid4(),
        seen=1,
        value="indeterminate",
        rationale="Too small to tell.",
    )
    return sign(room, consensus, "reader1", "reader2", "adjudicator")
