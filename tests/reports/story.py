"""The small case from its images to a published consensus, every act through its own verb."""

from __future__ import annotations

import datetime
import uuid
from itertools import pairwise
from typing import Any

import numpy as np

from backend.reading import services
from backend.reading.consensus_record import hash_of, record_of_consensus
from backend.reading.models import Consensus, Discrepancy, Reading
from backend.reading.services.evidence import Entry
from tests.reports.room import PASSWORD, SHAPE, Room, Volume, _strokes, ball, offered

OTHERS = str(uuid.UUID(int=2006))
"""The second reader's own node where the first has node 6."""


class Reader:
    """Someone at work on a reading, change by change."""

    def __init__(self, room: Room, name: str) -> None:
        self.user = room.users[name]
        self.reading = Reading.objects.get(case=room.case, reader=self.user)
        self.lease = services.take_lease(
            reading=self.reading, user=self.user, client=uuid.uuid4(), take_over=False
        )

    def change(self, kind: str, **body: Any) -> str:
        """One change on the head; its UUID."""
        head = Reading.objects.get(pk=self.reading.pk).head.hash
        name = str(uuid.uuid4())
        made = {"id": name, "base": head, "kind": kind, **body}
        services.apply_changes(
            reading=self.reading, user=self.user, lease=self.lease, changes=[made]
        )
        return name

    def paint(self, node: str, before: Any, after: Any) -> str:
        """From one yes/no mask of a node to another."""
        return self.change("voxels", **_strokes(self.reading, node, before, after))

    def unpaint(self, change: str, node: str, before: Any, after: Any) -> None:
        """Take a stroke back: `before` is what it made, `after` what was."""
        inverse = {"kind": "voxels", **_strokes(self.reading, node, before, after)}
        self.change("undo", undoes=change, inverse=inverse)

    def sign(self) -> None:
        """Look at everything and submit."""
        for plane in ("axial", "coronal", "sagittal"):
            services.note_seen(
                reading=self.reading,
                user=self.user,
                plane=plane,
                ranges=[[0, SHAPE[0] - 1]],
                active_seconds=20.0,
                resume=None,
            )
        reading = Reading.objects.get(pk=self.reading.pk)
        services.submit(
            reading=reading,
            user=self.user,
            lease=self.lease,
            head=reading.head.hash,
            password=PASSWORD,
        )


def second_reads(room: Room) -> Volume:
    """Three strokes on 2, a fourth taken back; 3 is kept; a node of their own where 6 is."""
    reader, nodes = Reader(room, "reader2"), room.nodes
    volume = offered()
    for number in (1, 3, 4):
        reader.change("decision", node=nodes[number], decision="accepted")
    shapes = [volume == 2, *(ball(10, 15 + step, 45, 5.2 + step / 2) for step in (1, 2, 3))]
    for before, after in pairwise(shapes):
        reader.paint(nodes[2], before, after)
    slip = shapes[-1] | ball(10, 24, 52, 2)
    reader.unpaint(reader.paint(nodes[2], shapes[-1], slip), nodes[2], slip, shapes[-1])
    reader.paint(nodes[5], volume == 5, ball(14, 40, 48, 7))
    reader.paint(OTHERS, volume == 99, ball(4, 45, 33, 5.5))
    reader.change("impression", node=nodes[2], value="non_metastatic", confidence=60)
    reader.sign()
    volume[volume == 2] = 0
    volume[shapes[-1]] = 2
    return volume


def compared(room: Room) -> Consensus:
    """Both readings submitted and compared."""
    second_reads(room)
    services.compare_readings(case=room.case)
    return Consensus.objects.get(case=room.case)


def act(verb: str, found: Discrepancy, user: Any, **body: Any) -> Any:
    """One verb on a discrepancy as it stands."""
    found.refresh_from_db()
    body = {"client": uuid.uuid4(), "seen": found.version, **body}
    return getattr(services, verb)(discrepancy=found, user=user, **body)


def agree_on(room: Room, found: Discrepancy, resolution: str, why: str) -> None:
    """The second reader proposes, the first agrees."""
    proposal = act(
        "propose", found, room.users["reader2"], resolution=resolution, rationale=why, shape=None
    )
    act("agree", found, room.users["reader1"], step=proposal.pk, rationale="")


def settle(room: Room, consensus: Consensus) -> None:
    """Node 3 is absent, what else is open a union; the largest is left to the adjudicator."""
    open_ones = list(consensus.discrepancies.filter(state="open").order_by("cluster__number"))
    for found in open_ones:
        names = {n["node"] for n in found.cluster.first_nodes + found.cluster.second_nodes}
        if room.nodes[3] in names:
            agree_on(room, found, "absent", "A vessel: it goes on through all slices.")
        elif OTHERS in names:
            act("defer", found, room.users["reader1"], rationale="We cannot agree on its edge.")
            act(
                "resolve",
                found,
                room.users["adjudicator"],
                resolution="redrawn",
                rationale="Drawn along the fat plane.",
                shape=shape(consensus, ball(4, 45, 32.5, 4.6)),
            )
        else:
            agree_on(room, found, "union", "Both saw a part of it.")


def shape(consensus: Consensus, voxels: Any) -> dict[str, Any]:
    """A redrawn shape as the viewer sends it."""
    uids = consensus.case.grid.sop_uids
    slices = [
        {
            "sop": uids[index],
            "box": [0, 0, SHAPE[1], SHAPE[2]],
            "runs": [[int(i), 1, 1] for i in np.flatnonzero(voxels[index])],
        }
        for index in np.flatnonzero(voxels.any(axis=(1, 2)))
    ]
    return {"slices": slices}


def label(room: Room, consensus: Consensus) -> None:
    """The first by histology, the others not; each reader labels some."""
    consensus.refresh_from_db()
    numbers = sorted(consensus.nodes.values_list("number", flat=True))
    entry = Entry(
        "HIST",
        "positive",
        "Pathology of the ward",
        "node",
        date=datetime.date(2026, 3, 10),
        node=numbers[0],
        version=consensus.version,
        details={"procedure": "excision", "correspondence": "same level and size"},
    )
    evidence = services.enter_evidence(
        case=room.case, user=room.users["abstractor"], client=uuid.uuid4(), entry=entry
    )
    for place, number in enumerate(numbers):
        services.set_label(
            consensus=consensus,
            number=number,
            user=room.users["reader1" if place % 2 else "reader2"],
            client=uuid.uuid4(),
            seen=0,
            value="non_metastatic" if place else "metastatic",
            rationale="Seen in pathology." if not place else "",
            evidence=[] if place else [evidence.pk],
        )


def sign(room: Room, consensus: Consensus) -> Consensus:
    """Both sign; the last signature publishes; with an adjudicator, three."""
    who = ["reader1", "reader2"]
    if consensus.discrepancies.filter(steps__role="adjudicator").exists():
        who.append("adjudicator")
    for name in who:
        consensus = Consensus.objects.get(pk=consensus.pk)
        services.sign_consensus(
            consensus=consensus,
            user=room.users[name],
            client=uuid.uuid4(),
            record_hash=hash_of(record_of_consensus(consensus)),
            password=PASSWORD,
        )
    return Consensus.objects.get(pk=consensus.pk)


def published(room: Room) -> Consensus:
    """All of it."""
    consensus = compared(room)
    settle(room, consensus)
    label(room, consensus)
    return sign(room, consensus)
