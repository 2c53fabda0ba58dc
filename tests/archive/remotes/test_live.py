"""Pulling with the real processes: what they survive, how soon they stop, what pages are told."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.archive.made import ct_series, encoded, values
from tests.archive.remotes.pacs import Asked, Network, Pacs, Wire, orthanc
from tests.archive.test_live import web_of
from tests.stack import Stack, until

pytestmark = pytest.mark.deep


@pytest.fixture(scope="module")
def house(
    orthanc_installed: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Stack, Pacs]]:
    """Web and work, and a PACS."""
    with orthanc(tmp_path_factory.mktemp("pacs")) as pacs:
        stack = Stack()
        try:
            yield stack.start(worker=False), pacs
        finally:
            stack.close()


def name_remote(stack: Stack, name: str, url: str) -> None:
    stack.as_is("pull", name)
    with closing(stack.client("admin")) as admin:
        form = {"name": name, "url": url, "sign_in": "none", "verify_tls": "on"}
        assert admin.post("/archive/remotes/", data=form).status_code == 302


def ask(stack: Stack, name: str, study: str) -> str:
    """Have a study pulled by the coordinator; the transfer's id."""
    with closing(stack.client("coordinator")) as desk:
        answer = desk.post(f"/archive/remotes/{name}/pull", data={"study": study})
        assert answer.status_code == 302, answer.text
    newest = "select id::text from archive_transfer order by created desc limit 1"
    return str(stack.query(newest)[0][0])


def state_of(stack: Stack, transfer: str) -> str:
    return str(stack.query("select state from archive_transfer where id = %s", transfer)[0][0])


def here(stack: Stack, series: str) -> int:
    count = "select count(*) from archive_instance i join archive_series s on s.id = i.series_id"
    return int(stack.query(f"{count} where s.uid = %s", series)[0][0])


def moved(stack: Stack, transfer: str) -> int:
    count = "select coalesce(sum(moved), 0) from archive_transferseries where transfer_id = %s"
    return int(stack.query(count, transfer)[0][0])


def slow(pacs: Pacs) -> Wire:
    """A line on which forty small images take some ten seconds."""
    return Wire(pacs.port, size=512, every=0.04)


def falling_silent(pacs: Pacs, after: int) -> Wire:
    """The same, but a series' answer says no more after so many bytes: it cannot end by itself."""

    def cut(asked: Asked) -> int | None:
        return None if "/instances" in asked.path or "/series/" not in asked.path else after

    return Wire(pacs.port, cut, size=512, every=0.04, silent=True)


def test_a_work_process_that_is_killed_leaves_a_pull_that_ends_once(
    house: tuple[Stack, Pacs],
) -> None:
    stack, pacs = house
    slices = ct_series(60)
    pacs.store(slices)
    study, series = slices[0].StudyInstanceUID, slices[0].SeriesInstanceUID
    with Network(falling_silent(pacs, 45 * len(encoded(slices[0])))).listening() as network:
        name_remote(stack, "slow", network.url)
        transfer = ask(stack, "slow", study)
        # Some were stored: a batch of 32 is.
        until(lambda: here(stack, series) >= 32, "half of it", 60, stack.words)
        stack.kill(stack.work)
        before = here(stack, series)
        assert state_of(stack, transfer) == "running"
        stack.work = stack._child("work", sys.executable, "manage.py", "work")
        stack.work.start()
        until(lambda: state_of(stack, transfer) == "done", "the pull", 120, stack.words)
        again = network.fetched()
    assert here(stack, series) == 60
    assert len(again) == len(set(again)) == 60 - before
    rows = stack.query("select attempt, lost from archive_transfer where id = %s", transfer)
    assert rows == [(2, 1)]
    ended = "select count(*) from audit_event where subject_id = %s and action = 'pull.done'"
    assert stack.query(ended, transfer) == [(1,)]
    judged = "select volume_state from archive_series where uid = %s"
    until(lambda: stack.query(judged, series) == [("volume",)], "a volume", 30, stack.words)
    back = web_of(stack, "coordinator").retrieve_series(study, series)
    assert [ds.PixelData for ds in back] == [values(i).tobytes() for i in range(60)]


def test_a_cancelled_pull_lets_go_of_the_line(house: tuple[Stack, Pacs]) -> None:
    stack, pacs = house
    slices = ct_series(60)
    pacs.store(slices)
    with (
        Network(falling_silent(pacs, 30 * len(encoded(slices[0])))).listening() as network,
        closing(stack.client("coordinator")) as desk,
    ):
        name_remote(stack, "slower", network.url)
        transfer = ask(stack, "slower", slices[0].StudyInstanceUID)
        until(lambda: moved(stack, transfer) >= 3, "the first images", 60, stack.words)
        assert desk.post(f"/archive/transfers/{transfer}/cancel").status_code == 302
        assert state_of(stack, transfer) == "cancelled"
        doing = "select count(*) from procrastinate_jobs where status = 'doing' and task_name = %s"
        until(
            lambda: stack.query(doing, "archive.transfer") == [(0,)],
            "the work process to let go",
            20,
            stack.words,
        )
    # What was asked for is counted when it comes, and stored some at a time: now both have ended.
    came = here(stack, slices[0].SeriesInstanceUID)
    assert 3 <= came <= 30
    assert came == moved(stack, transfer)
    state = "select volume_state from archive_series where uid = %s"
    assert stack.query(state, slices[0].SeriesInstanceUID) == [("pending",)]


def test_open_pages_are_told_of_progress_and_of_no_patient(house: tuple[Stack, Pacs]) -> None:
    stack, pacs = house
    slices = ct_series(30)
    pacs.store(slices)
    with Network(slow(pacs)).listening() as network:
        name_remote(stack, "told", network.url)
        transfer = ask(stack, "told", slices[0].StudyInstanceUID)
        until(lambda: state_of(stack, transfer) == "done", "the pull", 120, stack.words)
    news = "select audience, payload from audit_newsitem where type like 'transfer.%%'"
    rows: list[tuple[Any, ...]] = [
        row for row in stack.query(news) if row[1].get("transfer") == transfer
    ]
    assert {audience for audience, _ in rows} == {"coordinators"}
    counts = [payload["moved"] for _, payload in rows if "moved" in payload]
    assert counts == sorted(counts)
    assert len(set(counts)) > 5
    assert counts[-1] == 30
    told = {key for _, payload in rows for key in payload}
    assert told == {"transfer", "state", "expected", "moved", "there"}


def test_a_push_by_the_command_is_in_the_pacs(house: tuple[Stack, Pacs]) -> None:
    stack, pacs = house
    slices = ct_series(4)
    stack.as_is("stow", "coordinator")
    web_of(stack, "coordinator").store_instances(slices)
    name_remote(stack, "back", pacs.url)
    done = stack.manage("push", "back", "--study", slices[0].StudyInstanceUID)
    assert done.stdout == "4 sent, 0 there already, 0 not taken.\n"
    assert {s.SOPInstanceUID for s in slices} <= set(pacs.files())
    log = "".join(path.read_text() for path in (stack.state / "logs").glob("*.log"))
    assert "Traceback" not in log
