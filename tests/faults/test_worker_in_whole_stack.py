"""The shipped model on a study that was received: archive, case, queue, worker, proposal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.phantom_dicom import write_series
from fixtures.small import small_phantom
from tests.stack import Stack, until

pytestmark = pytest.mark.deep

SHAPE = (40, 128, 128)


def newest_run(stack: Stack) -> dict[str, Any]:
    rows = stack.query(
        "select id, state, attempt, stage, message, result from jobs_run order by created desc"
    )
    names = ("id", "state", "attempt", "stage", "message", "result")
    return dict(zip(names, rows[0], strict=True)) if rows else {}


def until_newest(stack: Stack, seconds: float = 90, **wanted: Any) -> dict[str, Any]:
    def there() -> dict[str, Any] | None:
        found = newest_run(stack)
        return found if all(found.get(key) == value for key, value in wanted.items()) else None

    found: dict[str, Any] = until(there, f"a run with {wanted}", seconds, stack.words)
    return found


def newest_case(stack: Stack) -> tuple[str, str]:
    """Its AI's state and message."""
    row = stack.query("select ai_state, ai_message from reading_case order by created desc")[0]
    return str(row[0]), str(row[1])


@pytest.fixture(autouse=True)
def _own_workers(stack: Stack) -> Iterator[None]:
    """Each test starts the workers it needs."""
    for worker in stack.workers:
        worker.stop()
    yield
    for worker in stack.workers:
        worker.stop()


@pytest.fixture
def study(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A little phantom's images, another one for each test."""
    seed = sum(request.node.name.encode())
    phantom = small_phantom(seed, SHAPE, (2.0, 1.5, 1.5))
    write_series(phantom, tmp_path / "study", patient_id=f"P{seed}")
    return tmp_path / "study"


def test_a_received_study_is_segmented_by_itself(stack: Stack, study: Path) -> None:
    stack.start_worker()
    stack.manage("receive", str(study))

    run = until_newest(stack, state="succeeded")

    provenance = run["result"]["provenance"]
    assert provenance["model"]["name"]
    assert provenance["input"]["shape"] == list(SHAPE)
    assert newest_case(stack) == ("ready", "")


def test_a_killed_worker_is_replaced_and_the_proposal_comes(stack: Stack, study: Path) -> None:
    first = stack.start_worker("--name", "first", "--pause-before", "infer=60")
    stack.manage("receive", str(study))
    run = until_newest(stack, stage="infer", attempt=1)

    stack.kill(first)
    stack.start_worker("--name", "second")

    assert until_newest(stack, state="succeeded")["id"] == run["id"]
    outcomes = stack.query(
        "select outcome, worker from jobs_runattempt where run_id = %s order by number", run["id"]
    )
    assert outcomes == [("lost", "first"), ("succeeded", "second")]


def test_where_no_worker_holds_the_model_the_case_is_readable_and_says_what_it_waits_for(
    stack: Stack, study: Path, tmp_path: Path
) -> None:
    stack.start_worker(CONCORD_MODELS=str(tmp_path / "nowhere"))
    stack.manage("receive", str(study))

    until(lambda: newest_case(stack)[1], "what the case waits for", 60)

    state, message = newest_case(stack)
    assert state == "queued"
    assert message.startswith("No connected worker holds")
    stack.start_worker()
    until_newest(stack, state="succeeded")
    assert newest_case(stack) == ("ready", "")
