"""What the AI proposes while a reading is open, in a real browser: a missed node by one click, and
what a newer model has otherwise; taken, left, on record."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
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
from tests.journey.steps import missed
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


def test_a_missed_node_is_clicked_proposed_taken_and_on_record(
    reader: ReadingRoom, stack: Stack, short_neck: Path
) -> None:
    (slice_, row, column), truth = missed(reader, truth_paths(short_neck)[0])
    before = set(reader.server_mask()[0])
    reader.page.mouse.move(*reader.point(*reader.hook("focus")))
    reader.scroll_to(slice_)

    reader.press("6")
    expect(reader.page.get_by_test_id("prompt-line")).to_contain_text("Click into the missed node")
    reader.page.mouse.click(*reader.point(slice_, row, column))
    reader.wait("window.__concord.prompt.voxels > 0")
    expect(reader.page.get_by_test_id("prompt-line")).to_contain_text("Proposed")
    expect(reader.page.get_by_test_id("prompt-shape")).to_have_count(3)
    assert reader.hook("focus") == [slice_, row, column], "the other planes show the place"
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
    (slice_, row, column), _ = missed(reader, truth_paths(short_neck)[0])
    reader.page.mouse.move(*reader.point(*reader.hook("focus")))
    reader.scroll_to(slice_)
    worker = stack.workers[-1]
    line = reader.page.get_by_test_id("prompt-line")
    assert worker.process
    os.kill(worker.process.pid, signal.SIGSTOP)  # Connected, and silent.
    reader.press("6")
    reader.page.mouse.click(*reader.point(slice_, row, column))
    expect(line).to_contain_text(re.compile(r"Looking … \d+\.\d s"))
    reader.press("Escape")
    reader.wait("window.__concord.prompt.clicks.length === 0")
    reader.press("Escape")
    stack.kill(worker)
    alive = "select 1 from jobs_workersession where gone is null"
    until(lambda: not stack.query(alive), "the worker to be missed", 30, stack.words)

    reader.press("6")
    reader.page.mouse.click(*reader.point(slice_, row, column))
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


REGISTER = """
from pathlib import Path
from backend.jobs.services import register_model
register_model(folder=Path({folder!r}), actor=None)
"""


def newer_model(
    stack: Stack, folder: Path, version: str, *, score: float, voxel_share: float = 1.0
) -> None:
    """The shipped model at another operating point, as its next version; a worker that has it."""
    shutil.copytree(ROOT / "inference" / "models", folder)
    model = folder / "foveal-ln-ct"
    told = json.loads((model / "model.json").read_text())
    told["version"] = version
    told["output"]["threshold"] *= voxel_share
    told["output"]["second_look"]["threshold"] = score
    (model / "model.json").write_text(json.dumps(told))
    alive = "select 1 from jobs_workersession where gone is null"
    stack.kill(stack.workers[-1])
    until(lambda: not stack.query(alive), "the worker to be missed", 30, stack.words)
    stack.manage("shell", "-c", REGISTER.format(folder=str(model)))
    stack.start_worker(CONCORD_MODELS=str(folder))
    until(lambda: stack.query(alive), "the worker with the newer model", 90, stack.words)


def looks_again(reader: ReadingRoom, stack: Stack) -> None:
    """The coordinator has the AI look at the case again; the reading room says what it has."""
    runs = "select count(*) from jobs_run where kind = 'presegment' and state = 'succeeded'"
    ((before,),) = stack.query(runs)
    case = reader.detail()["case"]["id"]
    with closing(stack.client("coordinator")) as coordinator:
        assert "Run the AI again" in coordinator.get(f"/cases/{case}/").text
        assert coordinator.post(f"/cases/{case}/presegment").status_code == 302
    expect(reader.page.get_by_test_id("ai-progress")).to_be_visible(timeout=SLOW_MS)
    until(lambda: stack.query(runs)[0][0] > before, "the newer run", 120, stack.words)
    line = reader.page.get_by_test_id("newer-proposal")
    expect(line).to_contain_text("The AI has a new proposal:", timeout=SLOW_MS)


def goes_to(reader: ReadingRoom, kind: str) -> dict[str, Any]:
    """Click the first difference of a kind; what it is about."""
    waiting = reader.hook("newer.waiting")
    place = next(
        at
        for at, one in enumerate(waiting)
        if one["kind"] == kind and not any(node["edited"] for node in one["present"])
    )
    reader.page.get_by_test_id("newer-list").locator("li > button").nth(place).click()
    expect(reader.page.get_by_test_id("proposal-line")).to_contain_text(kind.capitalize())
    return dict(waiting[place])


def last_facts(stack: Stack, kind: str) -> dict[str, Any]:
    """What the newest change of a kind records."""
    ((facts,),) = stack.query(
        "select facts from reading_change where kind = %s order by at desc limit 1", kind
    )
    return dict(facts)


def test_a_newer_model_s_differences_are_offered_beside_the_reading_and_taken_one_by_one(
    reader: ReadingRoom, stack: Stack, tmp_path: Path
) -> None:
    page = reader.page
    ours = next(node for node in reader.nodes if node["origin"] == "ai" and not node["empty"])
    reader.select(ours["uuid"])
    reader.press("=")
    reader.saved()
    head, focus, labels = reader.hook("head"), reader.hook("focus"), reader.server_mask()[0]

    newer_model(stack, tmp_path / "lenient", "lenient", score=0.05, voxel_share=1.5)
    looks_again(reader, stack)
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
    changed = goes_to(reader, "changed")
    reader.picture("newer-proposal-list")
    reader.press("Enter")
    reader.saved()
    reader.wait(f"window.__concord.newer.waiting.length === {len(still) - 1}")
    assert reader.hook("head") != head
    facts = last_facts(stack, "voxels")
    assert facts["proposal"]["model"]["version"] == "lenient"
    taken = changed["present"][0]["uuid"]
    assert taken in [node["node"] for node in facts["nodes"]]
    assert [n["decision"] for n in reader.nodes if n["uuid"] == taken] == ["reshaped"]

    reader.press("z")
    reader.saved()
    reader.wait(f"window.__concord.newer.waiting.length === {len(still)}")

    # A node more: taken it is one of the reader's own, undone it is offered again.
    nodes = {node["uuid"] for node in reader.nodes}
    goes_to(reader, "new")
    reader.picture("newer-proposal-new")
    reader.press("Enter")
    reader.saved()
    (added,) = [node for node in reader.nodes if node["uuid"] not in nodes]
    assert (added["decision"], added["empty"]) == ("added", False)
    assert last_facts(stack, "voxels")["proposal"]["model"]["version"] == "lenient"
    reader.press("z")
    reader.saved()
    reader.wait(f"window.__concord.newer.waiting.length === {len(still)}")
    assert {node["uuid"] for node in reader.nodes} == nodes
    reader.press("8")
    reader.wait("!window.__concord.newer.active")
    assert key not in str(reader.hook("newer.waiting"))

    # A node less: a stricter version lets some go, and taking that is a rejection with its source.
    newer_model(stack, tmp_path / "strict", "strict", score=0.9)
    looks_again(reader, stack)
    reader.wait("window.__concord.newer.waiting.some(one => one.kind === 'gone')")
    head = reader.hook("head")
    reader.press("8")
    gone = goes_to(reader, "gone")
    expect(page.get_by_test_id("proposal-line")).to_contain_text("Enter rejects it")
    expect(page.get_by_test_id("proposal-shape").first).to_be_attached()
    reader.picture("newer-proposal-gone")
    assert reader.hook("head") == head
    lost = gone["present"][0]["uuid"]
    reader.press("Enter")
    reader.saved()
    told = {node["uuid"]: (node["decision"], node["reason"]) for node in reader.detail()["nodes"]}
    assert told[lost] == ("rejected", "other")
    assert last_facts(stack, "decision")["proposal"]["model"]["version"] == "strict"
    reader.press("z")
    reader.saved()
    assert [node["decision"] for node in reader.nodes if node["uuid"] == lost] == ["undecided"]
    reader.press("8")
    reader.wait("!window.__concord.newer.active")
    assert reader.complaints == []
