"""Two people in front of the same burned-in file, in the real web process."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from tests.archive.made import ct_series, encoded
from tests.stack import Stack

pytestmark = pytest.mark.deep

JSON = {"Accept": "application/json"}
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@pytest.fixture(scope="module")
def alone() -> Iterator[Stack]:
    """The web process."""
    stack = Stack()
    try:
        stack.start_web()
        yield stack
    finally:
        stack.close()


def kept_aside(stack: Stack) -> str:
    """A picture of a screen that waits for a look; its id."""
    (screen,) = ct_series(1, SOPClassUID=CAPTURE, Modality="OT")
    with closing(stack.client("coordinator")) as desk:
        fields = {"receipt": str(uuid.uuid4()), "name": "screen.dcm"}
        files = {"file": ("file", encoded(screen))}
        told = desk.post("/archive/upload", data=fields, files=files, headers=JSON).json()
    assert told["kept"][0]["code"] == "BURNED_IN"
    newest = "select id::text from archive_keptaside order by at desc limit 1"
    return str(stack.query(newest)[0][0])


@pytest.mark.parametrize("decisions", [("release", "release"), ("release", "discard")])
def test_two_who_decide_at_once_decide_once(alone: Stack, decisions: tuple[str, str]) -> None:
    kept = kept_aside(alone)
    before = alone.query("select count(*) from archive_instance")[0][0]
    both = threading.Barrier(2)

    def decide(pair: tuple[str, str]) -> int:
        person, decision = pair
        with closing(alone.client(person)) as desk:
            assert desk.get(f"/archive/review/{kept}").status_code == 200
            both.wait(60)
            given = {"decision": decision, "reason": "a scale"}
            return desk.post(f"/archive/review/{kept}", data=given, headers=JSON).status_code

    people = zip(("coordinator", "admin"), decisions, strict=True)
    with ThreadPoolExecutor(2) as threads:
        first, second = sorted(threads.map(decide, people))
    assert first == 302
    assert second in (404, 409)
    done = "select action from audit_event where action in ('kept.released', 'kept.discarded')"
    events = alone.query(f"{done} and subject_id = %s", kept)
    assert len(events) == 1
    state = "select sealed, review from archive_keptaside where id = %s"
    decided = events[0][0].removeprefix("kept.")
    assert alone.query(state, kept) == [(False, decided)]
    now = alone.query("select count(*) from archive_instance")[0][0]
    assert now - before == (decided == "released")
