"""Changes over the API when the web process is killed between two, or many come at once."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from fixtures.phantom_dicom import write_series
from fixtures.small import small_phantom
from tests.stack import Stack, until

pytestmark = pytest.mark.deep


class Desk:
    """A reader at the API: the one reading, its lease, its head."""

    def __init__(self, stack: Stack, user: str, label: str) -> None:
        self.client = stack.client(user)
        rows = self.client.get("/api/worklist").json()["results"]
        (self.reading,) = (r["reading"] for r in rows if r["case"]["label"] == label)
        self.root = f"/api/readings/{self.reading}"
        self.me = str(uuid.uuid4())
        self.take_lease()
        self.sops = self.get()["grid"]["sop_uids"]

    def get(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(self.root).raise_for_status().json()
        return found

    def take_lease(self) -> None:
        asked = {"client": self.me, "take_over": True}
        answer = self.client.post(f"{self.root}/lease", json=asked).raise_for_status()
        self.lease = answer.json()["lease"]

    def stroke(self, base: str, at: int, node: str = "") -> dict[str, Any]:
        """A square of a new node in one slice."""
        size = 3 + at % 5
        part = {
            "sop": self.sops[at % len(self.sops)],
            "box": [10, 10, 10 + size, 10 + size],
            "runs": [[0, size * size, 1]],
        }
        kind = {"kind": "voxels", "nodes": [node or str(uuid.uuid4())], "slices": [part]}
        return {"id": str(uuid.uuid4()), "base": base, **kind}

    def post(self, *changes: dict[str, Any]) -> httpx.Response:
        body = {"lease": self.lease, "changes": changes}
        return self.client.post(f"{self.root}/changes", json=body)


@pytest.fixture(scope="module")
def alone() -> Iterator[Stack]:
    """Web and work without an inference worker."""
    stack = Stack()
    try:
        yield stack.start(worker=False)
    finally:
        stack.close()


@pytest.fixture
def label(alone: Stack, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A case of this test's own, its AI never done."""
    seed = sum(request.node.name.encode())
    write_series(small_phantom(seed), tmp_path / "study", patient_id=f"P{seed}")
    known = {row[0] for row in alone.query("select label from reading_case")}
    alone.manage("receive", str(tmp_path / "study"))
    (found,) = {row[0] for row in alone.query("select label from reading_case")} - known
    return str(found)


def at_once(calls: Sequence[Any]) -> list[Any]:
    """What each call answered, all begun at the same moment."""
    ready = threading.Barrier(len(calls))

    def begin(call: Any) -> Any:
        ready.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [done.result() for done in [pool.submit(begin, call) for call in calls]]


def changes_of(stack: Stack, reading: str) -> list[tuple[str, str, str]]:
    """Client UUID, base and head of each change of a reading, in order."""
    return [
        (str(one), str(base), str(head))
        for one, base, head in stack.query(
            "select c.client_id, b.hash, h.hash from reading_change c"
            " join reading_mask b on b.id = c.base_id join reading_mask h on h.id = c.head_id"
            " where c.reading_id = %s order by c.position",
            reading,
        )
    ]


def assert_log_is_whole(stack: Stack, reading: str, made: int) -> None:
    """The audit chain holds, with one event for each change."""
    verdict = json.loads(stack.manage("verify_audit", "--json", check=False).stdout)
    assert verdict["holds"], verdict["faults"]
    events = stack.query(
        "select facts->>'change' from audit_event"
        " where subject_id = %s and action like 'reading.changed.%%'",
        reading,
    )
    assert len(events) == len(set(events)) == made


def test_nothing_acknowledged_is_lost_when_the_web_process_is_killed(
    alone: Stack, label: str
) -> None:
    desk = Desk(alone, "reader1", label)
    acknowledged: list[tuple[str, str]] = []
    unanswered: list[dict[str, Any]] = []

    def work(head: str) -> None:
        while True:
            change = desk.stroke(head, len(acknowledged))
            try:
                answer = desk.post(change)
            except httpx.HTTPError:
                unanswered.append(change)
                return
            head = answer.raise_for_status().json()["results"][0]["head"]
            acknowledged.append((change["id"], head))

    for kill in range(1, 4):
        writer = threading.Thread(target=work, args=(desk.get()["head"],))
        writer.start()
        until(lambda k=kill: len(acknowledged) >= 6 * k, "a few changes", 30, alone.words)
        alone.kill(alone.web)
        writer.join(30)
        assert not writer.is_alive()
        alone.start_web()
        kept = changes_of(alone, desk.reading)
        assert {(one, head) for one, _, head in kept} >= set(acknowledged)
        assert len(kept) <= len(acknowledged) + 1
        # The one without an answer is sent again, and is then there once, whichever way it went.
        again = desk.post(unanswered[-1]).raise_for_status().json()["results"][0]
        acknowledged.append((again["id"], again["head"]))

    kept = changes_of(alone, desk.reading)
    assert [(one, head) for one, _, head in kept] == acknowledged
    assert [base for _, base, _ in kept[1:]] == [head for _, _, head in kept[:-1]]
    assert desk.get()["head"] == kept[-1][2]
    assert_log_is_whole(alone, desk.reading, len(kept))


