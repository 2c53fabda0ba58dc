"""A run's page and its socket: stages, the worker's gauge, filters; who may hear of it."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable

import pytest
from django.test import Client

from backend.accounts.models import User
from backend.audit.models import NewsItem
from backend.jobs import services, sessions
from backend.jobs.models import ModelVersion, Run, WorkerSession
from backend.jobs.presentation import stage_bars
from backend.jobs.protocol import STAGES
from backend.jobs.run_news import audiences_of_run
from inference.gauge import Gauge
from tests.jobs.answers import packed_mask, result
from tests.jobs.threshold import write_model

MakeRun = Callable[..., Run]


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("runs-admin")


def page(user: User, path: str) -> str:
    client = Client()
    client.force_login(user)
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_bar_shows_every_stage_in_its_order_and_share() -> None:
    seconds = dict.fromkeys(STAGES, 0.5) | {"infer": 4.5, "wait": 60.0, "announce": 0.0}

    wait, *stages = stage_bars(seconds)

    assert (wait["name"], wait["width"]) == ("wait", None)
    assert [stage["name"] for stage in stages] == list(STAGES)
    assert math.isclose(sum(stage["width"] for stage in stages), 100, abs_tol=0.01)
    assert all(stage["width"] > 0 for stage in stages)
    assert {s["name"]: s["share"] for s in stages}["infer"] == 60
    assert stage_bars({}) == []


def test_the_page_shows_stages_attempts_and_the_workers_gauge(
    admin: User, make_run: MakeRun, session: WorkerSession, tmp_path
) -> None:  # type: ignore[no-untyped-def]
    from backend.jobs import results

    run = make_run()
    lease = services.claim(run=run.pk, session=session)
    sessions.hear(session, {"cpu": 0.42, "memory_bytes": 3 << 20, "memory_limit_bytes": 9 << 20})
    services.progress(run=run.pk, attempt=1, stage="infer", fraction=0.5)

    live = page(admin, f"/runs/{run.pk}/")
    assert "42 %" in live
    assert '<li data-stage="infer" aria-current="step">' in live
    assert 'data-meter="gpu" hidden' in live
    assert 'data-key="c"' in live

    attempt = results.attempt_of(token=lease.token, run=run.pk, number=1)
    mask = results.put_mask(attempt=attempt, body=packed_mask())
    results.put_result(attempt=attempt, value=result(run, mask))
    services.mask_ready(
        run=run.pk, attempt=1, sha256=mask, values={}, timings={"upload": 0.1, "announce": 0.02}
    )
    ended = page(admin, f"/runs/{run.pk}/")
    for stage in ("fetch", "infer", "upload", "announce"):
        assert f'class="stage-{stage}"' in ended
    assert 'data-attempt="1" data-outcome="succeeded"' in ended
    assert "data-gauge" not in ended


def test_a_gauge_is_kept_and_told_to_who_watches_the_run_alone() -> None:
    said = {
        "cpu": 0.5, "memory_bytes": 10, "gpu": math.nan, "gpu_memory_bytes": -1, "load": 3,
        "memory_limit_bytes": "9" * 400,
    }  # fmt: skip
    assert sessions.gauge_of(said) == {"cpu": 0.5, "memory_bytes": 10.0}
    for nothing in (None, [], "cpu", 7, {"cpu": True}, {"cpu": 10**400}):
        assert sessions.gauge_of(nothing) == {}


def test_a_worker_reads_its_own_machine() -> None:
    gauge = Gauge()
    sum(n * n for n in range(200_000))

    said = gauge.read()

    assert 0 <= said["cpu"] <= 1
    assert said["memory_bytes"] > 1 << 20
    assert said["memory_limit_bytes"] >= said["memory_bytes"]
    assert sessions.gauge_of(said) == said


def test_only_who_may_look_at_a_run_hears_of_it(admin: User, make_run: MakeRun) -> None:
    run = make_run()

    assert audiences_of_run(admin, run.pk) == [f"run:{run.pk}"]
    assert audiences_of_run(User.objects.create_user("runs-nobody"), run.pk) is None
    assert audiences_of_run(admin, uuid.uuid4()) is None
    assert NewsItem.objects.filter(audience=f"run:{run.pk}").exists()


def test_the_list_is_narrowed_by_state_kind_and_model(
    admin: User, make_run: MakeRun, model: ModelVersion, tmp_path
) -> None:  # type: ignore[no-untyped-def]
    other = services.register_model(folder=write_model(tmp_path, "another"), actor=None)
    waiting, trial, cancelled = make_run(), make_run(kind="trial"), make_run(model=other)
    services.cancel(run=cancelled.pk, actor=None)

    def listed(query: str) -> set[str]:
        shown = page(admin, f"/runs/?{query}")
        return {str(r.pk) for r in (waiting, trial, cancelled) if f'data-run="{r.pk}"' in shown}

    assert listed("") == {str(waiting.pk), str(trial.pk), str(cancelled.pk)}
    assert listed("state=waiting") == {str(waiting.pk), str(trial.pk)}
    assert listed("kind=trial") == {str(trial.pk)}
    assert listed(f"model={other.pk}") == {str(cancelled.pk)}
    assert listed("state=odd&kind=odd&model=odd") == listed("")
    assert "No such run" in page(admin, "/runs/?state=succeeded")
    assert 'hx-get="/runs/?state=waiting"' in page(admin, "/runs/?state=waiting")


def test_a_cancel_that_comes_too_late_says_so(admin: User, make_run: MakeRun) -> None:
    run = make_run()
    client = Client()
    client.force_login(admin)

    first = client.post(f"/runs/{run.pk}/cancel")
    again = client.post(f"/runs/{run.pk}/cancel", follow=True)

    assert first.headers["Location"] == f"/runs/{run.pk}/"
    assert "Cannot cancel a run that is cancelled" in again.content.decode()
