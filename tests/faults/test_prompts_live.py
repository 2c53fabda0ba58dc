"""Prompts with real workers: beside a run, after a kill -9, once fetched, cancelled."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from backend.imaging.masks import parse_patch
from backend.jobs.protocol import PROPOSED_NODE
from tests.jobs.site import Site
from tests.jobs.threshold import CENTRES, SHAPE

# A click waits for no run: far below what the held run below takes, far above a busy machine.
SOON_SECONDS = 5.0
TAKEN_OVER_SECONDS = 5.0


@pytest.fixture(autouse=True)
def _nothing_left(site: Site) -> Iterator[None]:
    yield
    site.clear()


def ask(site: Site, at: tuple[int, int, int] = CENTRES[0], **asked: Any) -> str:
    clicks = [{"at": list(at), "within": True}]
    return site.enqueue(kind="prompt", parameters={"clicks": clicks, "box": None}, **asked)


def assert_answered(site: Site, run: str, at: tuple[int, int, int], seconds: float = 30) -> Any:
    """Answered with a proposal that holds the click, by the model the run names."""
    row = site.until_state(run, "succeeded", seconds)
    result = row["result"]
    patch = parse_patch({"nodes": [PROPOSED_NODE], "slices": result["slices"]}, SHAPE)
    assert result["voxels"] > 0
    assert at[0] in {part.index for part in patch.slices}
    assert result["provenance"]["model"]["name"] == "threshold-test"
    assert result["provenance"]["algorithm"]["network"] is False
    return row


def test_prompts_are_answered_while_a_run_is_being_done(site: Site) -> None:
    run = site.enqueue()
    site.worker("only", "--pause-before", "infer=60")
    site.until(lambda: site.run(run)["stage"] == "infer", "stage infer")

    for centre in CENTRES * 3:
        began = time.monotonic()
        assert_answered(site, ask(site, centre), centre)
        assert time.monotonic() - began < SOON_SECONDS

    assert site.run(run)["stage"] == "infer", "the run is still where it was"


def test_a_prompt_waits_for_no_run_of_its_own_case(site: Site) -> None:
    case = "5a3c2a5e-6a62-4f3e-8a3c-0d8c5f3f9b11"
    run = site.enqueue(case=case)
    site.worker("only", "--pause-before", "infer=60")
    site.until(lambda: site.run(run)["stage"] == "infer", "stage infer")
    # The reading is the prompt's subject, not the case: they do not exclude one another.
    assert_answered(site, ask(site), CENTRES[0])


def test_a_series_is_fetched_once_and_kept(site: Site) -> None:
    site.worker("only", CONCORD_WORKER_CACHE=str(site.state / "kept"))
    first = assert_answered(site, ask(site), CENTRES[0])
    second = assert_answered(site, ask(site), CENTRES[0])
    assert "fetch" in first["timings"]
    assert "fetch" not in second["timings"]
    assert first["result"]["slices"] == second["result"]["slices"]
    assert (site.state / "kept").stat().st_mode & 0o077 == 0, "others cannot look into it"


def test_a_worker_killed_during_a_prompt_is_replaced(site: Site) -> None:
    run = ask(site)
    first = site.worker("first", "--pause-before", "prompt=60")
    site.until(lambda: site.run(run)["attempt"] == 1, "the claim")
    site.worker("second")
    heard = "select 1 from jobs_workersession where name = 'second'"
    site.until(lambda: site.rows(heard), "the second")

    site.kill(first)
    killed = time.monotonic()
    site.until(lambda: site.run(run)["attempt"] == 2, "another attempt", 15)

    assert time.monotonic() - killed < TAKEN_OVER_SECONDS
    assert_answered(site, run, CENTRES[0])
    lost, won = site.attempts(run)
    assert (lost["outcome"], won["outcome"]) == ("lost", "succeeded")
    assert won["worker"] == "second"


def test_a_prompt_that_kills_two_workers_ends_with_a_sentence(site: Site) -> None:
    run = ask(site)
    for number in (1, 2):
        worker = site.worker(f"worker{number}", "--pause-before", "prompt=60")
        site.until(lambda n=number: site.run(run)["attempt"] == n, f"claim {number}")
        site.kill(worker)
    row = site.until_state(run, "dead", 15)
    assert row["message"].startswith("Given up after 2 attempts")


def test_a_cancelled_prompt_frees_the_lane_at_once(site: Site) -> None:
    run = ask(site)
    site.worker("only", "--pause-before", "prompt=60")
    site.until(lambda: site.run(run)["attempt"] == 1, "the claim")

    httpx.post(f"{site.url}/test/runs/{run}/cancel", timeout=30).raise_for_status()
    following = ask(site, CENTRES[1])

    site.until(lambda: site.run(following)["attempt"] == 1, "the next prompt's claim", SOON_SECONDS)
    assert site.run(run)["state"] == "cancelled"
