"""A missed node, added with one click in a real browser: proposed, taken, on record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from fixtures.phantom_dicom import truth_paths
from tests.journey.conftest import chrome, short_neck
from tests.journey.room import SLOW_MS, ReadingRoom
from tests.stack import Stack, until

__all__ = ["chrome", "short_neck"]
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def stack(short_neck: Path) -> Iterator[Stack]:
    stack = Stack()
    try:
        stack.start()
        stack.manage("receive", str(short_neck))
        done = "select 1 from reading_case where ai_state = 'ready'"
        until(lambda: stack.query(done), "the pre-segmentation", 120, stack.words)
        yield stack
    finally:
        stack.close()


@pytest.fixture
def reader(chrome: Browser, stack: Stack) -> Iterator[ReadingRoom]:
    room = ReadingRoom(chrome, stack, "reader1")
    room.sign_in()
    room.open(room.page.get_by_role("row").filter(has_text=re.compile("LN-")).first)
    if room.page.get_by_test_id("continue-here").count():  # The test before held the lease.
        room.page.get_by_test_id("continue-here").click()
    room.saved()
    yield room
    room.context.close()


def missed(room: ReadingRoom, folder: Path) -> tuple[list[int], np.ndarray[Any, Any]]:
    """The middle of the largest true node that no node of the mask touches, and its voxels."""
    labels = np.load(truth_paths(folder)[1])["labels"]
    _, mask = room.server_mask()
    sizes = {n: int((labels == n).sum()) for n in np.unique(labels) if n}
    for number in sorted(sizes, key=lambda n: -sizes[n]):
        truth = labels == number
        if not mask[truth].any():
            inner = np.argwhere(truth)
            centre = inner[np.abs(inner - inner.mean(axis=0)).sum(axis=1).argmin()]
            return [int(c) for c in centre], truth
    raise AssertionError("the model missed nothing; choose a phantom with more nodes")


def test_a_missed_node_is_clicked_proposed_taken_and_on_record(
    reader: ReadingRoom, stack: Stack, short_neck: Path
) -> None:
    (slice_, row, column), truth = missed(reader, short_neck)
    before = set(reader.server_mask()[0])
    reader.page.mouse.move(*reader.point(*reader.hook("focus")))
    reader.scroll_to(slice_)

    reader.press("6")
    expect(reader.page.get_by_test_id("prompt-line")).to_contain_text("Click into the missed node")
    reader.page.mouse.click(*reader.point(slice_, row, column))
    reader.wait("window.__concord.prompt.voxels > 0")
    expect(reader.page.get_by_test_id("prompt-line")).to_contain_text("Proposed")
    expect(reader.page.get_by_test_id("prompt-shape").first).to_be_attached()
    reader.picture("one-click-proposed")
    assert set(reader.server_mask()[0]) == before, "a proposal is no part of the mask"
    prompt = reader.hook("prompt.prompt")

    reader.page.keyboard.down("Shift")
    reader.page.mouse.click(*reader.point(slice_, row + 4, column))
    reader.page.keyboard.up("Shift")
    reader.wait("window.__concord.prompt.clicks.length === 2 && !window.__concord.prompt.waiting")
    reader.picture("one-click-corrected")
    reader.press("z")
    reader.wait("window.__concord.prompt.clicks.length === 1")
    assert reader.hook("prompt.prompt") == prompt, "Z goes back to the proposal before"

    reader.press("Enter")
    reader.saved()
    reader.picture("one-click-taken")

    nodes, mask = reader.server_mask()
    (added,) = set(nodes) - before
    voxels = mask == nodes[added]
    assert voxels[slice_, row, column]
    assert 2 * (voxels & truth).sum() / (voxels.sum() + truth.sum()) > 0.4
    ((facts,),) = stack.query(
        "select facts from reading_change where kind = 'voxels' order by at desc limit 1"
    )
    assert facts["prompt"]["run"] == prompt
    assert facts["prompt"]["clicks"] == [{"at": [slice_, row, column], "within": True}]
    assert facts["prompt"]["taken_as_proposed"] is True
    assert reader.hook("selected") == added
    assert reader.complaints == []


def test_without_a_worker_the_click_is_kept_and_the_reader_told(
    reader: ReadingRoom, stack: Stack, short_neck: Path
) -> None:
    (slice_, row, column), _ = missed(reader, short_neck)
    reader.page.mouse.move(*reader.point(*reader.hook("focus")))
    reader.scroll_to(slice_)
    worker = stack.workers[-1]
    stack.kill(worker)
    alive = "select 1 from jobs_workersession where gone is null"
    until(lambda: not stack.query(alive), "the worker to be missed", 30, stack.words)

    reader.press("6")
    reader.page.mouse.click(*reader.point(slice_, row, column))
    line = reader.page.get_by_test_id("prompt-line")
    expect(line).to_contain_text("No worker is connected", timeout=SLOW_MS)
    reader.picture("one-click-no-worker")
    stack.start_worker()
    until(lambda: stack.query(alive), "a worker", 60, stack.words)
    reader.press("Enter")
    reader.wait("window.__concord.prompt.voxels > 0")
    reader.press("Escape")
    reader.wait("window.__concord.prompt.clicks.length === 0")
    reader.press("Escape")
    reader.wait("!window.__concord.prompt.active")
