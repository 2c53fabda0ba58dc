"""A worker's ordinary life: done, failed, cancelled, handed back, refused."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from inference.own_code import code_sha256
from tests.jobs.site import Site

pytestmark = pytest.mark.deep

# A cancelled run stops within a second where nothing else runs; left alone this one takes thirty.
LONG_BEFORE_ITS_END_SECONDS = 10
# A process that ends: far more than it needs on a busy machine.
ENDED_SECONDS = 60


@pytest.fixture(autouse=True)
def _nothing_left(site: Site) -> Iterator[None]:
    yield
    site.clear()


def test_a_queued_run_is_done_and_tells_how(site: Site) -> None:
    run = site.enqueue()
    site.worker("first")

    row = site.until_state(run, "succeeded")

    provenance = row["result"]["provenance"]
    assert provenance["model"]["sha256"]
    assert provenance["input"]["sop_uids_sha256"]
    assert provenance["software"]["code_sha256"] == code_sha256()
    assert provenance["device"] == "CPU"
    assert provenance["wall_seconds"] > 0
    assert provenance["cpu_seconds"] >= 0
    assert provenance["peak_memory_bytes"] > 1 << 20
    assert row["metrics"]["nodes"] == 3
    types = [
        item["type"]
        for item in site.rows(
            "select type from audit_newsitem where audience = %s order by seq", f"run:{run}"
        )
    ]
    assert types[0] == types[-1] == "run.changed"
    assert {"run.progress", "run.metrics"} <= set(types)
    assert "run.gauge" not in types, "what is of a moment is not kept"


def test_a_second_run_is_done_by_the_same_warm_worker(site: Site) -> None:
    worker = site.worker("first")
    first, second = site.enqueue(), site.enqueue()
    site.until_state(first, "succeeded")
    site.until_state(second, "succeeded")

    assert worker.alive
    assert site.attempts(first)[0]["worker"] == site.attempts(second)[0]["worker"]


def test_a_run_is_left_for_a_worker_that_holds_its_model_and_says_what_it_waits_for(
    site: Site,
) -> None:
    run = site.enqueue()
    without = site.worker("without", CONCORD_MODELS=str(site.state / "nowhere"))
    site.until(lambda: site.run(run)["message"], "what it waits for")

    row = site.run(run)
    assert (row["state"], row["attempt"]) == ("queued", 0)
    assert row["message"] == (
        "No connected worker holds threshold-test 1. Start one that does, or put the folder "
        "threshold-test among a worker's models."
    )
    site.worker("with")

    row = site.until_state(run, "succeeded")
    assert (row["leased_by"], row["message"]) == ("with", "")
    assert without.alive


def test_a_model_that_was_altered_leaves_the_run_dead_with_a_sentence(site: Site) -> None:
    from tests.jobs.threshold import write_model

    run = site.enqueue()
    altered = write_model(site.state / "altered")
    (altered / "threshold.json").write_text('{"threshold_hu": 1}')
    site.worker("first", CONCORD_MODELS=str(altered.parent))

    row = site.until_state(run, "dead")

    assert "is not the file that model.json names" in row["message"]


def test_a_series_that_is_not_there_is_tried_three_times(site: Site) -> None:
    run = site.enqueue(series="2.25.99")
    site.worker("first")

    row = site.until_state(run, "dead")

    assert row["attempt"] == 3
    assert "refused the images (404): There is no such series." in row["message"]


def test_a_cancelled_run_stops_long_before_its_end(site: Site) -> None:
    run = site.enqueue()
    worker = site.worker("first", "--pause-before", "infer=30")
    site.until(lambda: site.run(run)["stage"] == "infer", "stage infer")

    httpx.post(f"{site.url}/test/runs/{run}/cancel").raise_for_status()
    cancelled = time.monotonic()
    site.until(
        lambda: site.rows(
            "select 1 from procrastinate_jobs where status = 'aborted' and args ->> 'run' = %s", run
        ),
        "the worker to stop",
    )

    assert time.monotonic() - cancelled < LONG_BEFORE_ITS_END_SECONDS
    assert site.run(run)["state"] == "cancelled"
    assert worker.alive


def test_a_worker_that_is_asked_to_stop_hands_its_run_back(site: Site) -> None:
    run = site.enqueue()
    first = site.worker("first", "--drain", "0.5", "--pause-before", "infer=60")
    site.until(lambda: site.run(run)["stage"] == "infer", "stage infer")
    assert first.process is not None

    first.process.terminate()
    assert first.process.wait(ENDED_SECONDS) == 0
    assert site.attempts(run)[0]["outcome"] == "handed_back"

    site.worker("second")
    assert site.until_state(run, "succeeded")["attempt"] == 2


def test_a_worker_that_is_asked_to_stop_finishes_a_run_that_takes_seconds(site: Site) -> None:
    run = site.enqueue()
    first = site.worker("first", "--drain", "60", "--pause-before", "infer=2")
    site.until(lambda: site.run(run)["stage"] == "infer", "stage infer")
    assert first.process is not None

    first.process.terminate()

    assert first.process.wait(ENDED_SECONDS) == 0
    assert site.run(run)["state"] == "succeeded"


def test_runs_of_one_case_are_not_done_at_the_same_time(site: Site) -> None:
    case = "7f7a7c66-7a0c-4f3c-9d62-0f1f3f4f5f6f"
    site.worker("first", "--pause-before", "infer=2")
    site.worker("second", "--pause-before", "infer=2")
    one, two = site.enqueue(case=case), site.enqueue(case=case)

    site.until_state(one, "succeeded")
    site.until_state(two, "succeeded")

    (first,), (second,) = site.attempts(one), site.attempts(two)
    assert first["ended"] <= second["leased"]


def test_a_worker_with_a_wrong_token_ends_and_says_what_to_do(site: Site) -> None:
    worker = site.worker("stranger", token="cw_wrong")
    assert worker.process is not None

    assert worker.process.wait(ENDED_SECONDS) == 2
    assert "create_worker_token" in worker.log.read_text()


def test_a_worker_token_opens_no_user_address(site: Site) -> None:
    run = site.enqueue()
    headers = {"Authorization": f"Bearer {site.token}"}

    for method, path in (("GET", ""), ("POST", "/cancel"), ("POST", "/retry")):
        answer = httpx.request(method, f"{site.url}/api/runs/{run}{path}", headers=headers)
        assert answer.status_code == 401
    put = httpx.put(f"{site.url}/api/runs/{run}/attempts/1/mask", headers=headers, content=b"")
    assert put.status_code == 401


def test_readiness_tells_workers_but_does_not_need_them(site: Site) -> None:
    without = httpx.get(f"{site.url}/readyz")
    site.worker("first")
    site.until(lambda: httpx.get(f"{site.url}/readyz").json()["workers"] >= 1, "a live worker")

    assert without.status_code == 200
    assert httpx.get(f"{site.url}/healthz").json()["ok"]


def test_the_work_process_says_one_line_and_ends_in_good_order(site: Site) -> None:
    work = site.child("work2", "manage.py", "work")
    work.start()
    site.until(lambda: "work: started" in work.log.read_text(), "the start line")
    assert work.process is not None

    work.process.terminate()

    assert work.process.wait(ENDED_SECONDS) == 0
    assert work.log.read_text().strip() == "work: started"
