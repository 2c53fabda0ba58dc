"""What workers put over HTTP, and what people may see, cancel and retry."""

from __future__ import annotations

import asyncio
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import zstandard
from django.db.models import Q
from django.test import Client
from django.utils import timezone

from backend.accounts.models import User, WorkerToken
from backend.accounts.services import create_token
from backend.errors import BadInput, WrongState
from backend.jobs import registry, results, services
from backend.jobs.consumers import WorkerConsumer
from backend.jobs.models import Run, WorkerSession
from backend.jobs.protocol import RunState
from tests.jobs import answers

MakeRun = Callable[..., Run]


@pytest.fixture
def lease(make_run: MakeRun, session: WorkerSession) -> services.Lease:
    return services.claim(run=make_run().id, session=session)


def put(lease: services.Lease, what: str, body: bytes, **headers: str) -> Any:
    return Client().put(
        f"/api/runs/{lease.run.id}/attempts/{lease.attempt}/{what}",
        body,
        content_type="application/octet-stream",
        headers={"Authorization": f"Bearer {lease.token}", **headers},
    )


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def reader(db: None) -> User:
    return User.objects.create_user("jobs-reader")


@pytest.fixture
def admin(db: None) -> User:
    return User.objects.create_superuser("jobs-admin")


@pytest.fixture
def rules() -> Iterator[None]:
    """The registry as it was, after the test."""
    lists = (registry.runs_seen_by, registry.runs_managed_by, registry.opens_runs_page)
    before = [list(rules) for rules in lists]
    for rules in lists:
        rules.clear()
    yield
    for rules, old in zip(lists, before, strict=True):
        rules[:] = old


def test_mask_and_result_are_put_with_the_lease_token(lease: services.Lease) -> None:
    packed = answers.packed_mask()

    mask = put(lease, "mask", zstandard.compress(packed), **{"Content-Encoding": "zstd"})
    name = mask.json()["sha256"]
    result = put(lease, "result", json.dumps(answers.result(lease.run, name)).encode())

    assert (mask.status_code, result.status_code) == (200, 200)
    assert mask.headers["ETag"] == f'"{name}"'
    attempt = lease.run.attempts.get()
    assert attempt.mask_blob == name
    assert len(attempt.result["nodes"]) == 3


def test_putting_the_same_mask_twice_is_putting_it_once(lease: services.Lease) -> None:
    first, second = (put(lease, "mask", answers.packed_mask()) for _ in range(2))

    assert first.json() == second.json()


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [(None, 401, "NOT_SIGNED_IN"), ("cl_made_up", 401, "NOT_SIGNED_IN")],
)
def test_without_a_lease_nothing_is_taken(
    lease: services.Lease, token: str | None, status: int, code: str
) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"/api/runs/{lease.run.id}/attempts/1/mask"

    answer = Client().put(url, b"", content_type="application/octet-stream", headers=headers)

    assert (answer.status_code, answer.json()["error"]) == (status, code)


def test_a_lease_opens_only_its_own_run(
    lease: services.Lease, make_run: MakeRun, session: WorkerSession
) -> None:
    other = services.claim(run=make_run().id, session=session)

    answer = put(services.Lease(other.run, 1, lease.token), "mask", answers.packed_mask())

    assert (answer.status_code, answer.json()["error"]) == (403, "NOT_YOUR_LEASE")


def test_a_late_put_is_answered_409(lease: services.Lease) -> None:
    services.lose(run=lease.run.id, attempt=1, message="gone")

    answer = put(lease, "mask", answers.packed_mask())

    assert (answer.status_code, answer.json()["error"]) == (409, "STALE_ATTEMPT")


def test_a_damaged_mask_is_answered_with_a_sentence(lease: services.Lease) -> None:
    answer = put(lease, "mask", answers.packed_mask()[:-5])

    assert (answer.status_code, answer.json()["error"]) == (400, "MASK_DAMAGED")
    assert "needs" not in answer.json()["error"]


