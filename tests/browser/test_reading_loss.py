"""Nothing a reader did is lost: web killed between two changes, the line cut, a reload."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Error, expect

from fixtures.phantom_dicom import write_series
from fixtures.small import small_phantom
from tests.journey.room import SLOW_MS, ReadingRoom, browser
from tests.stack import Stack, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
Place = tuple[float, float]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """No inference worker: the reader adds every node."""
    stack = Stack()
    try:
        yield stack.start(worker=False)
    finally:
        stack.close()


@pytest.fixture
def reader(
    stack: Stack, chromium: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[ReadingRoom]:
    """In front of a case of her own without nodes."""
    name = request.node.name
    stack.manage("receive", str(write_series(small_phantom(), tmp_path / "ct", patient_id=name)))
    with browser(chromium) as running:
        reader = ReadingRoom(running, stack, "reader1")
        reader.sign_in()
        rows = reader.page.locator("tr[data-reading][data-state='assigned']")
        until(rows.count, "the new case", 30, reader.words)
        reader.open(rows.first)
        reader.wait("window.__concord.saveState === 'saved'")
        yield reader
        assert reader.complaints == []


def _add(reader: ReadingRoom, place: Place) -> str:
    """A new node, painted with one stroke; nobody waits for the server."""
    row, column = place
    reader.press("n")
    reader.drag(reader.hook("focus")[0], [(row, column), (row, column + 4)])
    node = str(reader.hook("selected"))
    assert node in {n["uuid"] for n in reader.nodes}, "the stroke vanished"
    return node


def _all_there(reader: ReadingRoom, nodes: dict[str, Place]) -> None:
    """Saved; head, nodes and voxels in the browser are the server's."""
    reader.saved()
    slice_ = reader.hook("focus")[0]
    assert reader.hook("head") == reader.detail()["head"]
    labels, mask = reader.server_mask()
    assert set(labels) == set(nodes)
    for node, (row, column) in nodes.items():
        assert mask[slice_, round(row), round(column)] == labels[node]
        voxel = (slice_, round(row), round(column))
        shown = reader.hook(f"shownAt({', '.join(map(str, voxel))})")
        assert shown == reader.hook(f"denseOf('{node}')")
    assert set(np.unique(mask)) == {0, *labels.values()}


def _changes(stack: Stack, reading: str) -> int:
    (row,) = stack.query("select count(*) from reading_change where reading_id = %s", reading)
    return int(row[0])


def test_a_web_process_killed_between_two_changes_loses_none(
    reader: ReadingRoom, stack: Stack
) -> None:
    nodes = {_add(reader, (24, 22)): (24.0, 22.0)}
    reader.saved()
    acknowledged = reader.detail()["head"]
    nodes[_add(reader, (38, 22))] = (38.0, 22.0)
    stack.kill(stack.web)
    nodes[_add(reader, (24, 36))] = (24.0, 36.0)
    reader.press("f")
    reader.wait("window.__concord.saveState === 'offline'")
    waiting = reader.hook("pending")
    assert waiting >= 2
    stored = _changes(stack, reader.reading)
    head = reader.hook("head")
    stack.start_web()
    _all_there(reader, nodes)
    assert reader.hook("head") == head
    assert head != acknowledged
    assert [n["doubt"] for n in reader.detail()["nodes"]].count(True) == 1
    # A slow machine may take a stroke in two changes; one whose answer was lost is stored already.
    assert stored + waiting >= 4
    assert waiting <= _changes(stack, reader.reading) <= stored + waiting, "lost, or applied twice"


def test_changes_made_offline_outlive_a_reload(reader: ReadingRoom, stack: Stack) -> None:
    nodes = {_add(reader, (24, 22)): (24.0, 22.0)}
    reader.saved()
    address, reading = reader.page.url, reader.reading
    stored = _changes(stack, reading)
    reader.context.set_offline(True)
    nodes[_add(reader, (38, 22))] = (38.0, 22.0)
    reader.press("f")
    reader.wait("window.__concord.saveState === 'offline'")
    head = reader.hook("head")
    waiting = reader.hook("pending")
    assert waiting >= 2
    with suppress(Error):
        reader.page.reload(timeout=SLOW_MS)
    reader.context.set_offline(False)
    reader.page.goto(address)
    reader.wait("window.__concord?.ready")
    reader.saved()
    _all_there(reader, nodes)
    assert reader.hook("head") == head
    assert _changes(stack, reading) == stored + waiting


