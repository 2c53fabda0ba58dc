"""Two people settle at the same moment, over HTTP, with sockets open beside them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from fixtures.phantom_dicom import write_series
from fixtures.small import small_phantom
from tests.reading.test_comparison_live import SHAPE, Reader
from tests.stack import Stack, until


@pytest.fixture(scope="module")
def quiet_stack() -> Iterator[Stack]:
    """Web and work processes without an inference worker: cases are read without AI."""
    stack = Stack()
    try:
        yield stack.start(worker=False)
    finally:
        stack.close()


@pytest.fixture(scope="module")
def settling(quiet_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The consensus of a case in which each reader has two nodes that the other has not."""
    stack, folder = quiet_stack, tmp_path_factory.mktemp("settling") / "study"
    write_series(small_phantom(11, SHAPE), folder, patient_id="P11")
    stack.manage("receive", str(folder))
    until(lambda: stack.query("select 1 from reading_case"), "a case", 30, stack.words)
    for number, name in enumerate(("reader1", "reader2")):
        reader = Reader(stack, name)
        for place in range(2):
            row, column = 6 + 30 * number, 6 + 28 * place
            reader.paint((row, column, row + 12, column + 12), range(4, 10))
        reader.look_through()
        reader.submit()
    found = until(
        lambda: stack.query("select id from reading_consensus"), "a consensus", 60, stack.words
    )
    return str(found[0][0])


class Settler:
    """Someone at the settling screen."""

    def __init__(self, stack: Stack, name: str, consensus: str) -> None:
        self.stack, self.name, self.consensus = stack, name, consensus
        self.http = stack.client(name)

    def detail(self) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"/api/consensus/{self.consensus}").json()
        return found

    def act(self, verb: str, discrepancy: str, **body: Any) -> httpx.Response:
        given = {"client": str(uuid.uuid4()), "rationale": "a reason", **body}
        return self.http.post(f"/api/discrepancies/{discrepancy}/{verb}", json=given)

    def socket(self) -> ClientConnection:
        cookies = "; ".join(f"{name}={value}" for name, value in self.http.cookies.items())
        return connect(
            f"{self.stack.url.replace('http', 'ws')}/ws/consensus/{self.consensus}",
            origin=Origin(self.stack.url),
            additional_headers={"Cookie": cookies},
        )


def at_once(*calls: Callable[[], Any]) -> Sequence[Any]:
    """What each call answered, all begun at the same moment."""
    ready = Barrier(len(calls))

    def begin(call: Callable[[], Any]) -> Any:
        ready.wait(60)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(begin, calls))


def test_of_two_who_act_at_once_one_is_told_what_the_other_did(
    quiet_stack: Stack, settling: str
) -> None:
    first, second = (Settler(quiet_stack, name, settling) for name in ("reader1", "reader2"))
    one = first.detail()["discrepancies"][0]["id"]
    answers = at_once(
        lambda: first.act("propose", one, seen=0, resolution="X"),
        lambda: second.act("propose", one, seen=0, resolution="Y"),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    (won,) = (answer.json() for answer in answers if answer.status_code == 200)
    (lost,) = (answer.json() for answer in answers if answer.status_code == 409)
    assert lost["error"] == "MOVED_ON"
    (step,) = lost["since"]
    proposed = won["discrepancy"]["proposal"]["resolution"]
    assert (step["by"], step["resolution"]) == ("other", proposed)
    assert lost["discrepancy"]["proposal"]["resolution"] == proposed


def test_one_act_sent_many_times_at_once_is_done_once(quiet_stack: Stack, settling: str) -> None:
    reader = Settler(quiet_stack, "reader1", settling)
    other = reader.detail()["discrepancies"][1]["id"]
    act = {"client": str(uuid.uuid4()), "seen": 0, "resolution": "union"}
    clients = [Settler(quiet_stack, "reader1", settling) for _ in range(3)]
    answers = at_once(*(lambda c=c: c.act("propose", other, **act) for c in clients))  # type: ignore[misc]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert all(answer.json() == answers[0].json() for answer in answers)
    steps = "select count(*) from reading_step where discrepancy_id = %s"
    assert quiet_stack.query(steps, other) == [(1,)]


def test_the_other_hears_of_a_step_at_once_and_an_outsider_hears_nothing(
    quiet_stack: Stack, settling: str
) -> None:
    first, second = (Settler(quiet_stack, name, settling) for name in ("reader1", "reader2"))
    outsider = Settler(quiet_stack, "adjudicator", settling)
    third = first.detail()["discrepancies"][2]["id"]
    with outsider.socket() as refused, pytest.raises(ConnectionClosedError) as closed:
        refused.recv(timeout=60)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4404
    with second.socket() as heard:
        assert json.loads(heard.recv(timeout=60))["type"] == "hello"
        assert first.act("defer", third, seen=0).is_success
        news = json.loads(heard.recv(timeout=60))
    assert news["type"] == "discrepancy.changed"
    assert news["payload"] == {"discrepancy": third, "version": 1, "state": "deferred"}
    with outsider.socket() as let_in:
        assert json.loads(let_in.recv(timeout=60))["type"] == "hello"


def test_each_sees_where_the_other_looks_until_they_leave(
    quiet_stack: Stack, settling: str
) -> None:
    first, second = (Settler(quiet_stack, name, settling) for name in ("reader1", "reader2"))
    one, two, *_ = (found["id"] for found in first.detail()["discrepancies"])

    def looking(discrepancy: str) -> str:
        return json.dumps({"looking": {"phase": "settle", "discrepancy": discrepancy}})

    def present(socket: ClientConnection) -> list[Any]:
        told = json.loads(socket.recv(timeout=60))
        assert (told["type"], "seq" in told) == ("presence", False)
        return [(each["who"], each["discrepancy"]) for each in told["payload"]["present"]]

    with second.socket() as heard:
        assert json.loads(heard.recv(timeout=60))["type"] == "hello"
        with first.socket() as line:
            assert json.loads(line.recv(timeout=60))["type"] == "hello"
            line.send(looking(one))
            assert present(heard) == [("other", one)]
            line.send(looking(two))
            assert present(heard) == [("other", two)]
            heard.send(looking(two))
            assert present(line) == [("other", two)]
        assert present(heard) == []
