"""Pulling from a real PACS: what comes is what is there, each image once, whatever breaks."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pydicom
import pytest
from django.utils import timezone

from backend.accounts.models import User
from backend.archive.models import Instance, KeptAside, Receipt, Series
from backend.archive.remotes import asking, carrying
from backend.archive.remotes.asking import Wanted, request_pull
from backend.archive.remotes.carrying import Work, carry_out, offer_again
from backend.archive.remotes.doers import DOERS
from backend.archive.remotes.models import Remote, Transfer, TransferSeries
from backend.archive.services import judge_quiet_series, receive
from backend.archive.storing import read_dataset
from backend.audit.models import Event, NewsItem
from backend.errors import WrongState
from tests.archive.made import ct_series, values, written
from tests.archive.remotes.pacs import Asked, Network, Pacs, Wire

pytestmark = pytest.mark.django_db

Pull = Callable[..., Transfer]


def counts(transfer: Transfer) -> tuple[int, int, int]:
    found = carrying.counts_of(transfer)
    return found["expected"], found["moved"], found["there"]


def uids(dataset: Any) -> tuple[str, str]:
    return dataset.StudyInstanceUID, dataset.SeriesInstanceUID


def second_series(slices: list[Any], count: int = 3) -> list[Any]:
    """Another series of the same study."""
    found = ct_series(count, SeriesNumber=3)
    for ds in found:
        ds.StudyInstanceUID = slices[0].StudyInstanceUID
    return found


def test_a_pulled_study_is_what_the_pacs_has(
    pacs: Pacs, named: Callable[..., Remote], pulled: Pull, ready: list[Series]
) -> None:
    slices = ct_series(6)
    other = second_series(slices)
    pacs.store([*slices, *other])
    transfer = pulled(named(pacs.url), slices[0].StudyInstanceUID)
    assert (transfer.state, transfer.message, transfer.refused) == ("done", "", 0)
    assert counts(transfer) == (9, 9, 0)
    kept = pacs.files()
    for index, ds in enumerate(slices):
        instance = Instance.objects.get(sop_uid=ds.SOPInstanceUID)
        stored = read_dataset(instance)
        assert stored.PixelData == values(index).tobytes()
        assert stored == pydicom.dcmread(io.BytesIO(kept[ds.SOPInstanceUID]))
    assert {one.uid for one in ready} == {slices[0].SeriesInstanceUID, other[0].SeriesInstanceUID}
    receipts = Receipt.objects.all()
    assert {(r.door, r.source, r.stored, r.closed_at is None) for r in receipts} == {
        ("pull", "pacs", 6, False),
        ("pull", "pacs", 3, False),
    }


def test_the_log_and_the_news_tell_of_a_pull_and_of_no_patient(
    pacs: Pacs, named: Callable[..., Remote], pulled: Pull
) -> None:
    slices = ct_series(3)
    pacs.store(slices)
    transfer = pulled(named(pacs.url), slices[0].StudyInstanceUID)
    events = Event.objects.filter(subject_id=str(transfer.pk)).order_by("number")
    assert [e.action for e in events] == ["pull.requested", "pull.done"]
    assert events[1].facts["moved"] == 3
    told = json.dumps([e.facts for e in events])
    told += json.dumps(list(NewsItem.objects.values_list("payload", flat=True)))
    row = Transfer.objects.filter(pk=transfer.pk).values()[0]
    told += str(row) + str(list(TransferSeries.objects.values()))
    for secret in (slices[0].StudyInstanceUID, slices[0].SeriesInstanceUID, "Planted", "PID-1"):
        assert secret not in told


def test_only_the_chosen_series_are_pulled(
    pacs: Pacs, named: Callable[..., Remote], pulled: Pull
) -> None:
    slices = ct_series(4)
    other = second_series(slices)
    pacs.store([*slices, *other])
    study, series = uids(other[0])
    assert counts(pulled(named(pacs.url), study, [series])) == (3, 3, 0)
    assert set(Series.objects.values_list("uid", flat=True)) == {series}


def test_what_is_here_already_is_not_fetched(
    pacs: Pacs, named: Callable[..., Remote], pulled: Pull, tmp_path: Any
) -> None:
    slices = ct_series(5)
    pacs.store(slices)
    receive([written(tmp_path / "some", slices[:2])], source="disk", actor=None)
    with Network(Wire(pacs.port)).listening() as network:
        remote = named(network.url)
        transfer = pulled(remote, slices[0].StudyInstanceUID)
        assert counts(transfer) == (5, 3, 2)
        assert sorted(network.fetched()) == [s.SOPInstanceUID for s in slices[2:]]
        network.asked.clear()
        again = pulled(remote, slices[0].StudyInstanceUID)
        assert (again.state, counts(again)) == ("done", (5, 0, 5))
        assert network.fetched() == []


def test_a_broken_connection_is_gone_on_with_where_it_broke(
    pacs: Pacs, named: Callable[..., Remote], pulled: Pull, hasty: None, ready: list[Series]
) -> None:
    slices = ct_series(20)
    pacs.store(slices)
    cuts = iter([9000, 300, None, 200])

    def cut(asked: Asked) -> int | None:
        image = "/series/" in asked.path and not asked.path.endswith("/instances")
        return next(cuts, None) if image else None

    with Network(Wire(pacs.port, cut)).listening() as network:
        transfer = pulled(named(network.url), slices[0].StudyInstanceUID)
        assert (transfer.state, counts(transfer)) == ("done", (20, 20, 0))
        one_by_one = network.fetched()
    whole = [a for a in network.asked if a.path.endswith(f"/series/{slices[0].SeriesInstanceUID}")]
    assert len(whole) == 1
    # Those whose answers were cut are asked for again, and nothing that had come.
    assert 0 < len(set(one_by_one)) < 20
    assert len(one_by_one) - len(set(one_by_one)) == 2
    assert Instance.objects.count() == 20
    assert [one.volume_state for one in ready] == ["volume"]


def test_half_a_series_never_becomes_a_volume_by_itself(
    pacs: Pacs,
    named: Callable[..., Remote],
    pulled: Pull,
    hasty: None,
    settings: Any,
    coordinator: User,
) -> None:
    settings.REMOTE_TRIES, settings.QUIET_SECONDS = 2, 0
    slices = ct_series(12)
    pacs.store(slices)
    broken = True

    def cut(asked: Asked) -> int | None:
        if not broken or asked.path.endswith("/instances") or "/series/" not in asked.path:
            return None
        return 6000 if asked.path.endswith(slices[0].SeriesInstanceUID) else 10

    with Network(Wire(pacs.port, cut)).listening() as network:
        transfer = pulled(named(network.url), slices[0].StudyInstanceUID)
        assert transfer.state == "failed"
        assert "broke off" in transfer.message
        came = Instance.objects.count()
        assert 2 < came < 12
        assert judge_quiet_series() == []
        assert Series.objects.get().volume_state == "pending"
        broken = False
        asking.retry_transfer(transfer=transfer, actor=coordinator)
        carry_out(transfer.pk, DOERS)
    transfer.refresh_from_db()
    assert (transfer.state, counts(transfer)) == ("done", (12, 12, 0))
    assert Series.objects.get().volume_state == "volume"
    assert not KeptAside.objects.exists()


def test_what_came_of_a_failed_pull_can_be_accepted(
    pacs: Pacs,
    named: Callable[..., Remote],
    pulled: Pull,
    hasty: None,
    settings: Any,
    coordinator: User,
) -> None:
    settings.REMOTE_TRIES = 1
    slices = ct_series(12)
    pacs.store(slices)
    cut = {f"/dicom-web/studies/{uids(slices[0])[0]}/series/{uids(slices[0])[1]}": 6000}
    with Network(Wire(pacs.port, lambda asked: cut.get(asked.path))).listening() as network:
        transfer = pulled(named(network.url), slices[0].StudyInstanceUID)
    assert transfer.state == "failed"
    asking.accept_transfer(transfer=transfer, actor=coordinator)
    assert Series.objects.get().volume_state == "volume"
    assert Receipt.objects.get().closed_at is not None
    with pytest.raises(WrongState):
        asking.retry_transfer(transfer=transfer, actor=coordinator)


def test_a_bad_image_is_kept_aside_and_harms_no_other(
    pacs: Pacs, named: Callable[..., Remote], pulled: Pull
) -> None:
    slices = ct_series(6)
    bad = ct_series(1)[0]
    bad.StudyInstanceUID, bad.SeriesInstanceUID = uids(slices[0])
    bad.PixelData, bad.InstanceNumber = bad.PixelData[:100], 99
    pacs.store([*slices, bad])
    transfer = pulled(named(pacs.url), slices[0].StudyInstanceUID)
    assert (transfer.state, transfer.refused) == ("done", 1)
    assert set(Instance.objects.values_list("sop_uid", flat=True)) == {
        s.SOPInstanceUID for s in slices
    }
    (kept,) = KeptAside.objects.all()
    assert kept.message in transfer.refusals[0]["message"]
    assert Series.objects.get().volume_state == "volume"


def test_an_image_the_pacs_lists_and_does_not_give_is_said(
    pacs: Pacs, named: Callable[..., Remote], pulled: Pull, hasty: None
) -> None:
    slices = ct_series(5)
    pacs.store(slices)
    wire = Wire(pacs.port)

    async def lacking(asked: Asked, reader: Any, writer: Any) -> None:
        path = asked.path
        if path.endswith((slices[3].SOPInstanceUID, slices[0].SeriesInstanceUID)):
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            return
        await wire(asked, reader, writer)

    with Network(lacking).listening() as network:
        transfer = pulled(named(network.url), slices[0].StudyInstanceUID)
    assert transfer.state == "failed"
    assert transfer.message == "The remote has 1 image that it does not give."
    assert transfer.refused == 1
    assert Instance.objects.count() == 4
    assert Series.objects.get().volume_state == "pending"


def test_a_cancelled_pull_stops_and_what_came_stays(
    pacs: Pacs, named: Callable[..., Remote], coordinator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices = ct_series(40)
    pacs.store(slices)
    monkeypatch.setattr(carrying, "LOOK_SECONDS", 0.0)
    remote = named(pacs.url)
    wanted = Wanted(slices[0].StudyInstanceUID)
    transfer = request_pull(remote=remote, wanted=wanted, actor=coordinator)
    told = Work.progress

    def cancelling(self: Work, series: TransferSeries, *, now: bool = False) -> None:
        told(self, series, now=now)
        if series.moved == 10:
            asking.cancel_transfer(transfer=transfer, actor=coordinator)

    monkeypatch.setattr(Work, "progress", cancelling)
    assert carry_out(transfer.pk, DOERS) is None
    transfer.refresh_from_db()
    assert transfer.state == "cancelled"
    assert Instance.objects.count() == 10
    with pytest.raises(WrongState):
        asking.cancel_transfer(transfer=transfer, actor=coordinator)
    monkeypatch.setattr(Work, "progress", told)
    asking.retry_transfer(transfer=transfer, actor=coordinator)
    carry_out(transfer.pk, DOERS)
    assert Instance.objects.count() == 40


def test_a_second_request_for_the_same_is_the_one_under_way(
    pacs: Pacs, named: Callable[..., Remote], coordinator: User
) -> None:
    remote, study = named(pacs.url), ct_series(1)[0].StudyInstanceUID
    first = request_pull(remote=remote, wanted=Wanted(study), actor=coordinator)
    assert request_pull(remote=remote, wanted=Wanted(study), actor=coordinator) == first
    other = request_pull(remote=remote, wanted=Wanted(study, ["1.2.3"]), actor=coordinator)
    assert other != first


def test_what_its_process_left_is_taken_up_again_and_given_up_after_five_times(
    pacs: Pacs, named: Callable[..., Remote], coordinator: User
) -> None:
    remote, study = named(pacs.url), ct_series(1)[0].StudyInstanceUID
    transfer = request_pull(remote=remote, wanted=Wanted(study), actor=coordinator)
    for lost in range(1, 6):
        assert carrying._begin(transfer.pk).attempt == lost
        assert offer_again() == 1
        transfer.refresh_from_db()
        assert transfer.lost == lost
    assert transfer.state == "failed"
    assert "5 times" in transfer.message
    Transfer.objects.update(touched=timezone.now())
    assert offer_again() == 0


def test_an_older_attempt_changes_nothing(
    pacs: Pacs, named: Callable[..., Remote], coordinator: User
) -> None:
    slices = ct_series(3)
    pacs.store(slices)
    remote, study = named(pacs.url), slices[0].StudyInstanceUID
    transfer = request_pull(remote=remote, wanted=Wanted(study), actor=coordinator)
    old = carrying._begin(transfer.pk)
    offer_again()
    carry_out(transfer.pk, DOERS)
    assert carrying._end(old, carrying.TransferAction.FAIL, "late", "words") is None
    transfer.refresh_from_db()
    assert (transfer.state, transfer.attempt) == ("done", 2)


def test_a_process_asked_to_end_gives_the_transfer_back(
    pacs: Pacs, named: Callable[..., Remote], coordinator: User
) -> None:
    slices = ct_series(3)
    pacs.store(slices)
    wanted = Wanted(slices[0].StudyInstanceUID)
    transfer = request_pull(remote=named(pacs.url), wanted=wanted, actor=coordinator)
    asked = iter([False, False, False])
    ended = carry_out(transfer.pk, DOERS, should_stop=lambda: next(asked, True))
    assert ended is not None
    assert (ended.state, ended.lost) == ("queued", 0)
    carry_out(transfer.pk, DOERS)
    assert Instance.objects.count() == 3
