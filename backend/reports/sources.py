"""Where the events and blobs of a case come from: this database, or a record that was imported."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from backend.archive.models import Instance
from backend.archive.volume import hounsfield
from backend.audit.history import stored_rows
from backend.audit.models import Event as StoredEvent
from backend.imaging.masks import canonical_json
from backend.reading.models import Mask, Signature
from backend.reports.models import RecordEvent
from backend.reports.record.blobs import Blob, frame_bytes
from backend.reports.record.case import DESCRIBED, described
from backend.reports.record.events import Event, of_line, of_row
from backend.store import BlobMissing, store

MADE = "report.made"


class NoSuchReport(LookupError):
    """Neither the log here nor an imported record tells of this report."""


@dataclass(frozen=True)
class Source:
    """The events of one chain, and the blobs they name."""

    events: Sequence[Event]
    blob: Blob

    def made(self, report: str) -> Event:
        """The event that tells of the making of a report; raises `NoSuchReport`."""
        for event in self.events:
            if event.action == MADE and event.subject_id == report:
                return event
        raise NoSuchReport(report)


def of_chain(chain: str) -> Source:
    """A case of this database."""
    events = [of_row(row) for row in stored_rows(chain=chain)]
    return Source(events, LiveBlobs(events).read)


def of_report(report: str) -> Source:
    """The case a report is of, here or imported; raises `NoSuchReport`."""
    stored = StoredEvent.objects.filter(action=MADE, subject_id=report).first()
    if stored is not None:
        return of_chain(stored.chain)
    imported = RecordEvent.objects.filter(action=MADE, subject_id=report).first()
    if imported is None:
        raise NoSuchReport(report)
    lines = RecordEvent.objects.filter(record=imported.record_id).order_by("position")
    events = [of_line(row.line, f"Event {row.position}") for row in lines]
    return Source(events, store().read)


class LiveBlobs:
    """The blobs of a case of this database.

    Pixels are not kept twice: a frame is cut out of its DICOM file when it is asked for. Manifests
    and signed records of before they were kept as blobs come from their tables, once.
    """

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events
        self._instances: dict[str, Instance] | None = None

    def read(self, name: str) -> bytes:
        """A blob's bytes; raises `BlobMissing`."""
        try:
            return store().read(name)
        except BlobMissing:
            found = self._from_tables(name)
            if found is not None:
                store().put(found, compress=True)
                return found
            return self._frame(name)

    def _from_tables(self, name: str) -> bytes | None:
        mask = Mask.objects.filter(hash=name).first()
        if mask is not None:
            return canonical_json(mask.manifest_json)
        signature = Signature.objects.filter(record_hash=name).first()
        return canonical_json(signature.record) if signature else None

    def _frame(self, name: str) -> bytes:
        if self._instances is None:
            self._instances = self._by_frame()
        if name not in self._instances:
            raise BlobMissing(name)
        return frame_bytes(hounsfield(self._instances[name]))

    def _by_frame(self) -> dict[str, Instance]:
        """Frame hash → the instance it is cut out of."""
        if not any(event.action == DESCRIBED for event in self._events):
            return {}
        said = described(self._events)
        images, frames = (_json(said[key]) for key in ("images", "frames"))
        uids = [uid for uid, _ in images["instances"]]
        found = {i.sop_uid: i for i in Instance.objects.filter(sop_uid__in=uids)}
        pairs = zip(frames, uids, strict=True)
        return {frame: found[uid] for frame, uid in pairs if uid in found}


def _json(blob: str) -> Any:
    return json.loads(store().read(blob))
