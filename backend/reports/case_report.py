"""One case report: what goes in, and the bytes that come out.

A report is determined by its manifest, the events of the case up to the manifest's head, and the
blobs they name; no table is read. Whoever has these, in whatever database, makes the same bytes
with the same version of the code.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from backend.reports import documents, paper, render, report_tables
from backend.reports.drawing import charts_of
from backend.reports.illustrations import pictures_of
from backend.reports.log_words import event_words
from backend.reports.record.blobs import Blob, Blobs
from backend.reports.record.events import Event
from backend.reports.record.facts import facts_of
from backend.reports.report_cast import cast_of
from backend.reports.truths import measure
from backend.version import VERSION

# The files of a report, in the order they are named; each key is one in `report.made` too.
FILES = ("html", "pdf", "document", "csv", "steps", "readings")
FILE_NAMES = {
    "html": "page",
    "pdf": "PDF",
    "document": "JSON",
    "csv": "CSV",
    "steps": "CSV of steps",
    "readings": "CSV of readings",
}


class NothingSigned(ValueError):
    """The case has no signed reading yet. Wait until one is submitted."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


@dataclass(frozen=True)
class Built:
    """One built report: its files by name, and the facts it was built from."""

    facts: dict[str, Any]
    files: dict[str, bytes]

    def hashes(self) -> dict[str, str]:
        """File name → SHA-256 of its bytes."""
        return {name: hashlib.sha256(data).hexdigest() for name, data in self.files.items()}


def new_manifest(
    head: Event, *, report: str, created: str, made_by: str, stored_faults: Sequence[str]
) -> dict[str, Any]:
    """What a report of the case as it stands at an event is made of.

    `stored_faults` are what the tables were found to say otherwise than was signed, as sentences.
    """
    return {
        "id": report,
        "created": created,
        "made_by": made_by,
        "version": VERSION,
        "chain": {"chain": head.chain, "position": head.position, "hash": head.hash},
        "stored_faults": list(stored_faults),
    }


def build(
    manifest: dict[str, Any],
    events: Sequence[Event],
    blob: Blob,
    tell: Callable[[float], None] = lambda share: None,
) -> Built:
    """The report a manifest describes.

    Args:
        manifest: what `new_manifest` returned.
        events: the events of the case's chain; later ones than the manifest's head are left out.
        blob: SHA-256 → bytes.
        tell: hears how far it is, 0 to 1.

    Raises:
        NothingSigned: before there is a signed reading.
        NotDescribed, BlobFault: see `record.facts.facts_of`.
    """
    blobs = Blobs(blob)
    upto = [event for event in events if event.position <= manifest["chain"]["position"]]
    facts = facts_of(upto, blobs)
    if not any(reading["signed"] for reading in facts["readings"]):
        raise NothingSigned
    tell(0.1)
    measured = measure(facts, blobs, lambda share: tell(0.1 + 0.55 * share))
    cast = cast_of(facts, measured)
    document = documents.case_document(
        manifest=manifest,
        facts=facts,
        measured=measured,
        cast=cast,
        words=event_words(upto, cast),
    )
    tell(0.7)
    frames = facts["images"]["frames"]
    pictures = pictures_of(
        document, measured, lambda index: blobs.frame(frames[index], measured.grid)
    )
    charts = charts_of(document)
    tell(0.85)
    document["pictures"] = {
        key: hashlib.sha256(png).hexdigest() for key, png in sorted(pictures.items())
    }
    # What the document says, in one number that page and paper can carry.
    document["content"] = hashlib.sha256(render.canonical_json(document)).hexdigest()
    files: dict[str, Callable[[], bytes]] = {
        "html": partial(render.html_of, document, charts, pictures),
        "pdf": partial(paper.pdf_of, document, charts, pictures, created=manifest["created"]),
        "document": partial(render.canonical_json, document),
        "csv": partial(report_tables.nodes_csv, document),
        "steps": partial(report_tables.steps_csv, document),
        "readings": partial(report_tables.readings_csv, document),
    }
    return Built(facts, {name: files[name]() for name in FILES})
