"""Nodes are shaped, cut, merged and marked with few strokes, and no voxel differs afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from playwright.sync_api import expect

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
    typed = next(one for one in reader.detail()["nodes"] if one["uuid"] == node)
    manual = typed["manual"]
    assert (typed["impression"], typed["doubt"]) == (None, False), "digits belong to the field"
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


def brushed(reader: ReadingRoom, path: list[tuple[float, float]], slice_: int) -> None:
    """A stroke with what the hand holds, saved."""
    reader.drag(slice_, path)
    reader.saved()


def test_every_brush_paints_what_its_name_says(reader: ReadingRoom) -> None:
    slice_, row, column = MIDDLE
    reader.scroll_to(slice_)
    node = painted(reader, row, column - 8)
    reader.select(node)
    reader.scroll_to(slice_)
    size = reader.page.get_by_test_id("brush-size")
    expect(size).to_have_text("4 mm")
    reader.press("Shift+B")
    expect(reader.page.get_by_test_id("corner-tool").first).to_have_text("Sphere brush")
    brushed(reader, [(row, column), (row, column + 1)], slice_)
    labels, mask = reader.server_mask()
    assert np.ptp(np.flatnonzero((mask == labels[node]).any(axis=(1, 2)))) >= 2, "not one slice"
    reader.press("7")
    reader.press("z")
    agreed(reader)
    assert reader.hook("beside.slab") != "", "undone through a slab"
    reader.press("]")
    reader.press("]")
    expect(size).to_have_text("6 mm")
    x, y = reader.point(slice_, row, column)
    reader.page.mouse.move(x, y)
    reader.page.keyboard.down("Alt")
    reader.page.mouse.wheel(0, 100)
    reader.page.mouse.wheel(0, 100)
    reader.page.keyboard.up("Alt")
    expect(size).to_have_text("4 mm")
    assert reader.hook("focus")[0] == slice_, "Alt and the wheel scrolled"
    reader.press("b")
    reader.wheel(slice_, 1)
    reader.scroll_to(slice_)
    assert reader.hook("tool") == "brush", "the wheel scrolls with the brush in the hand"

    # Half in the body and half in the air: the brush that keeps to the node's densities.
    reader.press("Shift+T")
    brushed(reader, [(32, 52), (32, 63)], slice_)
    labels, mask = reader.server_mask()
    taken = np.argwhere(mask[slice_] == labels[node])
    densities = small_phantom().image[slice_][tuple(taken.T)]
    assert len(taken) > 40
    assert taken[:, 1].max() >= 58
    assert densities.min() > -50, "air is none of the node"
    reader.press("z")
    agreed(reader)

    before = voxels(reader, node)
    reader.press("k")
    brushed(reader, [(row, column + 4), (row, column + 12)], slice_)
    area = voxels(reader, node) - before
    assert 40 < area < 8 * np.pi * 8, "a filled circle in one slice"
    x, y = reader.hook(f"canvasPoint('axial', {slice_}, {row}, {column})")
    reader.press("Escape")
    reader.page.mouse.dblclick(x, y)
    assert reader.hook(f"canvasPoint('axial', {slice_}, {row}, {column})") == [x, y]
    reader.press("z")
    agreed(reader)
    assert voxels(reader, node) == before

    # A stroke in the coronal plane is one of all slices it crosses.
    reader.press("b")
    points = [reader.hook(f"canvasPoint('coronal', {z}, {row}, {column - 8})") for z in (11, 17)]
    reader.page.mouse.move(*points[0])
    reader.page.mouse.down()
    reader.page.mouse.move(*points[1], steps=6)
    reader.page.mouse.up()
    agreed(reader)
    labels, mask = reader.server_mask()
    assert {12, 13, 14, 15, 16} <= set(np.flatnonzero((mask == labels[node]).any(axis=(1, 2))))
    reader.press("e")
    reader.press("]")
    reader.press("]")
    brushed(reader, [(row, column - 12), (row, column - 4)], slice_)
    labels, mask = reader.server_mask()
    assert not mask[slice_].any()


def test_a_node_takes_nothing_of_a_neighbour_unless_it_may(reader: ReadingRoom) -> None:
    slice_, row, column = MIDDLE
    reader.scroll_to(slice_)
    one = painted(reader, row, column - 12)
    other = painted(reader, row, column)
    theirs = voxels(reader, other)
    reader.select(one)
    reader.scroll_to(slice_)
    reader.press("b")
    across = [(row, column - 12.0), (row, column + 4.0)]
    brushed(reader, across, slice_)
    agreed(reader)
    assert voxels(reader, other) == theirs
    reader.press("`")
    free = reader.page.get_by_test_id("corner-free").first
    expect(free).to_contain_text("may run into its neighbours")
    brushed(reader, across, slice_)
    agreed(reader)
    assert voxels(reader, other) < theirs
    reader.press("z")
    agreed(reader)
    assert voxels(reader, other) == theirs
    reader.select(other)
    expect(free).to_have_count(0)
    reader.select(one)
    reader.scroll_to(slice_)
    brushed(reader, across, slice_)
    assert voxels(reader, other) == theirs, "only while it was selected"

    # Two seeds cut what hangs together; a ring's core is filled on one key.
    whole = voxels(reader, one)
    reader.press("Shift+X")
    for at in (column - 13, column - 7):
        reader.page.mouse.click(*reader.point(slice_, row, at))
    agreed(reader)
    labels, mask = reader.server_mask()
    assert len(labels) == 3
    assert mask[slice_, row, column - 13] != mask[slice_, row, column - 7]
    assert 0 < voxels(reader, one) < whole
    reader.press("n")
    reader.press("[")
    reader.press("[")
    ring = [(6 * np.sin(turn), 6 * np.cos(turn)) for turn in np.linspace(0, 2 * np.pi, 25)]
    down, right = 44, 30
    brushed(reader, [(down + y, right + x) for y, x in ring], slice_)
    labels, mask = reader.server_mask()
    assert mask[slice_, down, right] == 0
    reader.press("Shift+F")
    agreed(reader)
    labels, mask = reader.server_mask()
    assert mask[slice_, down, right] == labels[reader.hook("selected")]


def spread(reader: ReadingRoom, node: str, axis: int) -> list[int]:
    """Where along an axis of the grid the node has any voxel."""
    labels, mask = reader.server_mask()
    others = tuple({0, 1, 2} - {axis})
    return [int(at) for at in np.flatnonzero((mask == labels[node]).any(axis=others))]


def test_slices_left_out_are_filled_in_their_plane(reader: ReadingRoom) -> None:
    slice_, row, column = MIDDLE
    notice = reader.page.get_by_test_id("notice")
    reader.press("n")
    for index in (slice_ - 2, slice_ + 2):
        reader.scroll_to(index)
        reader.drag(index, [(row, column - 2), (row, column + 2)])
        reader.saved()
    axial = str(reader.hook("selected"))
    assert spread(reader, axial, 0) == [slice_ - 2, slice_ + 2]
    reader.press("Shift+G")
    agreed(reader)
    assert spread(reader, axial, 0) == list(range(slice_ - 2, slice_ + 3))
    reader.press("Shift+G")
    expect(notice).to_contain_text("No slice is left out")

    # Thin strokes in the coronal plane touch the same axial slices, with rows left out between.
    first = int(reader.hook("focus")[1])
    reader.press("n")
    drawn = []
    for across in (0, -6):
        points = [
            reader.hook(f"canvasPoint('coronal', {z}, {first + across}, {column - 16})")
            for z in (slice_ - 2, slice_ + 2)
        ]
        reader.page.mouse.move(*points[0])
        while (at := reader.hook("focus")[1]) != first + across:
            reader.page.mouse.wheel(0, 100)
            reader.wait(f"window.__concord.focus[1] !== {at}")
        drawn.append(at)
        reader.page.mouse.down()
        reader.page.mouse.move(*points[1], steps=6)
        reader.page.mouse.up()
        reader.saved()
    coronal = str(reader.hook("selected"))
    drawn.sort()
    assert spread(reader, coronal, 1) == drawn
    assert np.ptp(spread(reader, coronal, 0)) >= 4
    reader.press("Shift+G")
    agreed(reader)
    assert spread(reader, coronal, 1) == list(range(drawn[0], drawn[1] + 1))
    reader.picture("shaping-6-between")
    reader.press("z")
    agreed(reader)
    assert spread(reader, coronal, 1) == drawn


MOST = 255


def test_as_many_nodes_as_can_be_are_listed(reader: ReadingRoom, stack: Stack) -> None:
    """All but the last are another machine's work."""
    with reader.http() as client:
        root = f"/api/readings/{reader.reading}"
        client.headers.update({"X-CSRFToken": client.cookies["csrftoken"], "Referer": stack.url})
        taken = client.post(f"{root}/lease", json={"client": str(uuid4()), "take_over": True})
        sops = reader.detail()["grid"]["sop_uids"]
        nodes, slices = [str(uuid4()) for _ in range(MOST - 1)], []
        for index in range(4, 20):
            # Sixteen a slice, in a square of four by four.
            runs = [
                [5 * row * 20 + 5 * column, 2, 1 + place]
                for row in range(4)
                for column in range(4)
                if (place := 16 * (index - 4) + 4 * row + column) < len(nodes)
            ]
            slices.append({"sop": sops[index], "box": [22, 22, 42, 42], "runs": runs})
        change = {"id": str(uuid4()), "base": reader.detail()["head"], "kind": "voxels"}
        body = {
            "lease": taken.json()["lease"],
            "changes": [{**change, "nodes": nodes, "slices": slices}],
        }
        assert client.post(f"{root}/changes", json=body).status_code == 200
    reader.page.get_by_test_id("continue-here").click()
    reader.wait(f"window.__concord.nodes.length === {MOST - 1}")
    reader.saved()
    painted(reader, *MIDDLE[1:])
    expect(reader.page.get_by_test_id("node-row")).to_have_count(MOST)
    expect(reader.page.get_by_test_id("counts")).to_contain_text(f"/ {MOST} decided")

    # There is no number for another one, and the reader is told; once one is gone, there is.
    notice = reader.page.get_by_test_id("notice")
    reader.press("n")
    expect(notice).to_contain_text(f"at most {MOST} nodes")
    assert (reader.hook("tool"), len(reader.nodes)) == ("window", MOST)
    reader.picture("no-node-more")
    reader.press("z")
    reader.saved()
    node = painted(reader, *MIDDLE[1:])
    number = reader.hook(f"denseOf({json.dumps(node)})")
    assert 1 <= number <= MOST
    at = [int(reader.hook("focus")[0]), *MIDDLE[1:]]
    assert reader.page.evaluate("at => window.__concord.shownAt(...at)", at) == number
    expect(reader.page.get_by_test_id("node-row")).to_have_count(MOST)
    last = reader.nodes[-1]["uuid"]
    reader.select(last)
    expect(reader.row(last)).to_be_in_viewport()
    for _ in range(8):
        reader.press("w")
    reader.press("f")
    reader.saved()
    assert [node["doubt"] for node in reader.detail()["nodes"]].count(True) == 1
    expect(reader.row(str(reader.hook("selected")))).to_be_in_viewport()
    reader.picture("as-many-nodes-as-can-be")


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