def test_of_two_machines_one_writes_and_the_other_knows_it(
    reader: ReadingRoom, stack: Stack
) -> None:
    nodes = {_add(reader, (24, 22)): (24.0, 22.0)}
    reader.saved()
    assert reader.context.browser
    other = ReadingRoom(reader.context.browser, stack, reader.name)
    other.sign_in()
    other.page.goto(reader.page.url)
    other.wait("window.__concord?.ready && window.__concord.saveState === 'read_only'")
    expect(other.page.get_by_test_id("read-only")).to_contain_text("Rita Reader writes")
    other.press("n")
    other.drag(other.hook("focus")[0], [(38, 22), (38, 26)])
    assert {node["uuid"] for node in other.nodes} == set(nodes), "who reads only painted"

    reader.context.set_offline(True)
    kept = _add(reader, (24, 36))
    reader.wait("window.__concord.saveState === 'offline'")
    other.page.get_by_test_id("continue-here").click()
    other.wait("window.__concord.saveState === 'saved'")
    nodes[_add(other, (38, 22))] = (38.0, 22.0)
    other.saved()
    reader.context.set_offline(False)
    here = reader.page.get_by_test_id("continue-here")
    until(here.is_visible, "the first machine to know who writes", 60, reader.words)
    assert _changes(stack, reader.reading) == 2, "two writers"
    here.click()
    conflict = reader.page.get_by_test_id("conflict")
    expect(conflict).to_be_visible()
    assert kept not in {node["uuid"] for node in reader.detail()["nodes"]}
    reader.picture("conflict")
    reader.page.get_by_test_id("apply-again").click()
    nodes[kept] = (24.0, 36.0)
    _all_there(reader, nodes)
    other.wait("window.__concord.saveState === 'read_only'")
    until(lambda: len(other.nodes) == len(nodes), "the second machine to follow", 60, other.words)
    assert other.complaints == []
    other.context.close()


KEPT = """async () => {
  const open = indexedDB.open("concord");
  const base = await new Promise((done) => { open.onsuccess = () => done(open.result); });
  const count = base.transaction("outbox").objectStore("outbox").count();
  const kept = await new Promise((done) => { count.onsuccess = () => done(count.result); });
  base.close();
  return [kept, Object.keys(localStorage).filter((key) => key.includes("lease")).length];
}"""


def test_what_was_not_sent_stays_for_its_owner_until_it_is(
    reader: ReadingRoom, stack: Stack
) -> None:
    page, address = reader.page, reader.page.url
    page.route("**/changes", lambda route: route.abort())
    nodes = {_add(reader, (24, 22)): (24.0, 22.0)}
    reader.wait("window.__concord.saveState === 'offline'")

    def signs_out(button: str) -> None:
        page.goto("/")
        page.locator("summary").filter(has_text=re.compile("Reader")).click()
        page.get_by_role("button", name=button).click()

    signs_out("Sign out")
    expect(page.locator("[data-kept]")).to_contain_text("1 change is not sent yet")
    page.get_by_role("button", name="Sign out all the same").click()
    page.wait_for_url("**/sign-in/**")
    reader.name = "reader2"
    reader.sign_in()
    assert page.evaluate(KEPT)[0] == 1
    signs_out("Sign out")
    page.wait_for_url("**/sign-in/**")
    reader.name = "reader1"
    reader.sign_in()
    page.unroute("**/changes")
    page.goto(address)
    reader.wait("window.__concord?.ready")
    _all_there(reader, nodes)
    signs_out("Sign out")
    page.wait_for_url("**/sign-in/**")
    assert page.evaluate(KEPT) == [0, 0]
