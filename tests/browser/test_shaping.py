"""Nodes are shaped, cut, merged and marked with few strokes, and no voxel differs afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fixtures.phantom_dicom import write_series
from fixtures.small import small_phantom
from tests.journey.room import ReadingRoom, browser
from tests.stack import Stack, until

pytestmark = [pytest.mark.browser, pytest.mark.deep, pytest.mark.timeout(400)]
STEP_MS = 100
# A node of the phantom: radius 6 mm round this voxel, 95 HU in a body of 45.
MIDDLE = (14, 28, 44)


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
    """In front of the phantom, with no node yet."""
    stack.manage(
        "receive", str(write_series(small_phantom(), tmp_path / "ct", patient_id=request.node.name))
    )
    with browser(chromium) as running:
        reader = ReadingRoom(running, stack, "reader1")
        opened(reader)
        yield reader
        assert reader.complaints == []


def opened(reader: ReadingRoom) -> None:
    reader.sign_in()
    rows = reader.page.locator("tr[data-reading][data-state='assigned']")
    until(rows.count, "the new case", 60, reader.words)
    reader.open(rows.first)
    reader.wait("window.__concord.saveState === 'saved'")
    reader.page.mouse.move(*reader.point(*reader.hook("focus")))


def painted(reader: ReadingRoom, row: float, column: float, *, slices: int = 1) -> str:
    """A new node: a short stroke on this slice and the next ones."""
    reader.press("n")
    first = reader.hook("focus")[0]
    for index in range(first, first + slices):
        reader.scroll_to(index)
        reader.drag(index, [(row, column - 2), (row, column + 2)])
    node = str(reader.hook("selected"))
    reader.press("Escape")
    reader.saved()
    return node


def voxels(reader: ReadingRoom, node: str) -> int:
    labels, mask = reader.server_mask()
    return int((mask == labels[node]).sum())


def pull(
    reader: ReadingRoom, slice_: int, row: float, start: float, end: float, *, keep: bool = True
) -> None:
    """Shift and drag along a row, from one column to another."""
    first, last = reader.point(slice_, row, start), reader.point(slice_, row, end)
    reader.page.keyboard.down("Shift")
    reader.page.mouse.move(*first)
    reader.page.mouse.down()
    reader.page.mouse.move(*last, steps=12)
    reader.wait("window.__concord.reshapeSteps.length > 0")
    if not keep:
        reader.press("Escape")
    reader.page.mouse.up()
    reader.page.keyboard.up("Shift")


def agreed(reader: ReadingRoom) -> None:
    """Saved; head, voxels of the mask and what is on screen are the server's."""
    reader.saved()
    assert reader.hook("head") == reader.detail()["head"]
    labels, mask = reader.server_mask()
    names = {number: node for node, number in labels.items()}
    dense = {number: reader.hook(f"denseOf({json.dumps(names[number])})") for number in names}
    table = np.zeros(int(mask.max()) + 1 if mask.any() else 1, np.int64)
    for number, shown in dense.items():
        if number < len(table):
            table[number] = shown
    for index in np.flatnonzero(mask.any(axis=(1, 2))):
        plane = reader.page.evaluate(
            "([z, rows, columns]) => Array.from({length: rows * columns}, (_, at) =>"
            " window.__concord.shownAt(z, Math.floor(at / columns), at % columns))",
            [int(index), *mask.shape[1:]],
        )
        assert np.array_equal(np.reshape(plane, mask.shape[1:]), table[mask[index]])


def test_a_node_is_shaped_by_gesture_and_by_keys(reader: ReadingRoom) -> None:
    slice_, row, column = MIDDLE
    reader.scroll_to(slice_)
    node = painted(reader, row, column, slices=2)
    before = voxels(reader, node)
    reader.select(node)
    reader.scroll_to(slice_)
    pull(reader, slice_, row, column + 4, column + 7)
    agreed(reader)
    grown = voxels(reader, node)
    assert grown > 1.5 * before
    reader.picture("shaping-1-grown")
    pull(reader, slice_, row, column + 7, column + 1, keep=False)
    agreed(reader)
    assert voxels(reader, node) == grown, "Escape changed the node"
    pull(reader, slice_, row, column + 7, column + 5)
    agreed(reader)
    assert voxels(reader, node) < grown
    reader.press("z")
    agreed(reader)
    assert voxels(reader, node) == grown
    reader.press("z")
    agreed(reader)
    assert voxels(reader, node) == before
    reader.press("Shift+Z")
    agreed(reader)
    assert voxels(reader, node) == grown
    steps = reader.hook("reshapeSteps")
    figures = {"steps": len(steps), "max": max(steps), "median": float(np.median(steps))}
    reader.keep("reshape-steps-ms.json", json.dumps(figures).encode())
    assert max(steps) <= STEP_MS
    for key in ("Shift+E", "Shift+S", "=", "-"):
        reader.press(key)
        agreed(reader)
    reader.picture("shaping-2-on-the-edge")
    kinds = [change["kind"] for change in history(reader)]
    assert set(kinds) == {"voxels", "undo"}


