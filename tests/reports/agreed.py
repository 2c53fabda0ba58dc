"""A published consensus of the small case, made row by row: what the exports are tested on."""

from __future__ import annotations

import datetime
import uuid

import numpy as np
from django.utils import timezone

from backend.imaging.masks import Manifest, nonempty_slices
from backend.imaging.nodes import measure_all
from backend.reading import maskstore, services
from backend.reading.models import (
    Consensus,
    ConsensusNode,
    Discrepancy,
    Mask,
    MaskSlice,
    Reading,
    Step,
)
from backend.reading.models.labels import ConsensusSignature, Evidence, ReferenceLabel
from tests.reports.room import Room, _read_and_sign

SIDES = {1: ("R", "IIA"), 2: ("L", "III"), 4: ("R", ""), 5: ("L", "IV"), 6: ("", "VB")}


def second_reading(room: Room) -> None:
    """The second reader does the same as the first, with a node of their own for the sixth."""
    second = Reading.objects.get(case=room.case, slot="R2")
    _read_and_sign(second, {**room.nodes, 6: str(uuid.UUID(int=2006))}, with_ai=True)


def draft(room: Room) -> Consensus:
    """Both readings compared; nothing settled yet."""
    second_reading(room)
    services.compare_readings(case=room.case)
    return Consensus.objects.get(case=room.case)


def agree_on(discrepancy: Discrepancy) -> None:
    """The first reader proposes X, the second agrees."""
    comparison = discrepancy.consensus.comparison
    for position, (action, state) in enumerate((("propose", "proposed"), ("agree", "resolved")), 1):
        step = Step.objects.create(
            id=uuid.uuid4(),
            discrepancy=discrepancy,
            position=position,
            actor=(comparison.first if position == 1 else comparison.second).reader,
            role="reader",
            action=action,
            resolution="X",
            rationale="Its edge is the better one." if position == 1 else "",
            proposal=discrepancy.proposal,
            body_hash="0" * 64,
        )
        discrepancy.state, discrepancy.version = state, position
        discrepancy.proposal = step if position == 1 else None
        if position == 2:
            discrepancy.resolution, discrepancy.decision = "X", step
            discrepancy.rationale, discrepancy.decided_at = "Agreed.", timezone.now()
        discrepancy.save()


def settle(consensus: Consensus) -> Consensus:
    """The first reader's shapes, numbered as they are, as the agreed nodes."""
    for discrepancy in consensus.discrepancies.filter(state="open"):
        agree_on(discrepancy)
    case, first = consensus.case, consensus.comparison.first
    assert first.effective is not None
    volume = maskstore.volume(first.effective)
    labels = {n: node for n, node in first.effective.manifest.labels.items() if (volume == n).any()}
    blobs = maskstore.put_slices({index: volume[index] for index in nonempty_slices(volume)})
    manifest = Manifest(case.geometry_hash, blobs, labels)
    mask = Mask.objects.create(
        case=case,
        kind="consensus",
        author_kind="consensus",
        hash=manifest.hash,
        manifest_json=maskstore.manifest_json(manifest),
    )
    MaskSlice.objects.bulk_create(maskstore.own_slices(mask, blobs))
    clusters = {n["label"]: c for c in consensus.comparison.clusters.all() for n in c.first_nodes}
    for number, measures in measure_all(volume, case.grid).items():
        side, level = SIDES[number]
        ConsensusNode.objects.create(
            consensus=consensus,
            node_id=labels[number],
            number=number,
            cluster=clusters[number],
            measures=measures.to_json(),
            origin="identical",
            side=side,
            level=level,
            impressions={"x": None, "y": None},
        )
    consensus.mask, consensus.settled_at, consensus.state = mask, timezone.now(), "labelling"
    consensus.save()
    return consensus


def label(room: Room, consensus: Consensus) -> None:
    """Node 1 is metastatic by histology and PET, 2 by its necrosis alone; the others are not."""
    nodes = {node.number: node for node in consensus.nodes.all()}
    histology, pet, necrosis = (
        Evidence.objects.create(
            case=room.case,
            kind=kind,
            result=result,
            date=None if kind == "NECR" else datetime.date(2026, 3, 10),
            source="=report of the ward",
            scope="node",
            node=nodes[number],
            entered_by=room.users["abstractor"],
        )
        for kind, result, number in (
            ("HIST", "positive", 1),
            ("PET", "positive", 1),
            ("NECR", "present", 2),
        )
    )
    rests = {1: [histology, pet], 2: [necrosis]}
    for number, node in nodes.items():
        found = rests.get(number, [])
        value = "metastatic" if found else "not_assessable" if number == 4 else "non_metastatic"
        ReferenceLabel.objects.create(
            node=node,
            position=1,
            kind="set",
            value=value,
            reason="@streaks, from teeth" if number == 4 else "",
            rationale="Seen in both.",
            evidence=[str(one.pk) for one in found],
            rests_on_necrosis_alone=found == [necrosis],
            by=room.users["reader1"],
            role="reader",
        )


def publish(room: Room, consensus: Consensus) -> Consensus:
    """Complete, signed by both, published."""
    for state in ("ready", "signing"):
        consensus.state = state
        consensus.save()
    for name in ("reader1", "reader2"):
        ConsensusSignature.objects.create(
            consensus=consensus,
            user=room.users[name],
            role="reader",
            printed_name=room.users[name].shown_name,
            at=timezone.now(),
            meaning="consensus",
            record={"version": 1},
            record_hash="e" * 64,
        )
    consensus.state, consensus.published_at = "published", timezone.now()
    consensus.record_hash = "e" * 64
    consensus.save()
    return consensus


def published(room: Room) -> Consensus:
    """All of it."""
    consensus = settle(draft(room))
    label(room, consensus)
    return publish(room, consensus)


def agreed_volume(consensus: Consensus) -> np.ndarray:  # type: ignore[type-arg]
    """The label map that was agreed on."""
    assert consensus.mask is not None
    return maskstore.volume(consensus.mask)
