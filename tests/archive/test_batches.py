"""A batch goes in at one go: few statements, one transaction, and nothing by halves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pydicom.dataset import Dataset

from backend.archive import services, storing
from backend.archive.models import Door, Instance, KeptAside, Receipt, Series
from backend.archive.parsing import parse
from backend.archive.receipts import count, new_receipt
from backend.archive.receiving import Stopped, store_instances
from backend.archive.taking import BATCH_FILES, Taken
from backend.audit.models import Event, NewsItem
from backend.store import store
from tests.archive.made import ct_series, encoded, written

pytestmark = pytest.mark.django_db


def sent(*slices: Dataset | bytes) -> list[Taken]:
    """What becomes of the parts of one STOW request."""
    parts = [one if isinstance(one, bytes) else encoded(one) for one in slices]
    files = [lambda data=data: data for data in parts]
    return store_instances(files=files, actor=None, source="DICOMweb")


def counts(receipt: Receipt) -> tuple[int, int, int, int]:
    return receipt.stored, receipt.already_here, receipt.kept_aside, receipt.ignored


def closed() -> list[dict[str, Any]]:
    return list(Event.objects.filter(action="receipt.closed").values_list("facts", flat=True))


def test_statements_are_as_many_whatever_the_number_of_files_and_series() -> None:
    several = [ct_series(12) for _ in range(3)]
    sent(*[series[0] for series in several])  # Now the source and all three series are here.
    found = []
    for parts in ([several[0][1]], several[0][2:12], [s[n] for s in several[1:] for n in (1, 2)]):
        with CaptureQueriesContext(connection) as queries:
            assert [one.outcome for one in sent(*parts)] == ["stored"] * len(parts)
        found.append(len(queries))
    assert found[0] == found[1] == found[2] <= 10, found


def test_one_bad_part_among_ten_harms_none() -> None:
    good = ct_series(9)
    taken = sent(*good[:4], b"not an image at all", *good[4:])
    assert [one.outcome for one in taken] == ["stored"] * 4 + ["kept_aside"] + ["stored"] * 5
    receipt = Receipt.objects.get()
    assert counts(receipt) == (9, 0, 1, 0)
    assert receipt.closed_at is not None
    assert KeptAside.objects.get().receipt == receipt
    assert [(f["stored"], f["kept_aside"]) for f in closed()] == [(9, 1)]
    assert NewsItem.objects.filter(payload__receipt=str(receipt.pk)).count() == 1


def test_a_part_of_the_wrong_patient_among_ten_is_kept_aside_alone() -> None:
    good = ct_series(9)
    stranger = ct_series(1)[0]
    stranger.StudyInstanceUID, stranger.PatientID = good[0].StudyInstanceUID, "Somebody else"
    sent(good[0])
    taken = sent(*good[1:5], stranger, *good[5:])
    assert [one.outcome for one in taken] == ["stored"] * 4 + ["kept_aside"] + ["stored"] * 4
    assert KeptAside.objects.get().code == "STUDY_PATIENT"
    assert counts(Receipt.objects.get(stored=8)) == (8, 0, 1, 0)
    assert len(closed()) == 2


def test_a_series_that_another_sender_finished_meanwhile_is_judged_file_by_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slices = ct_series(6)
    sent(*slices[:3])
    asked: list[set[str]] = []

    def not_yet(uids: Any) -> bool:
        """The first time nothing is here: the other's rows come right after that look."""
        asked.append(set(uids))
        return len(asked) > 1 and storing.Instance.objects.filter(sop_uid__in=uids).exists()

    monkeypatch.setattr(storing, "any_here", not_yet)
    taken = sent(*slices)
    assert [one.outcome for one in taken] == ["already_here"] * 3 + ["stored"] * 3
    assert Instance.objects.count() == 6
    assert counts(Receipt.objects.get(already_here=3)) == (3, 3, 0, 0)
    assert [(f["stored"], f["already_here"]) for f in closed()] == [(3, 0), (3, 3)]


def test_files_whose_rows_never_came_are_stored_when_they_are_sent_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slices = ct_series(4)

    def broken(*_: Any) -> list[Instance]:
        raise RuntimeError("The process died between the files and their rows.")

    with monkeypatch.context() as patched:
        patched.setattr(storing, "enter", broken)
        with pytest.raises(RuntimeError):
            sent(*slices)
    assert not Instance.objects.exists()
    assert not Series.objects.exists()
    assert [(f["stored"], f["already_here"]) for f in closed()] == [(0, 0)]
    assert [one.outcome for one in sent(*slices)] == ["stored"] * 4
    assert all(store().exists(blob) for blob in Instance.objects.values_list("blob", flat=True))


