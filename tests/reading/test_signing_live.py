"""Two people label and sign at the same moment, over HTTP: one record, one publication."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from fixtures.phantom_dicom import write_series
from fixtures.small import small_phantom
from tests.reading.test_comparison_live import SHAPE, Reader
from tests.reading.test_settling_live import at_once
from tests.stack import Stack, until


@pytest.fixture(scope="module")
def quiet_stack() -> Iterator[Stack]:
    """Web and work processes without an inference worker: cases are read without AI."""
    stack = Stack()
    try:
        yield stack.start(worker=False)
    finally:
        stack.close()


class Labeller:
    """A reader at the labels."""

    def __init__(self, stack: Stack, name: str, consensus: str) -> None:
        self.stack, self.name, self.path = stack, name, f"/api/consensus/{consensus}"
        self.http = stack.client(name)

    def detail(self) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(self.path).raise_for_status().json()
        return found

    def label(self, number: int, value: str, seen: int, client: str = "") -> httpx.Response:
        body = {"client": client or str(uuid.uuid4()), "seen": seen, "value": value}
        return self.http.put(f"{self.path}/nodes/{number}/label", json=body)

    def sign(self, client: str, record_hash: str) -> httpx.Response:
        body = {"client": client, "record_hash": record_hash}
        return self.http.post(
            f"{self.path}/sign", json={**body, "password": self.stack.users[self.name]}
        )


@pytest.fixture(scope="module")
def consensus(quiet_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two readings that are the same, settled by nobody: two nodes to label."""
    stack, folder = quiet_stack, tmp_path_factory.mktemp("signing") / "study"
    write_series(small_phantom(13, SHAPE), folder, patient_id="P13")
    stack.manage("receive", str(folder))
    until(lambda: stack.query("select 1 from reading_case"), "a case", 30, stack.words)
    for name in ("reader1", "reader2"):
        reader = Reader(stack, name)
        reader.paint((10, 10, 22, 22), range(4, 10))
        reader.paint((30, 30, 42, 42), range(12, 18))
        reader.look_through()
        reader.submit()
    asked = "select id from reading_consensus where state = 'labelling'"
    found = until(lambda: stack.query(asked), "nodes to label", 60, stack.words)
    return str(found[0][0])


def test_two_label_and_sign_at_once_and_it_is_published_once(
    quiet_stack: Stack, consensus: str
) -> None:
    people = [Labeller(quiet_stack, name, consensus) for name in ("reader1", "reader2")]
    first, second = people
    answers = at_once(
        lambda: first.label(1, "non_metastatic", 0), lambda: second.label(1, "indeterminate", 0)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    lost = next(answer for answer in answers if answer.status_code == 409).json()
    assert (lost["error"], lost["node"]["position"]) == ("MOVED_ON", 1)
    same = str(uuid.uuid4())
    answers = at_once(*[lambda: first.label(2, "non_metastatic", 0, same)] * 2)
    assert [answer.status_code for answer in answers] == [200, 200]
    assert quiet_stack.query("select count(*) from reading_referencelabel") == [(2,)]
    hashes = {each.detail()["signing"]["record_hash"] for each in people}
    (record_hash,) = hashes
    clients = [str(uuid.uuid4()) for _ in people]
    answers = at_once(
        *(lambda i=i: people[i % 2].sign(clients[i % 2], record_hash) for i in range(4))
    )
    assert [answer.status_code for answer in answers] == [200] * 4
    assert first.detail()["state"] == second.detail()["state"] == "published"
    assert quiet_stack.query("select count(*) from reading_consensussignature") == [(2,)]
    events = "select count(*) from audit_event where action = %s"
    assert quiet_stack.query(events, "consensus.signed") == [(2,)]
    assert quiet_stack.query(events, "consensus.published") == [(1,)]
    verdict = quiet_stack.manage("verify_audit")
    assert verdict.returncode == 0, verdict.stdout