def history(reader: ReadingRoom) -> list[dict[str, str]]:
    rows = reader.stack.query(
        "select kind from reading_change where reading_id = %s order by position", reader.reading
    )
    return [{"kind": str(kind)} for (kind,) in rows]


def test_a_node_is_cut_merged_marked_and_measured(reader: ReadingRoom) -> None:
    slice_, row, column = MIDDLE
    reader.scroll_to(slice_)
    node = painted(reader, row, column)
    reader.select(node)
    pull(reader, slice_, row, column + 4, column + 8)
    agreed(reader)
    whole = voxels(reader, node)
    reader.press("Shift+X")
    reader.picture("shaping-3-cut")
    reader.drag(slice_, [(row - 9, column + 1.5), (row + 9, column + 1.5)])
    agreed(reader)
    labels, mask = reader.server_mask()
    assert len(labels) == 2
    part = next(name for name in labels if name != node)
    sizes = {name: int((mask == labels[name]).sum()) for name in labels}
    assert sum(sizes.values()) == whole
    assert sizes[node] >= sizes[part] > 0
    told = {one["uuid"]: one for one in reader.detail()["nodes"]}
    assert (told[part]["origin"], told[part]["parents"]) == ("split", [node])
    reader.picture("shaping-4-cut-in-two")
    reader.press("z")
    agreed(reader)
    assert voxels(reader, node) == whole
    reader.press("Shift+Z")
    agreed(reader)
    assert voxels(reader, part) == sizes[part]
    reader.select(node)
    reader.press("Shift+A")
    reader.row(part).get_by_test_id("node-size").click()
    agreed(reader)
    assert voxels(reader, node) == whole
    told = {one["uuid"]: one for one in reader.detail()["nodes"]}
    assert (told[part]["decision"], told[part]["merged_into"]) == ("merged", node)
    assert part not in {one["uuid"] for one in reader.nodes}
    reader.press("Shift+C")
    here = reader.hook("focus")[0]
    reader.drag(here, [(row, column - 8), (row, column + 8)])
    reader.drag(here, [(row - 6, column), (row + 6, column)])
    agreed(reader)
    manual = next(one for one in reader.detail()["nodes"] if one["uuid"] == node)["manual"]
    assert abs(manual["long"]["mm"] - 16) < 0.5
    assert abs(manual["short"]["mm"] - 12) < 0.5
    reader.press("Shift+C")
    form = reader.page.get_by_test_id("by-hand")
    reader.type_into(form.get_by_label("Long axis"), "14.5")
    reader.type_into(form.get_by_label("Short axis"), "9")
    reader.picture("shaping-5-typed")
    form.get_by_role("button", name="Keep").click()
    agreed(reader)
    manual = next(one for one in reader.detail()["nodes"] if one["uuid"] == node)["manual"]
    assert [(manual[axis]["mm"], manual[axis]["ends_vox"]) for axis in ("long", "short")] == [
        (14.5, None),
        (9.0, None),
    ]
    reader.press("Shift+R")
    reader.press("1")
    agreed(reader)
    (region,) = reader.detail()["regions"]
    assert (region["reason"], len(region["slices"])) == ("streaks", 1)
    reader.press("Shift+R")
    reader.page.keyboard.down("Shift")
    reader.drag(here, [(row, column), (row + 12, column), (row + 12, column + 12)])
    reader.page.keyboard.up("Shift")
    reader.press("2")
    agreed(reader)
    (freely,) = (one for one in reader.detail()["regions"] if one != region)
    runs = freely["slices"][0]["runs"]
    assert len(runs) > 8, "a row of the triangle each"
    assert 50 < sum(length for _, length, _ in runs) < 100
    reader.picture("shaping-5-marked")
    for _ in range(6):
        reader.press("z")
    agreed(reader)
    assert reader.detail()["regions"] == []
    assert voxels(reader, node) == whole
    assert {one["manual"] is None for one in reader.detail()["nodes"]} == {True}


@pytest.mark.long
def test_on_a_real_ct_a_node_grows_within_a_blink_a_step(
    stack: Stack, chromium: str, test_data: Path
) -> None:
    """A stroke in the middle of the volume, pulled against the bone beside it."""
    stack.manage("receive", str(test_data / "headneck_ct" / "cerr_head_neck_ex1.zip"))
    with browser(chromium) as running:
        reader = ReadingRoom(running, stack, "reader1")
        opened(reader)
        slice_, row, column = reader.hook("focus")
        reader.picture("shaping-6-real-first")
        node = painted(reader, row, column)
        reader.select(node)
        before = voxels(reader, node)
        pull(reader, slice_, row, column + 4, column + 12)
        agreed(reader)
        reader.picture("shaping-7-real-grown")
        assert voxels(reader, node) > before
        for _ in range(20):
            for key in ("=", "-"):
                reader.press(key)
                reader.saved()
        waits = sorted(reader.hook("waits"))
        reader.keep("stroke-to-measures-ms.json", json.dumps(waits).encode())
        figures = sorted(reader.hook("reshapeSteps"))
        reader.keep("reshape-steps-real-ms.json", json.dumps(figures).encode())
        assert figures[-1] <= STEP_MS
        reader.press("Shift+S")
        agreed(reader)
        reader.picture("shaping-8-real-smoothed")
        assert reader.complaints == []
