"""Runs that wait for a worker with their model say so, while there is none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from backend.audit.models import NewsItem
from backend.jobs.models import Run, WorkerSession
from backend.jobs.waiting import PATIENCE, nobody_holds, say_what_runs_wait_for

MakeRun = Callable[..., Run]


@pytest.fixture
def long_ago(make_run: MakeRun) -> Run:
    """A run that has waited longer than a worker needs to connect."""
    run = make_run()
    Run.objects.update(queued=timezone.now() - PATIENCE - timedelta(seconds=1))
    return run


def message_of(run: Run) -> str:
    run.refresh_from_db()
    return run.message


def holds(session: WorkerSession, *models: str) -> None:
    facts: dict[str, Any] = {"kinds": ["threshold"], "models": list(models)}
    WorkerSession.objects.filter(pk=session.pk).update(facts=facts, heard=timezone.now())


def test_a_run_says_once_that_no_worker_holds_its_model(
    long_ago: Run, session: WorkerSession
) -> None:
    holds(session, "another model")
    before = NewsItem.objects.count()

    say_what_runs_wait_for()
    say_what_runs_wait_for()

    assert message_of(long_ago) == nobody_holds(long_ago.model)
    assert NewsItem.objects.count() == before + 1


def test_it_takes_that_back_once_a_worker_holds_the_model(
    long_ago: Run, session: WorkerSession
) -> None:
    say_what_runs_wait_for()
    holds(session, long_ago.model.description)

    say_what_runs_wait_for()

    assert message_of(long_ago) == ""


def test_what_happened_to_a_run_before_stays_written_while_a_worker_holds_its_model(
    long_ago: Run, session: WorkerSession
) -> None:
    Run.objects.update(message="The worker was stopped.")
    holds(session, long_ago.model.description)

    say_what_runs_wait_for()

    assert message_of(long_ago) == "The worker was stopped."


def test_a_worker_is_given_time_to_connect(make_run: MakeRun) -> None:
    run = make_run()

    say_what_runs_wait_for()

    assert message_of(run) == ""