def test_a_users_token_does_not_put_results(lease: services.Lease, admin: User) -> None:
    answer = put(
        services.Lease(lease.run, 1, create_token(user=admin)), "mask", answers.packed_mask()
    )

    assert answer.status_code == 401


@pytest.mark.usefixtures("rules")
def test_a_run_is_hidden_from_everyone_the_rooms_above_do_not_name(
    lease: services.Lease, reader: User, admin: User
) -> None:
    url = f"/api/runs/{lease.run.id}"

    assert Client().get(url).status_code == 401
    assert signed_in(reader).get(url).status_code == 404
    assert signed_in(admin).get(url).json()["state"] == RunState.LEASED.value
    registry.runs_seen_by.append(lambda user: Q(pk=lease.run.pk))
    seen = signed_in(reader).get(url)
    assert seen.status_code == 200
    assert lease.token not in seen.content.decode()
    assert signed_in(reader).post(f"{url}/cancel").status_code == 404


@pytest.mark.usefixtures("rules")
def test_who_manages_a_run_may_cancel_and_retry_it(lease: services.Lease, reader: User) -> None:
    registry.runs_managed_by.append(lambda user: Q(pk=lease.run.pk))
    client = signed_in(reader)

    cancelled = client.post(f"/api/runs/{lease.run.id}/cancel")
    retried = client.post(f"/api/runs/{lease.run.id}/retry")

    assert cancelled.json()["message"].startswith("Cancelled by jobs-reader.")
    assert retried.json()["state"] == RunState.QUEUED.value
    again = client.post(f"/api/runs/{lease.run.id}/retry")
    assert (again.status_code, again.json()["error"]) == (409, "RUN_STATE")


def test_a_finished_run_tells_its_provenance(lease: services.Lease, admin: User) -> None:
    attempt = results.attempt_of(token=lease.token, run=lease.run.id, number=1)
    mask = results.put_mask(attempt=attempt, body=answers.packed_mask())
    results.put_result(attempt=attempt, value=answers.result(lease.run, mask))
    services.mask_ready(run=lease.run.id, attempt=1, sha256=mask, values={}, timings={})

    told = signed_in(admin).get(f"/api/runs/{lease.run.id}").json()

    assert told["provenance"]["model"]["sha256"] == told["model"]["sha256"]
    assert (told["nodes"], told["mask"]) == (3, mask)
    assert told["timings"].keys() >= {"wait", "fetch", "infer"}


def test_ready_means_database_queue_and_storage(db: None) -> None:
    answer = Client().get("/readyz")

    assert answer.status_code == 200
    assert answer.json().keys() == {"ready", "database", "queue", "storage", "workers"}


