"""Kill -9 of a worker in each stage: another attempt ends well, without a hand."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from backend.imaging.masks import unpack_mask
from backend.jobs.protocol import STAGES
from backend.store import FolderStore
from tests.jobs.answers import packed_mask
from tests.jobs.site import Site
from tests.jobs.threshold import expected_labels

pytestmark = pytest.mark.deep

# Some seconds where nothing else runs; these machines are noisy.
TAKEN_OVER_SECONDS = 15


@pytest.fixture(autouse=True)
def _nothing_left(site: Site) -> Iterator[None]:
    yield
    site.clear()


def assert_ended_well(site: Site, run: str, attempt: int) -> None:
    row = site.until_state(run, "succeeded")
    assert row["attempt"] == attempt
    mask = unpack_mask(FolderStore(site.state / "content").read(row["mask_blob"]))
    assert (mask.to_volume() == expected_labels()).all()
    assert len(row["result"]["nodes"]) == 3
    provenance = row["result"]["provenance"]
    assert provenance["attempt"] == attempt
    assert provenance["timings"].keys() >= {"fetch", "decode", "preprocess", "infer", "measure"}
    assert row["timings"].keys() >= {"wait", "upload"}


@pytest.mark.parametrize("stage", STAGES)
def test_a_worker_killed_in_a_stage_is_replaced(site: Site, stage: str) -> None:
    run = site.enqueue()
    first = site.worker("first", "--pause-before", f"{stage}=60")
    site.until(lambda: site.run(run)["stage"] == stage, f"stage {stage}")
    site.worker("second")
    site.until(
        lambda: site.rows("select 1 from jobs_workersession where name = 'second'"), "the second"
    )

    site.kill(first)
    site.until(lambda: site.run(run)["attempt"] == 2, "another attempt", TAKEN_OVER_SECONDS)
    assert_ended_well(site, run, attempt=2)
    lost, won = site.attempts(run)
    assert (lost["outcome"], lost["worker"], lost["stage"]) == ("lost", "first", stage)
    assert lost["message"] == f"first stopped in stage {stage}."
    assert (won["outcome"], won["worker"]) == ("succeeded", "second")


def test_a_series_that_kills_three_workers_is_set_aside_until_someone_tries_again(
    site: Site,
) -> None:
    run = site.enqueue()
    for attempt in (1, 2, 3):
        worker = site.worker(f"victim{attempt}", "--pause-before", "infer=60")
        site.until(
            lambda n=attempt: (site.run(run)["attempt"], site.run(run)["stage"]) == (n, "infer"),
            f"attempt {attempt} in stage infer",
        )
        site.kill(worker)

    row = site.until_state(run, "dead")
    assert [a["outcome"] for a in site.attempts(run)] == ["lost", "lost", "lost"]
    assert row["message"] == (
        "Given up after 3 attempts; the last one: victim3 stopped in stage infer. "
        "The case can be read without it."
    )
    other = site.enqueue()
    site.worker("survivor")
    site.until_state(other, "succeeded")
    assert site.run(run)["state"] == "dead"

    httpx.post(f"{site.url}/test/runs/{run}/retry", timeout=30).raise_for_status()
    assert_ended_well(site, run, attempt=4)


def test_a_worker_killed_before_it_claims_is_replaced(site: Site) -> None:
    run = site.enqueue()
    site.kill(site.web)
    first = site.worker("first")
    doing = "select 1 from procrastinate_jobs where status = 'doing' and args ->> 'run' = %s"
    site.until(lambda: site.rows(doing, run), "the job to be taken")

    site.kill(first)
    site.start_web()
    site.worker("second")

    assert_ended_well(site, run, attempt=1)


def test_a_stopped_workers_late_result_is_refused(site: Site) -> None:
    run = site.enqueue()
    first = site.worker("first", "--pause-before", "upload=1")
    site.until(lambda: site.run(run)["stage"] == "upload", "stage upload")
    assert first.process is not None
    os.kill(first.process.pid, signal.SIGSTOP)
    site.worker("second")

    assert_ended_well(site, run, attempt=2)
    os.kill(first.process.pid, signal.SIGCONT)
    site.until(lambda: "has ended; nothing of it is taken" in said(first.log), "the refusal")

    assert [a["outcome"] for a in site.attempts(run)] == ["lost", "succeeded"]
    assert "said nothing for" in site.attempts(run)[0]["message"]
    other = site.enqueue()
    site.until_state(other, "succeeded")
    assert first.alive


def test_a_dead_workers_late_put_is_answered_409_and_its_token_opens_nothing(site: Site) -> None:
    run = site.enqueue()
    lease = asyncio.run(claim_and_leave(site, run))
    series = f"{site.url}/dicom-web/studies/{lease['study']}/series/{lease['series']}"
    headers = {"Authorization": f"Bearer {lease['token']}"}
    assert httpx.get(series, headers=headers).status_code == 200
    assert httpx.get(series + "1", headers=headers).status_code == 404
    site.worker("second")
    assert_ended_well(site, run, attempt=2)

    for what, body in (("mask", packed_mask()), ("result", b"{}")):
        url = f"{site.url}/api/runs/{run}/attempts/1/{what}"
        late = httpx.put(url, content=body, headers=headers)
        assert (late.status_code, late.json()["error"]) == (409, "STALE_ATTEMPT")
    assert httpx.get(series, headers=headers).status_code == 404


async def claim_and_leave(site: Site, run: str) -> dict[str, Any]:
    """A worker that claims a run over the socket and is never heard of again."""
    import uuid

    hello = {"type": "hello", "n": 1, "session": str(uuid.uuid4()), "number": 5, "facts": {}}
    async with connect(
        site.url.replace("http", "ws") + "/ws/worker",
        additional_headers={"Authorization": f"Bearer {site.token}"},
    ) as socket:
        await socket.send(json.dumps(hello))
        assert json.loads(await socket.recv())["type"] == "welcome"
        await socket.send(json.dumps({"type": "claim", "n": 2, "run": run}))
        lease: dict[str, Any] = json.loads(await socket.recv())
        assert lease["type"] == "lease"
        return lease


def test_the_web_process_killed_while_a_run_is_done_loses_nothing(site: Site) -> None:
    run = site.enqueue()
    site.worker("first", "--pause-before", "infer=3")
    site.until(lambda: site.run(run)["stage"] == "infer", "stage infer")

    site.kill(site.web)
    site.start_web()

    assert_ended_well(site, run, attempt=1)


def test_the_work_process_killed_is_no_reason_to_wait_once_it_is_back(site: Site) -> None:
    run = site.enqueue()
    first = site.worker("first", "--pause-before", "infer=60")
    site.until(lambda: site.run(run)["stage"] == "infer", "stage infer")
    site.kill(site.work)
    site.kill(first)
    site.worker("second")

    site.work.start()

    assert_ended_well(site, run, attempt=2)


def test_connections_cut_by_the_database_are_made_again(site: Site) -> None:
    run = site.enqueue()
    site.worker("first", "--pause-before", "infer=4")
    site.until(lambda: site.run(run)["stage"] == "infer", "stage infer")

    site.rows(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )

    row = site.until_state(run, "succeeded", 60)
    assert row["attempt"] <= 2
    assert_ended_well(site, site.enqueue(), attempt=1)


def said(log: Path) -> str:
    return log.read_text(errors="replace")