def test_a_batch_of_no_row_leaves_none_behind_when_it_is_undone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The end of a batch is written with its images, or the images are not here either."""

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("The log cannot be written.")

    slices = ct_series(3)
    monkeypatch.setattr("backend.archive.receipts.record", broken)
    with pytest.raises(RuntimeError):
        sent(*slices)
    assert not Instance.objects.exists()
    assert not Receipt.objects.filter(stored__gt=0).exists()


def batch_of(*slices: Dataset) -> storing._Batch:
    """One sender's objects as they wait for their turn, their bytes on the disk."""
    receipt = new_receipt(source="DICOMweb", door=Door.STOW, actor=None)
    incoming = [parse("part", encoded(one)) for one in slices]
    blobs = store().put_many([one.data for one in incoming])
    arrived = [storing.Arrived(receipt, *pair) for pair in zip(incoming, blobs, strict=True)]
    outcomes = ["stored"] * len(slices)
    return storing._Batch(receipt, arrived, lambda _: count(receipt, outcomes, ended=True))


def test_what_two_senders_have_ready_goes_in_at_one_go_each_under_its_own_receipt() -> None:
    first, second = ct_series(4), ct_series(5)
    mine, theirs = batch_of(*first[:3]), batch_of(*second, first[3])
    entered = storing._enter_all([mine, theirs])
    assert [len(rows) for rows in entered] == [3, 6]
    for batch, rows in zip((mine, theirs), entered, strict=True):
        assert counts(Receipt.objects.get(pk=batch.receipt.pk)) == (len(rows), 0, 0, 0)
        uids = {one.incoming.sop_uid for one in batch.arrived}
        assert set(batch.receipt.instances.values_list("sop_uid", flat=True)) == uids
    assert [f["stored"] for f in closed()] == [3, 6]


def test_a_sender_at_fault_undoes_the_turn_and_takes_nobody_else_with_it() -> None:
    slices, others = ct_series(3), ct_series(2)
    sent(slices[0])
    stranger = slices[1]
    stranger.PatientID = "Somebody else"
    good, bad = batch_of(*others), batch_of(stranger)
    with pytest.raises(storing.NotTaken):
        storing._enter_all([good, bad])
    assert Receipt.objects.count() == 1
    assert good.receipt._state.adding
    assert good.receipt.stored == 0
    turns = storing.Together(storing._enter_all, at_most=8)
    assert len(turns.do(good)) == 2
    with pytest.raises(storing.NotTaken):
        turns.do(bad)
    assert sorted(f["stored"] for f in closed()) == [1, 2]


def test_what_is_longer_than_a_batch_is_one_receipt_closed_once() -> None:
    slices = ct_series(BATCH_FILES + 3)
    assert [one.outcome for one in sent(*slices)] == ["stored"] * len(slices)
    assert counts(Receipt.objects.get()) == (len(slices), 0, 0, 0)
    assert [f["stored"] for f in closed()] == [len(slices)]
    assert sent(*slices[:1])[0].outcome == "already_here"


def test_a_folder_read_ahead_keeps_its_order(
    tmp_path: Path, receive: Callable[..., Receipt]
) -> None:
    folder = written(tmp_path / "neck", ct_series(2 * BATCH_FILES + 5))
    (folder / "20x.dcm").write_bytes(b"not an image")
    seen: list[str] = []
    receipt = receive(folder, progress=lambda _done, _total, name: seen.append(name))
    assert seen == [f"neck/{path.name}" for path in sorted(folder.iterdir())]
    assert counts(receipt) == (2 * BATCH_FILES + 5, 0, 1, 0)
    assert Series.objects.get().volume_state == "volume"


def test_who_stops_a_folder_has_what_came(tmp_path: Path) -> None:
    folder = written(tmp_path / "neck", ct_series(3 * BATCH_FILES))
    asked: list[int] = []

    def stopping() -> bool:
        asked.append(1)
        return len(asked) > BATCH_FILES + 10

    with pytest.raises(Stopped):
        services.receive([folder], source="folder", actor=None, stopping=stopping)
    receipt = Receipt.objects.get()
    assert 0 < receipt.stored < 3 * BATCH_FILES
    assert receipt.stored == Instance.objects.count()
    assert receipt.closed_at is not None
