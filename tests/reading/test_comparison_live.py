"""Two people submit at the same moment; the real work process compares them, once."""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from fixtures.phantom_dicom import write_series
from fixtures.small import small_phantom
from tests.stack import Stack, until

SHAPE = (24, 64, 64)


@pytest.fixture(scope="module")
def quiet_stack() -> Iterator[Stack]:
    """Web and work processes without an inference worker: cases are read without AI."""
    stack = Stack()
    try:
        yield stack.start(worker=False)
    finally:
        stack.close()


class Reader:
    """A reader over HTTP who paints boxes of whole slices, one node each."""

    def __init__(self, stack: Stack, name: str) -> None:
        self.stack, self.name = stack, name
        self.http = stack.client(name)
        row = self.http.get("/api/worklist").raise_for_status().json()["results"][0]
        self.reading, self.case = row["reading"], row["case"]["id"]
        self.lease = self.post("lease", client=str(uuid.uuid4()))["lease"]
        self.sops = self.detail()["grid"]["sop_uids"]

    def post(self, verb: str, **body: Any) -> dict[str, Any]:
        answer = self.http.post(f"/api/readings/{self.reading}/{verb}", json=body)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    def detail(self) -> dict[str, Any]:
        found: dict[str, Any] = self.http.get(f"/api/readings/{self.reading}").json()
        return found

    def paint(self, box: tuple[int, int, int, int], slices: range) -> None:
        size = (box[2] - box[0]) * (box[3] - box[1])
        parts = [{"sop": self.sops[i], "box": list(box), "runs": [[0, size, 1]]} for i in slices]
        change = {
            "id": str(uuid.uuid4()),
            "base": self.detail()["head"],
            "kind": "voxels",
            "nodes": [str(uuid.uuid4())],
            "slices": parts,
        }
        self.post("changes", lease=self.lease, changes=[change])

    def look_through(self) -> None:
        for plane in ("axial", "coronal", "sagittal"):
            self.post("seen", plane=plane, ranges=[[0, SHAPE[0] - 1]], active_seconds=1.0)

    def submit(self) -> None:
        self.post(
            "submit",
            lease=self.lease,
            head=self.detail()["head"],
            password=self.stack.users[self.name],
        )

    def comparison(self) -> httpx.Response:
        return self.http.get(f"/api/cases/{self.case}/comparison")


def test_two_who_submit_at_once_are_compared_once_by_the_work_process(
    quiet_stack: Stack, tmp_path: Path
) -> None:
    stack = quiet_stack
    write_series(small_phantom(7, SHAPE), tmp_path / "study", patient_id="P7")
    stack.manage("receive", str(tmp_path / "study"))
    until(lambda: stack.query("select 1 from reading_case"), "a case", 30, stack.words)
    readers = [Reader(stack, "reader1"), Reader(stack, "reader2")]
    for number, reader in enumerate(readers):
        reader.paint((10, 10, 22, 22), range(4, 10))
        reader.paint((30, 30, 42, 42 + number), range(12, 18))
        reader.look_through()
        assert reader.comparison().status_code == 404
    readers[0].paint((50, 20, 60, 30), range(6, 11))
    together = threading.Barrier(2)

    def submit(reader: Reader) -> None:
        together.wait(60)
        reader.submit()

    threads = [threading.Thread(target=submit, args=(reader,)) for reader in readers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    until(lambda: readers[0].comparison().is_success, "the comparison", 60, stack.words)
    answers = [reader.comparison() for reader in readers]
    assert answers[0].content == answers[1].content
    found = answers[0].json()
    assert found["counts"] == {
        "clusters": 3,
        "identical": 1,
        "settled": 1,
        "ignored": 0,
        "to_settle": 1,
        "by_trigger": {"presence": 1},
    }
    assert [row["state"] for row in (r.detail() for r in readers)] == ["compared", "compared"]
    assert stack.query("select state from reading_comparison") == [("made",)]
    events = "select count(*) from audit_event where action = %s"
    assert stack.query(events, "comparison.made") == [(1,)]
    assert stack.query(events, "discrepancy.settled_by_rule") == [(1,)]
    jobs = "select status::text from procrastinate_jobs where task_name = 'reading.compare'"
    until(lambda: stack.query(jobs) == [("succeeded",)], "one job, done", 20, stack.words)
    told = stack.query(
        "select audience from audit_newsitem where type = 'comparison.made' order by audience"
    )
    assert [row[0] for row in told] == sorted(f"reading:{reader.reading}" for reader in readers)
    ((manifest, named),) = stack.query(
        "select manifest_json, hash from reading_mask where kind = 'settled'"
    )
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    assert hashlib.sha256(text.encode()).hexdigest() == named
    verdict = stack.manage("verify_audit")
    assert verdict.returncode == 0, verdict.stdout
