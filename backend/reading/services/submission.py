"""Submitting a reading: checked, signed, final."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from backend.accounts.models import User
from backend.accounts.services import reauthenticate
from backend.audit.services import record
from backend.errors import BadInput, WrongState
from backend.imaging.masks import Manifest, canonical_json
from backend.reading import registry
from backend.reading.checks import can_submit
from backend.reading.maskstore import put_slices, without
from backend.reading.models import Mask, NodeState, Reading, Signature
from backend.reading.presentation import checks_for
from backend.reading.services.announcing import case_changed, to_reading, worklist_changed
from backend.reading.services.changes import require_lease, require_open, require_reader
from backend.reading.services.comparing import request_comparison
from backend.reading.services.guards import lock_case, lock_reading, refresh_stage, step
from backend.reading.services.lineage import lineage_of
from backend.reading.services.masks import save_mask
from backend.reading.services.not_assessable import digest_of
from backend.reading.vocabulary import AuthorKind, Decision, MaskKind
from backend.reading.workflow import ReadingAction
from backend.store import store

AUTHORSHIP = "authorship"
MEANINGS = (AUTHORSHIP,)


def submit(
    *,
    reading: Reading,
    user: User,
    lease: UUID | None,
    head: str,
    password: str,
    meaning: str = AUTHORSHIP,
) -> Signature:
    """Sign a reading and close it for good.

    Raises:
        NotAllowed: `WRONG_PASSWORD`; nothing was signed, the attempt is on record.
        WrongState: `READING_CLOSED`, `LEASE_LOST`, `HEAD_MOVED`, or `INCOMPLETE` with the checks.
    """
    require_reader(reading, user)
    require_open(reading)
    if meaning not in MEANINGS:
        raise BadInput(
            "BAD_MEANING", f"A signature means {' or '.join(MEANINGS)}.", "Name what it means."
        )
    reauthenticate(user=user, password=password, chain=reading.case.chain, reading=str(reading.pk))
    return _sign(reading=reading, user=user, lease=lease, head=head, meaning=meaning)


@transaction.atomic
def _sign(
    *, reading: Reading, user: User, lease: UUID | None, head: str, meaning: str
) -> Signature:
    case = lock_case(reading.case_id)
    reading = lock_reading(reading.pk)
    require_open(reading)
    require_lease(reading, lease)
    if reading.head.hash != head:
        raise WrongState(
            "HEAD_MOVED",
            "The reading has moved on from the version you are signing.",
            "Look at what changed, then sign.",
            possible=["reload"],
            head=reading.head.hash,
            since=[],
        )
    states = list(reading.node_states.select_related("node"))
    checks = checks_for(reading, states)
    if not can_submit(checks):
        missing = sum(not check.ok for check in checks)
        raise WrongState(
            "INCOMPLETE",
            f"{missing} thing{'s are' if missing > 1 else ' is'} still missing.",
            "Do what the checks name, then submit.",
            possible=["change"],
            checks=[check.to_json() for check in checks],
        )
    effective = _save_effective(reading, states)
    step(reading, ReadingAction.SUBMIT)
    reading.effective, reading.submitted_at = effective, timezone.now()
    reading.lease = reading.lease_client = None
    reading.save(update_fields=["state", "effective", "submitted_at", "lease", "lease_client"])
    signed = record_of(reading, effective, states)
    signature = Signature.objects.create(
        reading=reading,
        user=user,
        printed_name=user.shown_name,
        at=reading.submitted_at,
        meaning=meaning,
        record=signed,
        record_hash=store().put(canonical_json(signed)),
    )
    refresh_stage(case)
    request_comparison(case)
    for listener in registry.on_reading_submitted:
        listener(reading)
    news = [
        *worklist_changed([reading]),
        to_reading(reading, "reading.submitted", {"head": reading.head.hash}),
        case_changed(case),
    ]
    record(
        "reading.submitted",
        reading,
        actor=user,
        chain=case.chain,
        news=news,
        slot=reading.slot,
        head=reading.head.hash,
        effective=effective.hash,
        ai_mask=reading.ai_mask.hash if reading.ai_mask else None,
        record_hash=signature.record_hash,
        printed_name=signature.printed_name,
        meaning=meaning,
        changes=reading.changes_count,
        active_seconds=round(reading.active_seconds, 1),
        seen=reading.seen,
    )
    return signature


def _save_effective(reading: Reading, states: Iterable[NodeState]) -> Mask:
    """The head without its rejected nodes, as a mask of its own.

    Its labels are those of the nodes that remain, under the numbers they had.
    """
    head = reading.head.manifest
    alive = {
        state.label: str(state.node_id)
        for state in states
        if state.decision != Decision.REJECTED and state.measures is not None
    }
    gone = set(head.labels) - set(alive)
    blobs = put_slices(without(head, reading.case.grid.shape, gone))
    slices = {i: blob for i, blob in {**head.slices, **blobs}.items() if blob}
    manifest = Manifest(head.geometry_hash, slices, alive, (head.hash,))
    return save_mask(
        case=reading.case,
        reading=reading,
        kind=MaskKind.EFFECTIVE,
        author_kind=AuthorKind.PERSON,
        author=reading.reader,
        manifest=manifest,
        blobs=blobs,
    )


def record_of(reading: Reading, effective: Mask, states: Iterable[NodeState]) -> dict[str, Any]:
    """What a signature under a reading stands for: everything that was read, as plain data."""
    return {
        "version": 1,
        "case": str(reading.case_id),
        "label": reading.case.label,
        "protocol": str(reading.case.protocol),
        "geometry": reading.case.geometry_hash,
        "reading": str(reading.pk),
        "slot": reading.slot,
        "round": reading.round,
        "base": reading.base.hash,
        "head": reading.head.hash,
        "effective": effective.hash,
        "nodes": [
            {
                "node": str(state.node_id),
                "label": state.label,
                "decision": state.decision,
                "reason": state.reason,
                "impression": state.impression,
                "impression_reason": state.impression_reason,
                "confidence": state.confidence,
                "doubt": state.doubt,
                **_place(state),
                **_lineage(state),
            }
            for state in sorted(states, key=lambda state: state.label)
        ],
        **_unread(reading),
    }


def _place(state: NodeState) -> dict[str, str]:
    """Side and level where known; records from before they were are as they were signed."""
    known = {"side": state.side, "level": state.level}
    return {name: value for name, value in known.items() if value}


def _lineage(state: NodeState) -> dict[str, Any]:
    """Where a node came from or went, and what was measured by hand, where there is any of it."""
    told = {**lineage_of(state), "manual": state.manual}
    return {name: value for name, value in told.items() if value}


def _unread(reading: Reading) -> dict[str, Any]:
    """The parts of the images that could not be read, where there are any."""
    regions = [
        {
            "region": str(region.region),
            "reason": region.reason,
            "voxels": region.voxels,
            "content": digest_of(region.reason, region.slices),
        }
        for region in reading.not_assessable.exclude(voxels=0).order_by("region")
    ]
    return {"not_assessable": regions} if regions else {}


def hash_of(signed: dict[str, Any]) -> str:
    """SHA-256 (hex) over the canonical JSON of a signed record."""
    return hashlib.sha256(canonical_json(signed)).hexdigest()
