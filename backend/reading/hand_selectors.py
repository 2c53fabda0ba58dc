"""Who is told what became of the AI's nodes in a reader's hands, and how long a reshape took."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from backend.accounts.models import User
from backend.audit.models import Event
from backend.reading.hand_times import Step, hands_of
from backend.reading.models import Case, Reading
from backend.reading.workflow import SIGNED


def hands_shown_to(user: User, case: Case) -> dict[UUID, dict[str, Any]]:
    """Reading → its account (`hand_times.Hands.to_json`), for the signed readings of a case.

    Who reads the case too is told of nobody before every slot is signed, whatever other role
    they hold.
    """
    states = {state.value for state in SIGNED}
    readings = list(case.readings.select_related("ai_mask", "effective", "reader"))
    signed = [reading for reading in readings if reading.state in states]
    reads_it = any(reading.reader_id == user.pk for reading in readings)
    if reads_it and not {r.slot for r in signed} >= set(case.protocol.slots):
        return {}
    return {reading.pk: _hands(case, reading) for reading in signed}


def _hands(case: Case, reading: Reading) -> dict[str, Any]:
    signature = reading.signatures.first()
    if signature is None or reading.effective is None:
        raise AssertionError("A signed reading has a signature and a mask.")
    told = Event.objects.filter(
        chain=case.chain, subject_id=str(reading.pk), outcome="success"
    ).order_by("position")
    return hands_of(
        (Step(event.at, event.action, event.facts) for event in told if event.at),
        {node["node"]: node["decision"] for node in signature.record["nodes"]},
        set(reading.ai_mask.manifest.labels.values()) if reading.ai_mask else set(),
        set(reading.effective.manifest.labels.values()),
    ).to_json()
