"""Which columns of reports and of the log name blobs, and which of those can be made again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from backend.audit.models import Event as StoredEvent
from backend.imaging.masks import canonical_json
from backend.reading.named_blobs import manifest_of, signed_record
from backend.reports import case_report, sources
from backend.reports.models import Export, Record, RecordEvent, Release, Report, Training
from backend.reports.record.blobs import BlobFault, Blobs
from backend.reports.record.events import of_line
from backend.reports.record.named import named_blobs, names_in
from backend.store import references, store

_HASH = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_ROWS_AT_ONCE = 2000


def register_all() -> None:
    """Called once, when the room is ready."""
    register = references.register
    again = "Otherwise have the export made again."
    register(Export, "blob", cure=again)
    register(Export, "sidecar_blob", cure=again)
    register(Report, "files", names=lambda files: files.values(), remake=file_of_report)
    register(Release, "sha256", remake=manifest_of_release)
    register(Training, "weights", cure="Otherwise train again from the release.")
    register(StoredEvent, "facts", rows=_of_events, remake=of_log)
    register(RecordEvent, "line", rows=_of_records, cure="Otherwise import the record again.")
    # Whatever an event says that looks like a blob's name is kept, needed or not.
    register(StoredEvent, "facts", rows=_mentioned, required=False)
    register(RecordEvent, "line", names=_HASH.findall, required=False)


def _mentioned() -> Iterator[tuple[str, str]]:
    """All of it, but for what verifications of the store found: that names orphans."""
    events = StoredEvent.objects.exclude(action="content.verified").values_list("number", "facts")
    for number, facts in events.iterator(chunk_size=_ROWS_AT_ONCE):
        for name in _HASH.findall(json.dumps(facts)):
            yield str(number), name


def _of_events() -> Iterator[tuple[str, str]]:
    """What the events of cases name, by the rules by which a record leaves the house."""
    events = StoredEvent.objects.filter(chain__startswith="case:").values_list("number", "facts")
    for number, facts in events.iterator(chunk_size=_ROWS_AT_ONCE):
        for _, name in names_in(facts):
            yield str(number), name


def _of_records() -> Iterator[tuple[str, str]]:
    """What imported records name, and what their lists and manifests name in turn."""
    for record in Record.objects.all():
        rows = RecordEvent.objects.filter(record=record).order_by("position")
        events = [of_line(row.line, f"Event {row.position}") for row in rows]
        try:
            found = named_blobs(events, Blobs(store().read))
        except BlobFault:  # What the lost one names is unknown; it is told itself.
            found = [name for event in events for _, name in names_in(event.facts)]
        for name in found:
            yield str(record.pk), name


def of_log(name: str) -> bytes | None:
    """A mask's manifest, a signed record, or the manifest of a report, from its table."""
    found = manifest_of(name) or signed_record(name)
    if found is not None:
        return found
    made = StoredEvent.objects.filter(action=sources.MADE, facts__manifest=name).first()
    if made is None:
        return None
    report = Report.objects.filter(pk=made.subject_id).first()
    return canonical_json(report.manifest) if report else None


def manifest_of_release(name: str) -> bytes | None:
    """The manifest of a frozen release, from its row."""
    found = Release.objects.filter(sha256=name).first()
    return canonical_json(found.manifest) if found else None


def file_of_report(name: str) -> bytes | None:
    """A file of a report, made again from the events and blobs of its case."""
    for report in Report.objects.exclude(files={}):
        if name not in report.files.values():
            continue
        source = sources.of_report(str(report.pk))
        try:
            built = case_report.build(report.manifest, source.events, source.blob)
        except (ValueError, LookupError):  # What it is made of is lost, or told otherwise once.
            return None
        hashes = built.hashes()
        return next((built.files[kind] for kind in hashes if hashes[kind] == name), None)
    return None
