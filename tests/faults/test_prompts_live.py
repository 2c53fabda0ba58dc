"""Prompts with real workers: beside a run, after a kill -9, once fetched, cancelled."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from backend.imaging.masks import parse_patch
from backend.jobs.protocol import PROPOSED_NODE
from tests.jobs.site import Site
from tests.jobs.threshold import CENTRES, SHAPE, write_model

pytestmark = pytest.mark.deep

# A click waits for no run: far below what the held run below takes, far above a busy machine.
SOON_SECONDS = 20.0
# Some seconds where nothing else runs; these machines are noisy.
TAKEN_OVER_SECONDS = 60


@pytest.fixture(autouse=True)
def _nothing_left(site: Site) -> Iterator[None]:
    yield
    site.clear()


def ask(site: Site, at: tuple[int, int, int] = CENTRES[0], **asked: Any) -> str:
    clicks = [{"at": list(at), "within": True}]
    return site.enqueue(kind="prompt", parameters={"clicks": clicks, "box": None}, **asked)


def assert_answered(site: Site, run: str, at: tuple[int, int, int], seconds: float = 60) -> Any:
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
    site.worker("only", "--pause-before", "infer=600")
    site.until(lambda: site.run(run)["stage"] == "infer", "stage infer")

    for centre in CENTRES * 3:
        began = time.monotonic()
        assert_answered(site, ask(site, centre), centre)
        assert time.monotonic() - began < SOON_SECONDS

    assert site.run(run)["stage"] == "infer", "the run is still where it was"


def test_a_prompt_waits_for_no_run_of_its_own_case(site: Site) -> None:
    case = "5a3c2a5e-6a62-4f3e-8a3c-0d8c5f3f9b11"
    run = site.enqueue(case=case)
    site.worker("only", "--pause-before", "infer=600")
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
    site.until(lambda: site.run(run)["attempt"] == 2, "another attempt", TAKEN_OVER_SECONDS)
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
    row = site.until_state(run, "dead")
    assert row["message"].startswith("Given up after 2 attempts")


def test_a_cancelled_prompt_frees_the_lane_at_once(site: Site) -> None:
    run = ask(site)
    site.worker("only", "--pause-before", "prompt=60")
    site.until(lambda: site.run(run)["attempt"] == 1, "the claim")

    httpx.post(f"{site.url}/test/runs/{run}/cancel", timeout=30).raise_for_status()
    following = ask(site, CENTRES[1])

    site.until(lambda: site.run(following)["attempt"] == 1, "the next prompt's claim", SOON_SECONDS)
    assert site.run(run)["state"] == "cancelled"


def test_a_click_is_answered_by_the_worker_that_holds_its_model(site: Site) -> None:
    """One worker holds the version before; it is never given what it could not answer."""
    older, newer = site.state / "older", site.state / "newer"
    write_model(older)
    model = write_model(newer).rename(newer / "threshold-next")
    described = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps({**described, "version": "2"}))
    site.worker("older", CONCORD_MODELS=str(older))
    site.worker("newer", CONCORD_MODELS=str(newer))
    known = "select 1 from jobs_workersession where name in ('older', 'newer') and gone is null"
    site.until(lambda: len(site.rows(known)) == 2, "both workers")

    for version, folder, centre in (("2", model, CENTRES[0]), ("1", site.model, CENTRES[1])) * 3:
        row = assert_answered(site, ask(site, centre, model=str(folder)), centre)
        assert row["result"]["provenance"]["model"]["version"] == version
        assert row["leased_by"] == ("newer" if version == "2" else "older")


def test_a_model_that_is_put_beside_a_running_worker_s_is_asked_without_a_restart(
    site: Site,
) -> None:
    models = site.state / "filled-later"
    models.mkdir()
    site.worker("later", CONCORD_MODELS=str(models))
    holds = "select facts -> 'models' as models from jobs_workersession where name = 'later'"
    site.until(lambda: site.rows(holds), "the worker")
    assert site.rows(holds)[0]["models"] == []
    run = ask(site)

    shutil.copytree(site.model, models / site.model.name)

    site.until(lambda: site.rows(holds)[0]["models"], "its word that it holds the model")
    assert_answered(site, run, CENTRES[0])
