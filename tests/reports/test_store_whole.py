"""All that a case leaves in the content store is known to `verify_store`, and most made again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.reading.models import Mask, MaskSlice, Signature
from backend.reports import exporting, reporting, services
from backend.reports.models import Report
from backend.store import ContentStore, store
from backend.store.references import columns
from backend.store.verification import Verdict, Wanted, verify
from tests.reports.room import Room


@pytest.fixture
def kept() -> Iterator[ContentStore]:
    """The store; every file of it is put back as it was."""
    here = store()
    before = {Path(e.place): Path(e.place).read_bytes() for e in here.entries()}
    yield here
    for path, data in before.items():
        path.write_bytes(data)


def look(**options: bool) -> Verdict:
    return verify(store(), columns, Wanted(orphan_seconds=-1, **options))


def faults(verdict: Verdict) -> list[str]:
    return [f"{fault.sentence} {fault.repaired}" for fault in verdict.faults]


def lose(here: ContentStore, *names: str) -> None:
    for entry in list(here.entries()):
        if entry.name in names:
            here.discard(entry)


def test_nothing_that_a_case_left_is_missing_and_nothing_is_nobodys(
    room: Room, report: Report, kept: ContentStore
) -> None:
    for file_format in ("seg", "nifti"):
        export = services.request_export(
            reading=room.reading, file_format=file_format, actor=room.users["coordinator"]
        )
        assert exporting.make_export(export.pk).state == "ready"
    asked = reporting.request_report(case=room.case, actor=room.users["coordinator"])
    assert reporting.make_report(asked.pk).state == "ready"
    verdict = look()
    assert faults(verdict) == []
    assert verdict.blobs == verdict.hashed > 30


def test_what_tables_and_events_can_tell_is_made_again(
    room: Room, report: Report, kept: ContentStore
) -> None:
    lost = {
        Mask.objects.filter(case=room.case).earliest("created").hash,
        Signature.objects.get(reading=room.reading).record_hash,
        *report.files.values(),
    }
    lose(kept, *lost)
    found = look(fast=True)
    assert {fault.name for fault in found.of("missing")} == lost
    assert not found.holds
    repaired = look(repair=True)
    assert repaired.holds, faults(repaired)
    assert {fault.name for fault in repaired.of("missing")} == lost
    assert look().faults == []


def test_the_slices_of_a_model_are_made_again_from_what_its_worker_sent(
    room: Room, report: Report, kept: ContentStore
) -> None:
    own = MaskSlice.objects.filter(mask__run_id__isnull=False).exclude(blob="")
    lost = set(own.values_list("blob", flat=True)[:3])
    assert lost
    lose(kept, *lost)
    assert {fault.name for fault in look(fast=True).of("missing")} == lost
    repaired = look(repair=True)
    assert repaired.holds, faults(repaired)
    assert all("Made again" in fault.repaired for fault in repaired.of("missing"))
    assert look().faults == []


def test_what_a_reader_drew_cannot_be_made_again_and_is_told(
    room: Room, report: Report, kept: ContentStore
) -> None:
    drawn = set(room.reading.effective.manifest.slices.values())
    proposed = set(
        MaskSlice.objects.filter(mask__run_id__isnull=False).values_list("blob", flat=True)
    )
    name = min(drawn - proposed)
    lose(kept, name)
    verdict = look(repair=True)
    assert not verdict.holds
    (fault,) = verdict.of("missing")
    assert (fault.name, fault.repaired) == (name, "")
    assert "backup" in fault.cure