def test_health_is_told_also_to_who_has_a_session_while_the_database_is_away(
    tmp_path: Path,
) -> None:
    asked = """
from django import setup
setup()
from django.test import Client
client = Client()
client.cookies["concord_session"] = "a" * 32
for path in ("/healthz", "/readyz"):
    answer = client.get(path)
    print(answer.status_code, answer.json().get("database"))
"""
    nowhere = "postgresql://concord:x@127.0.0.1:9/concord"
    done = subprocess.run(
        [sys.executable, "-c", asked],
        env={
            **os.environ,
            "DATABASE_URL": nowhere,
            "DATABASE_OWNER_URL": nowhere,
            "CONCORD_QUEUE_URL": nowhere,
            "CONCORD_STATE": str(tmp_path),
            "DJANGO_SETTINGS_MODULE": "backend.settings",
        },
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split("\n")[:2] == ["200 None", "503 False"], done.stderr


def test_a_worker_speaks_only_of_the_attempts_it_leased(
    lease: services.Lease, session: WorkerSession
) -> None:
    other = WorkerSession.objects.create(
        token=session.token, name="worker-b", number=78, heard=timezone.now()
    )
    socket = WorkerConsumer()
    about = {"run": str(lease.run.id), "attempt": lease.attempt}
    socket._session = other
    for say in (socket._metrics, socket._mask_ready, socket._failed, socket._handed_back):
        with pytest.raises(WrongState, match="has ended"):
            say({**about, "metrics": {}, "sha256": "0", "message": "no"})
    lease.run.refresh_from_db()
    assert lease.run.state == RunState.LEASED
    socket._session = session
    assert socket._metrics({**about, "metrics": {"nodes": 1}}) == {"type": "ack"}


@pytest.mark.parametrize(
    "said",
    [
        '{"type": "claim", "run": 5}',
        '{"type": "claim", "run": "00000000-0000-0000-0000-000000000000", "job": Infinity}',
        '{"type": "claim", "run": "00000000-0000-0000-0000-000000000000", "job": []}',
        '{"type": "hello", "session": 5, "number": 1}',
        '{"type": "hello", "session": "x", "number": 1}',
        '{"type": "metrics", "run": [], "attempt": 1}',
        '{"type": "failed", "run": "00000000-0000-0000-0000-000000000000", "attempt": 1e999}',
        '{"type": "progress"}',
        '{"type": []}',
        '{"type": "unknown"}',
        "{}",
    ],
)
def test_what_a_worker_says_in_other_types_is_refused_and_its_socket_stays(said: str) -> None:
    told: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        told.append(json.loads(message["text"]))

    socket = WorkerConsumer()
    socket.base_send = send
    socket._token, socket._session, socket._told = WorkerToken(), WorkerSession(), ("", 0.0)
    with ThreadPoolExecutor(1) as socket._thread:
        asyncio.run(socket.receive_json({**json.loads(said), "n": 7}))
    assert [(one["type"], one["code"], one["re"]) for one in told] == [
        ("refused", "BAD_MESSAGE", 7)
    ]


@pytest.mark.parametrize(
    "said",
    [
        {"type": "metrics", "metrics": {"nodes": math.nan}},
        {"type": "metrics", "metrics": {"nodes": "many"}},
        {"type": "metrics", "metrics": {"nodes": 10**30}},
        {"type": "metrics", "metrics": {"n" * 81: 1}},
        {"type": "metrics", "metrics": {"no\0des": 1}},
        {"type": "metrics", "metrics": {str(n): n for n in range(65)}},
        {"type": "metrics", "metrics": []},
        {"type": "progress", "stage": "infer", "fraction": math.nan},
        {"type": "progress", "stage": "infer", "fraction": "half"},
        {"type": "mask_ready", "sha256": "0", "metrics": {"nodes": None}},
        {"type": "mask_ready", "sha256": "0", "timings": {"upload": -1}},
        {"type": "mask_ready", "sha256": "0", "timings": {"upload": math.inf}},
        {"type": "mask_ready", "sha256": "0", "timings": {"upload": True}},
    ],
    ids=str,
)
def test_figures_that_are_none_are_refused_and_not_kept(
    lease: services.Lease, session: WorkerSession, said: dict[str, Any]
) -> None:
    socket = WorkerConsumer()
    socket._session, socket._told = session, ("", 0.0)
    message = {"run": str(lease.run.id), "attempt": lease.attempt, **said}
    hear = getattr(socket, f"_{said['type']}")
    with pytest.raises(BadInput, match="Update the worker"):
        asyncio.run(hear(message)) if said["type"] == "progress" else hear(message)
    lease.run.refresh_from_db()
    assert (lease.run.metrics, lease.run.progress, lease.run.timings) == ({}, 0.0, {})


@pytest.mark.parametrize("value", ["NaN", "1e999", '"\\u0000"', '"\\ud800"'])
def test_a_result_the_database_cannot_hold_is_refused(lease: services.Lease, value: str) -> None:
    result = {**answers.result(lease.run, "0" * 64), "more": "HERE"}
    refused = put(lease, "result", json.dumps(result).replace('"HERE"', value).encode())
    assert (refused.status_code, refused.json()["error"]) == (400, "RESULT_DAMAGED")
