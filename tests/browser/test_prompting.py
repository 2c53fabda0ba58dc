"""What the AI proposes while a reading is open, in a real browser: a missed node by one click, and
what a newer model has otherwise; taken, left, on record."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, expect

from fixtures.phantom_dicom import truth_paths
from tests.journey.conftest import chrome, short_neck
from tests.journey.room import SLOW_MS, ReadingRoom
from tests.stack import ROOT, Stack, until

__all__ = ["chrome", "short_neck"]
pytestmark = [pytest.mark.browser, pytest.mark.deep]


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
    # It is of the node that was clicked; how well proposals fit is for `benchmark click` to say.
    assert (voxels & truth).sum() > voxels.sum() / 2
    ((facts,),) = stack.query(
        "select facts from reading_change where kind = 'voxels' order by at desc limit 1"
    )
    assert facts["prompt"]["run"] == prompt
    assert facts["prompt"]["clicks"] == [{"at": [slice_, row, column], "within": True}]
    assert facts["prompt"]["taken_as_proposed"] is True
    assert reader.hook("selected") == added

    # A click on the selected node refines it: what is wrong is taken off it, or all of it dropped.
    head = reader.hook("head")
    line = reader.page.get_by_test_id("prompt-line")
    reader.press("Escape")
    for taken in (False, True):
        reader.wait("!window.__concord.prompt.active")
        reader.press("6")
        reader.page.mouse.click(*reader.point(slice_, row, column))
        reader.wait("window.__concord.prompt.voxels > 0 && !window.__concord.prompt.waiting")
        expect(line).to_contain_text("Refined")
        reader.page.keyboard.down("Shift")
        reader.page.mouse.click(*reader.point(slice_, row - 4, column))
        reader.page.keyboard.up("Shift")
        reader.wait(
            "window.__concord.prompt.clicks.length === 2 && !window.__concord.prompt.waiting"
        )
        reader.picture("one-click-refined")
        reader.press("Enter" if taken else "Escape")
        reader.wait("window.__concord.prompt.clicks.length === 0")
        reader.press("Escape")
        reader.saved()
        assert (reader.hook("head") != head) is taken, "what is dropped changes nothing"
    refined, mask = reader.server_mask()
    assert set(refined) == set(nodes), "a node that is refined stays the node it is"
    assert not np.array_equal(mask == refined[added], voxels)
    reader.press("z")
    reader.saved()
    np.testing.assert_array_equal(reader.server_mask()[1] == nodes[added], voxels)
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


NEXT_VERSION = "next"
REGISTER = """
from pathlib import Path
from backend.jobs.services import register_model
register_model(folder=Path({folder!r}), actor=None)
"""


def newer_model(stack: Stack, folder: Path) -> None:
    """The shipped model at another operating point, as its next version; a worker that has it."""
    shutil.copytree(ROOT / "inference" / "models", folder)
    model = folder / "foveal-ln-ct"
    told = json.loads((model / "model.json").read_text())
    told["version"] = NEXT_VERSION
    told["output"]["threshold"] = 0.3
    told["output"]["second_look"]["threshold"] = 0.05
    (model / "model.json").write_text(json.dumps(told))
    alive = "select 1 from jobs_workersession where gone is null"
    stack.kill(stack.workers[-1])
    until(lambda: not stack.query(alive), "the worker to be missed", 30, stack.words)
    stack.manage("shell", "-c", REGISTER.format(folder=str(model)))
    stack.start_worker(CONCORD_MODELS=str(folder))
    until(lambda: stack.query(alive), "the worker with the newer model", 90, stack.words)


def test_a_newer_model_s_differences_are_offered_beside_the_reading_and_taken_one_by_one(
    reader: ReadingRoom, stack: Stack, tmp_path: Path
) -> None:
    page = reader.page
    ours = next(node for node in reader.nodes if node["origin"] == "ai" and not node["empty"])
    reader.select(ours["uuid"])
    reader.press("=")
    reader.saved()
    head, focus, labels = reader.hook("head"), reader.hook("focus"), reader.server_mask()[0]

    newer_model(stack, tmp_path / "models")
    case = reader.detail()["case"]["id"]
    with closing(stack.client("coordinator")) as coordinator:
        page_of_case = coordinator.get(f"/cases/{case}/").text
        assert "Run the AI again" in page_of_case
        assert coordinator.post(f"/cases/{case}/presegment").status_code == 302
    expect(page.get_by_test_id("ai-progress")).to_be_visible(timeout=SLOW_MS)
    done = "select 1 from jobs_run where kind = 'presegment' and state = 'succeeded' offset 1"
    until(lambda: stack.query(done), "the newer run", 120, stack.words)
    line = page.get_by_test_id("newer-proposal")
    expect(line).to_contain_text("The AI has a new proposal:", timeout=SLOW_MS)
    assert reader.hook("head") == head
    assert reader.hook("focus") == focus
    assert reader.hook("selected") == ours["uuid"]
    assert reader.server_mask()[0] == labels
    waiting = reader.hook("newer.waiting")
    kinds = [one["kind"] for one in waiting]
    assert "changed" in kinds
    edited = [one for one in waiting if any(node["edited"] for node in one["present"])]
    assert [[node["uuid"] for node in one["present"]] for one in edited] == [[ours["uuid"]]]
    reader.picture("newer-proposal-announced")

    reader.press("8")
    reader.wait("window.__concord.newer.active")
    expect(page.get_by_test_id("proposal-line")).to_contain_text("Enter takes")
    expect(page.get_by_test_id("proposal-shape").first).to_be_attached()
    for _ in range(kinds.index("changed")):
        reader.press("s")
    expect(page.get_by_test_id("proposal-line")).to_contain_text("Dice")
    reader.picture("newer-proposal-changed")
    key = reader.hook("newer.at")
    reader.press("Escape")
    reader.wait(f"window.__concord.newer.waiting.length === {len(kinds) - 1}")
    assert reader.hook("head") == head, "what is left changes nothing"

    still = reader.hook("newer.waiting")
    place = next(n for n, one in enumerate(still) if one["kind"] == "changed" and one not in edited)
    page.get_by_test_id("newer-list").locator("li > button").nth(place).click()
    reader.picture("newer-proposal-list")
    reader.press("Enter")
    reader.saved()
    reader.wait(f"window.__concord.newer.waiting.length === {len(still) - 1}")
    assert reader.hook("head") != head
    ((facts,),) = stack.query(
        "select facts from reading_change where kind = 'voxels' order by at desc limit 1"
    )
    assert facts["proposal"]["model"]["version"] == NEXT_VERSION
    taken = still[place]["present"][0]["uuid"]
    assert taken in [node["node"] for node in facts["nodes"]]
    assert [n["decision"] for n in reader.nodes if n["uuid"] == taken] == ["reshaped"]

    reader.press("z")
    reader.saved()
    reader.wait(f"window.__concord.newer.waiting.length === {len(still)}")
    reader.press("8")
    reader.wait("!window.__concord.newer.active")
    assert key not in str(reader.hook("newer.waiting"))
    assert reader.complaints == []
