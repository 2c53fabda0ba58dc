"""The verbs of a run, in the database."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from procrastinate.contrib.django.models import ProcrastinateJob

from backend.audit.models import Event
from backend.errors import BadInput, WrongState
from backend.imaging.grid import Grid
from backend.jobs import queue, registry, results, services
from backend.jobs.models import Run, RunAttempt, WorkerSession
from backend.jobs.protocol import RunState
from backend.store import store
from tests.jobs import answers

MakeRun = Callable[..., Run]


def jobs_of(run: Run) -> list[ProcrastinateJob]:
    return list(ProcrastinateJob.objects.filter(args__run=str(run.pk)).order_by("id"))


def attempt_of(lease: services.Lease) -> RunAttempt:
    return results.attempt_of(token=lease.token, run=lease.run.id, number=lease.attempt)


def put_both(lease: services.Lease) -> str:
    mask = results.put_mask(attempt=attempt_of(lease), body=answers.packed_mask())
    results.put_result(attempt=attempt_of(lease), value=answers.result(lease.run, mask))
    return mask


def announce(lease: services.Lease, mask: str) -> Run:
    return services.mask_ready(
        run=lease.run.id, attempt=lease.attempt, sha256=mask, values={}, timings={"upload": 0.1}
    )


@pytest.fixture
def heard() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """What rooms above are told."""
    told: list[tuple[str, dict[str, Any]]] = []

    def listener(run: Run, what: str, payload: dict[str, Any]) -> None:
        told.append((what, payload))

    registry.on_run_changed.append(listener)
    yield told
    registry.on_run_changed.remove(listener)


def test_a_run_and_its_job_are_made_in_one_transaction(make_run: MakeRun) -> None:
    run = make_run()

    (job,) = jobs_of(run)

    queue_name = f"inference:{run.model.description[:16]}"
    assert (job.queue_name, job.task_name, job.status) == (queue_name, "inference.run", "todo")
    assert job.args == {"run": str(run.pk)}
    assert Event.objects.filter(action="run.queued", subject_id=str(run.pk)).count() == 1


def test_a_rolled_back_transaction_leaves_no_job(make_run: MakeRun) -> None:
    made: list[Run] = []

    def make_and_fail() -> None:
        made.append(make_run())
        assert jobs_of(made[0])
        raise LookupError

    with pytest.raises(LookupError), transaction.atomic():
        make_and_fail()

    assert jobs_of(made[0]) == []
    assert not Run.objects.filter(pk=made[0].pk).exists()


def test_a_run_waits_in_the_queue_at_most_once(make_run: MakeRun) -> None:
    run = make_run()

    again = queue.defer_run(run.id, subject="x")

    assert not again
    assert len(jobs_of(run)) == 1


def test_a_run_must_name_the_geometry_its_mask_must_have(make_run: MakeRun) -> None:
    with pytest.raises(ValueError, match="geometry_hash"):
        make_run(parameters={})


def test_a_claim_gives_a_lease_that_opens_the_run_until_the_attempt_ends(
    make_run: MakeRun, session: WorkerSession
) -> None:
    run = make_run()

    lease = services.claim(run=run.id, session=session)

    assert lease.attempt == 1
    assert services.lease_of(lease.token) == run
    assert services.lease_of(lease.token + "x") is None
    services.lose(run=run.id, attempt=1, message="gone")
    assert services.lease_of(lease.token) is None


def test_a_leased_run_cannot_be_claimed_by_another(
    make_run: MakeRun, session: WorkerSession
) -> None:
    run = make_run()
    services.claim(run=run.id, session=session, job=1)

    with pytest.raises(WrongState, match=r"Cannot claim a run that is leased\. Possible now: "):
        services.claim(run=run.id, session=session, job=2)


def test_a_claim_whose_answer_was_lost_is_answered_again_with_a_new_token(
    make_run: MakeRun, session: WorkerSession
) -> None:
    run = make_run()
    first = services.claim(run=run.id, session=session, job=1)

    second = services.claim(run=run.id, session=session, job=1)

    assert second.attempt == first.attempt
    assert services.lease_of(first.token) is None
    assert services.lease_of(second.token) == run


def test_what_comes_from_an_attempt_that_ended_is_refused(
    make_run: MakeRun, session: WorkerSession
) -> None:
    run = make_run()
    first = services.claim(run=run.id, session=session)
    held = attempt_of(first)
    services.lose(run=run.id, attempt=1, message="worker-a stopped in stage infer.")
    second = services.claim(run=run.id, session=session)

    for late in (
        lambda: attempt_of(first),
        lambda: results.put_mask(attempt=held, body=answers.packed_mask()),
        lambda: services.progress(run=run.id, attempt=1, stage="infer", fraction=0.5),
        lambda: announce(first, "0" * 64),
        lambda: services.fail(run=run.id, attempt=1, message="late"),
    ):
        with pytest.raises(WrongState) as refused:
            late()
        assert refused.value.code == "STALE_ATTEMPT"
    assert announce(second, put_both(second)).state == RunState.SUCCEEDED.value


def test_a_run_succeeds_with_mask_and_result_together(
    make_run: MakeRun, session: WorkerSession, heard: list[tuple[str, dict[str, Any]]]
) -> None:
    run = make_run()
    lease = services.claim(run=run.id, session=session)
    services.progress(run=run.id, attempt=1, stage="infer", fraction=0.5)
    mask = results.put_mask(attempt=attempt_of(lease), body=answers.packed_mask())
    with pytest.raises(WrongState, match="must be put before"):
        announce(lease, mask)
    results.put_result(attempt=attempt_of(lease), value=answers.result(run, mask))

    done = announce(lease, mask)

    assert announce(lease, mask).state == done.state == RunState.SUCCEEDED.value
    assert store().read(done.mask_blob) == answers.packed_mask()
    assert done.timings.keys() >= {"wait", "fetch", "infer", "upload"}
    assert [what for what, _ in heard] == ["queued", "leased", "progress", "succeeded"]
    assert heard[-1][1]["nodes"] == 3
    assert services.lease_of(lease.token) is None


def test_a_failing_listener_rolls_the_step_back(make_run: MakeRun, session: WorkerSession) -> None:
    def listener(run: Run, what: str, payload: dict[str, Any]) -> None:
        raise LookupError

    run = make_run()
    registry.on_run_changed.append(listener)
    try:
        with pytest.raises(LookupError), transaction.atomic():
            services.claim(run=run.id, session=session)
    finally:
        registry.on_run_changed.remove(listener)

    assert Run.objects.get(pk=run.pk).state == RunState.QUEUED.value


def test_a_failed_run_is_tried_three_times_and_then_says_why(
    make_run: MakeRun, session: WorkerSession, heard: list[tuple[str, dict[str, Any]]]
) -> None:
    run = make_run()

    for number in (1, 2, 3):
        lease = services.claim(run=run.id, session=session)
        assert lease.attempt == number
        found = services.fail(run=run.id, attempt=number, message="The disk is full.")

    assert found.state == RunState.DEAD.value
    assert found.message == (
        "Given up after 3 attempts; the last one: The disk is full. "
        "The case can be read without it."
    )
    assert [what for what, _ in heard][-4:] == ["failed", "queued", "leased", "dead"]


def test_a_final_failure_is_not_tried_again(make_run: MakeRun, session: WorkerSession) -> None:
    run = make_run()
    services.claim(run=run.id, session=session)

    found = services.fail(run=run.id, attempt=1, message="model.json is missing.", final=True)

    assert found.state == RunState.DEAD.value
    assert found.message == "model.json is missing. The case can be read without it."


def test_a_run_handed_back_does_not_lose_an_attempt(
    make_run: MakeRun, session: WorkerSession
) -> None:
    run = make_run()
    for number in range(1, 6):
        services.claim(run=run.id, session=session)
        found = services.hand_back(run=run.id, attempt=number)

    assert found.state == RunState.QUEUED.value


def test_a_cancelled_run_takes_its_job_along_and_can_be_retried(
    make_run: MakeRun, session: WorkerSession
) -> None:
    run = make_run()
    lease = services.claim(run=run.id, session=session)

    cancelled = services.cancel(run=run.id, actor=None)

    assert cancelled.state == RunState.CANCELLED.value
    assert [job.status for job in jobs_of(run)] == ["cancelled"]
    assert services.lease_of(lease.token) is None
    again = services.retry(run=run.id, actor=None)
    assert (again.state, again.attempts_allowed) == (RunState.QUEUED.value, 4)
    assert [job.status for job in jobs_of(run)] == ["cancelled", "todo"]
    with pytest.raises(WrongState, match="Possible now: claim, cancel"):
        services.retry(run=run.id, actor=None)


def test_a_mask_on_another_grid_is_refused(make_run: MakeRun, session: WorkerSession) -> None:
    lease = services.claim(run=make_run().id, session=session)
    other = Grid.axial((4, 8, 8), (1.0, 1.0, 1.0))

    with pytest.raises(BadInput, match="does not lie on the grid"):
        results.put_mask(attempt=attempt_of(lease), body=answers.packed_mask(other))
    with pytest.raises(BadInput, match=r"cannot be read|cut off"):
        results.put_mask(attempt=attempt_of(lease), body=b"\x10\0\0\0 nonsense nonsense")
    with pytest.raises(BadInput, match="decompressed"):
        results.put_mask(attempt=attempt_of(lease), body=b"plain", encoding="zstd")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r.pop("nodes"), "list of nodes"),
        (lambda r: r["nodes"][0].pop("uuid"), "has no UUID"),
        (lambda r: r["nodes"][0].update(label=65_536), "label 65536; a mask holds at most 65535"),
        (lambda r: r["nodes"][0].update(score=7), "cannot have score 7: it is a number from 0 to"),
        (lambda r: r["nodes"][0].update(score="0.5"), "cannot have score '0.5'"),
        (lambda r: r["nodes"][0].pop("measures"), "Node 1 has no measures"),
        (lambda r: r["nodes"][0]["measures"].pop("sad_mm"), "Node 1 has no sad_mm"),
        (
            lambda r: r["nodes"][0]["measures"].update(slice_index=10**9),
            "Node 1 cannot have slice_index 1000000000: on this grid it is a whole number from 0",
        ),
        (
            lambda r: r["nodes"][0]["measures"].update(sad_mm=1e308),
            r"Node 1 cannot have sad_mm 1e\+308: on this grid it is a number from 0",
        ),
        (lambda r: r["nodes"].append(r["nodes"][0]), "measured twice"),
        (lambda r: r.pop("provenance"), "no provenance"),
        (lambda r: r["provenance"].pop("device"), "does not tell device"),
        (lambda r: r["provenance"].update(timings={"infer": "long"}), "infer is 'long', no number"),
        (lambda r: r["provenance"].update(timings={"infer": -1}), "infer is -1, no number from 0"),
        (lambda r: r["provenance"].update(timings=5), "no object of at most 64 figures"),
        (lambda r: r["provenance"]["model"].update(sha256="0" * 64), "was not made by"),
        (lambda r: r["provenance"]["model"].update(description="0" * 64), "was not made by"),
        (lambda r: r.update(mask="0" * 64), "another mask"),
    ],
)
def test_a_result_that_is_not_whole_is_refused(
    make_run: MakeRun, session: WorkerSession, change: Callable[[Any], Any], said: str
) -> None:
    lease = services.claim(run=make_run().id, session=session)
    mask = results.put_mask(attempt=attempt_of(lease), body=answers.packed_mask())
    value = answers.result(lease.run, mask)
    change(value)

    with pytest.raises(BadInput, match=said):
        results.put_result(attempt=attempt_of(lease), value=value)


@pytest.mark.parametrize(
    "broken",
    [
        {"state": "asleep"},
        {"state": RunState.SUCCEEDED.value},
        {"state": RunState.DEAD.value, "message": ""},
        {"state": RunState.LEASED.value, "attempt": 0},
        {"progress": 1.5},
    ],
)
def test_the_database_refuses_runs_that_cannot_be(
    make_run: MakeRun, broken: dict[str, Any]
) -> None:
    run = make_run()

    with pytest.raises(IntegrityError), transaction.atomic():
        Run.objects.filter(pk=run.pk).update(**broken)


def test_the_database_refuses_a_second_live_attempt(
    make_run: MakeRun, session: WorkerSession
) -> None:
    run = make_run()
    services.claim(run=run.id, session=session)
    first = run.attempts.get()

    with pytest.raises(IntegrityError), transaction.atomic():
        RunAttempt.objects.create(
            run=run, number=2, lease_digest=uuid.uuid4().hex, worker="b", leased=first.leased
        )
