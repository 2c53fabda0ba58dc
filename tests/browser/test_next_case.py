"""From case to case without loading the viewer anew: what was drawn stays, what was held goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.phantom_dicom import write_series
from fixtures.small import small_phantom
from tests.journey.room import ReadingRoom, browser
from tests.stack import Stack, until

pytestmark = [pytest.mark.browser, pytest.mark.deep, pytest.mark.timeout(300)]
CASES, OPENINGS = 3, 60
LARGEST_GROWTH = 50 << 20
# Images and volumes that the host's cache holds, and of how many series the images are.
HELD = """(() => {
  const { cache } = window.cornerstone;
  const images = [...cache._imageCache.keys()].filter((id) => id.startsWith("wadors:"));
  const series = new Set(images.map((id) => /series\\/([0-9.]+)/.exec(id)?.[1]));
  return { volumes: cache._volumeCache.size, series: series.size, bytes: cache.getCacheSize() };
})()"""
# Images the host's cache holds, and how many of some images it could describe.
IMAGES = """(() => {
  const { cache } = window.cornerstone;
  return [...cache._imageCache.keys()].filter((id) => id.startsWith("wadors:"));
})()"""
DESCRIBED = """(images) => {
  const { metaData } = window.cornerstone;
  return images.filter((id) => metaData.get("instance", id)).length;
}"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """No inference worker: the reader adds every node."""
    stack = Stack()
    try:
        yield stack.start(worker=False)
    finally:
        stack.close()


@pytest.fixture
def reader(stack: Stack, chromium: str, tmp_path: Path) -> Iterator[ReadingRoom]:
    """In front of the first of three cases; the page must never be loaded anew."""
    if not stack.client("reader1").get("/api/worklist").json()["results"]:
        for number in range(CASES):
            folder = tmp_path / f"ct{number}"
            stack.manage(
                "receive", str(write_series(small_phantom(), folder, patient_id=f"P{number}"))
            )
    with browser(chromium) as running:
        reader = ReadingRoom(running, stack, "reader1")
        reader.sign_in()
        rows = reader.page.locator("tr[data-reading]")
        until(lambda: rows.count() == CASES, "the cases", 60, reader.words)
        reader.open(rows.first)
        reader.wait("window.__concord.saveState === 'saved'")
        reader.page.evaluate("window.samePage = true")
        yield reader
        assert reader.page.evaluate("window.samePage") is True
        assert reader.complaints == []


def _go_on(reader: ReadingRoom) -> str:
    """The next case with one key; its reading, once it can be written."""
    before = reader.hook("reading")
    reader.wait("window.__concord.next !== null")
    following = str(reader.hook("next"))
    reader.press("Shift+N")
    reader.wait(f"window.__concord.reading === {json.dumps(following)}")
    reader.wait("window.__concord.ready")
    reader.saved()
    assert following != before
    assert reader.reading == following
    return following


def test_one_key_leads_from_case_to_case_and_round_to_the_first(
    reader: ReadingRoom, stack: Stack
) -> None:
    asked: list[str] = []
    reader.page.on("request", lambda request: asked.append(request.url))
    first = reader.hook("reading")
    slice_, row, column = reader.hook("focus")
    reader.press("n")
    reader.drag(slice_, [(row, column - 2), (row, column + 2)])  # Nobody waits for the server.
    node = reader.hook("selected")
    images = reader.page.evaluate(IMAGES)
    assert reader.page.evaluate(DESCRIBED, images) == len(images) > 0
    second = _go_on(reader)
    assert reader.nodes == []
    assert reader.page.evaluate(HELD)["series"] <= 2
    third = _go_on(reader)
    assert reader.page.evaluate(DESCRIBED, images) == 0
    assert _go_on(reader) == first
    assert len({first, second, third}) == CASES
    assert [n["uuid"] for n in reader.nodes] == [node]
    held = reader.page.evaluate(HELD)
    # An image that was on its way when its case was left stays until this one is left.
    assert held["series"] <= 2
    assert held["volumes"] <= 3  # The images, the mask, and the mask as it is drawn.
    labels, mask = reader.server_mask()
    assert (mask == labels[node]).any()
    # Nothing is fetched ahead but what the worklist offers.
    own = {row["reading"] for row in stack.client("reader1").get("/api/worklist").json()["results"]}
    assert {url.split("/readings/")[1][:36] for url in asked if "/readings/" in url} <= own


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_sixty_cases_leave_nothing_behind(reader: ReadingRoom) -> None:
    for _ in range(CASES):  # What is made once for all is made.
        _go_on(reader)
    before = memory(reader)
    for _ in range(OPENINGS):
        _go_on(reader)
    after = memory(reader)
    reader.keep("sixty-cases.json", json.dumps({"before": before, "after": after}).encode())
    for kind, held in after.items():
        assert held - before[kind] <= LARGEST_GROWTH, (kind, before, after)


def memory(reader: ReadingRoom) -> dict[str, Any]:
    """Bytes of JS heap, of array buffers and of the image cache, after a collection."""
    session = reader.context.new_cdp_session(reader.page)
    session.send("HeapProfiler.enable")
    session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")
    session.detach()
    return {
        "heap": heap["usedSize"],
        "buffers": heap["backingStorageSize"],
        "cache": reader.page.evaluate(HELD)["bytes"],
    }