def test_changes_that_come_at_once_are_applied_once_and_in_order(alone: Stack, label: str) -> None:
    desks = [Desk(alone, "reader1", label) for _ in range(5)]
    for desk in desks:
        desk.me, desk.lease = desks[-1].me, desks[-1].lease
    made = 0
    for turn in range(6):
        head = desks[0].get()["head"]
        same = desks[0].stroke(head, turn)
        replayed = at_once([lambda d=d, c=same: d.post(c) for d in desks])
        assert [answer.status_code for answer in replayed] == [200] * len(desks)
        assert all(answer.json() == replayed[0].json() for answer in replayed)

        head = desks[0].get()["head"]
        rivals = [desk.stroke(head, turn) for desk in desks]
        posts = [lambda d=d, c=c: d.post(c) for d, c in zip(desks, rivals, strict=True)]
        answers = sorted(answer.status_code for answer in at_once(posts))
        assert answers == [200] + [409] * (len(desks) - 1)
        made += 2
    kept = changes_of(alone, desks[0].reading)
    assert [base for _, base, _ in kept[1:]] == [head for _, _, head in kept[:-1]]
    assert_log_is_whole(alone, desks[0].reading, made)


def test_two_readers_who_make_a_node_of_one_uuid_at_once(alone: Stack, label: str) -> None:
    desks = [Desk(alone, user, label) for user in ("reader1", "reader2")]
    for turn in range(6):
        node = str(uuid.uuid4())
        strokes = [desk.stroke(desk.get()["head"], turn, node) for desk in desks]
        posts = [lambda d=d, c=c: d.post(c) for d, c in zip(desks, strokes, strict=True)]
        answers = sorted(at_once(posts), key=lambda answer: answer.status_code)
        assert [answer.status_code for answer in answers] == [200, 400]
        assert answers[1].json()["error"] == "NODE_NOT_NEW"


def test_a_reading_first_opened_in_two_windows_at_once_has_one_writer(
    alone: Stack, label: str
) -> None:
    clients = [alone.client("reader1") for _ in range(4)]
    rows = clients[0].get("/api/worklist").json()["results"]
    (reading,) = (row["reading"] for row in rows if row["case"]["label"] == label)

    def take(client: httpx.Client) -> httpx.Response:
        body = {"client": str(uuid.uuid4())}
        return client.post(f"/api/readings/{reading}/lease", json=body)

    answers = at_once([lambda c=c: take(c) for c in clients])
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    refused = {answer.json()["error"] for answer in answers if answer.status_code == 409}
    assert refused == {"LEASE_HELD"}


def test_sockets_take_rubbish_and_tell_nothing_of_what_is_hidden(alone: Stack, label: str) -> None:
    mine, theirs = Desk(alone, "reader1", label), Desk(alone, "reader2", label)
    cookies = "; ".join(f"{key}={value}" for key, value in mine.client.cookies.items())

    def socket(path: str, cookie: str = cookies) -> ClientConnection:
        address = alone.url.replace("http", "ws") + path
        return connect(address, origin=Origin(alone.url), additional_headers={"Cookie": cookie})

    hidden = f"/ws/readings/{theirs.reading}"
    for path in (hidden, f"/ws/readings/{uuid.uuid4()}", "/ws/readings/x", "/ws/x", "/ws/workers"):
        with pytest.raises(ConnectionClosedError) as closed, socket(path) as refused:
            refused.recv(timeout=60)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4404, "")
    with pytest.raises(ConnectionClosedError) as closed, socket(hidden, "") as refused:
        refused.recv(timeout=60)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401

    with socket(f"/ws/readings/{mine.reading}") as own:
        seen = json.loads(own.recv(timeout=60))["seen"]
        assert list(seen) == [f"reading:{mine.reading}"]
        since = json.dumps({"since": {f"reading:{theirs.reading}": 0, "coordinators": 0}})
        for rubbish in ("x", b"\x00", "[]", "[" * 50_000, '{"since": []}', since):
            own.send(rubbish)
        mine.post(mine.stroke(mine.get()["head"], 1)).raise_for_status()
        assert json.loads(own.recv(timeout=60))["type"] == "change.applied"
