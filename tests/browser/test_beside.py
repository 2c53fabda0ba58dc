"""A slab, a prior and a PET beside and over the CT, and a second window, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from fixtures.phantom_dicom import truth_paths
from fixtures.phantom_pet import UPTAKE
from tests.browser.accessibility import keeps_nobody_out
from tests.journey.room import SLOW_MS, ReadingRoom, browser
from tests.journey.steps import hottest, person
from tests.stack import Stack, until

pytestmark = [pytest.mark.browser, pytest.mark.deep, pytest.mark.timeout(560)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("person")


@pytest.fixture(scope="module")
def truth(stack: Stack, folder: Path) -> Path:
    """The exactly known nodes of the CT."""
    return truth_paths(folder / "ct")[0]


@pytest.fixture(scope="module")
def stack(folder: Path) -> Iterator[Stack]:
    """A short neck with its PET, and the same neck 96 days before, elsewhere in the scanner."""
    ct, pet, prior = person(folder)
    stack = Stack()
    try:
        stack.start().manage("use_protocol", "LN-CT-OPEN")
        stack.manage("receive", str(ct), str(pet))
        stack.manage("receive", str(prior))
        yield stack
    finally:
        stack.close()


@pytest.fixture(scope="module")
def reader(chromium: str, stack: Stack) -> Iterator[ReadingRoom]:
    with browser(chromium) as chrome:
        yield from _reader(chrome, stack)


def _reader(chrome: Browser, stack: Stack) -> Iterator[ReadingRoom]:
    reader = ReadingRoom(chrome, stack, "reader1")
    reader.sign_in()
    row = reader.page.locator("tr[data-reading][data-ai='ready']").filter(has_text="LN-0001")

    def found() -> bool:
        reader.page.reload()
        return row.count() > 0

    until(found, "the AI's nodes", 240, reader.words)
    reader.open(row.first)
    reader.saved()
    yield reader
    assert reader.complaints == []
    assert reader.foreign == []
    reader.context.close()


def _lay(reader: ReadingRoom, name: str) -> None:
    """Has this series beside, whatever lay there."""
    reader.press(";")
    reader.page.get_by_test_id("beside-series").filter(has_text=name).click()
    reader.wait("window.__concord.beside.loaded")


def test_a_slab_is_told_in_every_plane_and_gives_way_to_painting(reader: ReadingRoom) -> None:
    reader.select(reader.nodes[0]["uuid"])
    for words in ("Mean 5 mm", "MIP 10 mm", "MIP 20 mm", ""):
        reader.press("7")
        assert reader.hook("beside.slab") == words
        expect(reader.page.get_by_test_id("corner-slab")).to_have_count(3 if words else 0)
    reader.press("7")
    reader.press("b")
    assert reader.hook("beside.slab") == ""
    reader.press("Escape")
    for key, window in (
        ("v", [200, 80]),
        ("t", [2000, 400]),
        ("g", [1500, -600]),
        ("q", [350, 60]),
    ):
        reader.press(key)
        assert reader.hook("voi") == window


def test_pet_lies_over_the_ct_in_suv_and_beside_it(reader: ReadingRoom, truth: Path) -> None:
    page = reader.page
    _lay(reader, "PET, same day")
    pane = page.get_by_test_id("beside")
    expect(pane.get_by_test_id("beside-name")).to_have_text("PET, same day")
    expect(pane.get_by_test_id("registration")).to_contain_text("one frame of reference")
    seen = reader.hook("seen('sagittal')")
    reader.press("i")
    corner = page.get_by_test_id("corner-pet").first
    node = reader.nodes[0]
    reader.select(node["uuid"])
    expect(corner).to_contain_text(f"node {node['number']} max SUV")
    page.get_by_test_id("tool-reset").click()
    z, row, column = hottest(truth)
    page.mouse.move(*reader.point(*reader.hook("focus")))
    reader.scroll_to(z)
    page.mouse.move(*reader.point(z, row, column))
    expect(corner).to_contain_text("at the cursor")
    told = float(corner.inner_text().split("SUV ")[-1].split(" at")[0])
    assert UPTAKE["node"] * 2 < told <= UPTAKE["metastatic"] * 1.05
    drawn = page.get_by_test_id("fused-axial").evaluate(
        "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
        ".filter((v, i) => i % 4 === 3 && v > 100).length"
    )
    assert drawn > 20
    assert reader.hook("seen('sagittal')") == seen, "a covered plane counted as looked at"
    reader.picture("beside-pet")
    before = reader.hook("beside.opacity")
    reader.press("9")
    assert reader.hook("beside.opacity") < before
    reader.press("i")
    expect(page.get_by_test_id("fused-axial")).to_have_count(0)


def test_a_prior_is_laid_over_by_hand_confirmed_and_kept(reader: ReadingRoom) -> None:
    page = reader.page
    page.keyboard.press(";")
    expect(page.get_by_test_id("beside-series")).to_have_count(2)
    reader.picture("beside-chooser")
    page.keyboard.press("2")
    pane = page.get_by_test_id("beside")
    expect(pane.get_by_test_id("beside-name")).to_have_text("Prior CT, 96 days before")
    reader.wait("window.__concord.beside.loaded")
    expect(pane.get_by_test_id("registration")).to_have_text("Registration not confirmed")
    first = reader.hook("beside.offset")
    assert first == pytest.approx([10.0, -10.0, 40.0], abs=1.5), "the middles lie on each other"
    left, top, width, height = reader.box(pane)
    x, y = left + width / 2, top + height / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 20, y, steps=4)
    page.mouse.up()
    page.mouse.wheel(0, 100)
    reader.wait(f"Math.abs(window.__concord.beside.offset[2] - {first[2]}) > 2")
    shifted = reader.hook("beside.offset")
    assert shifted[0] < first[0] - 2, "what lies under the hand follows it"
    reader.picture("beside-not-confirmed")
    page.keyboard.press("Enter")
    expect(pane.get_by_test_id("registration")).to_contain_text("confirmed", timeout=SLOW_MS)
    expect(pane.get_by_test_id("registration")).to_contain_text("Linked")
    with reader.http() as client:
        listed = client.get(f"/api/readings/{reader.reading}/beside").json()["series"]
    kept = next(one["offset_mm"] for one in listed if one["kind"] == "prior")
    assert kept == pytest.approx(shifted, abs=0.01)
    keeps_nobody_out(page)
    at = reader.hook("focus")[0]
    page.mouse.move(x, y)
    page.mouse.wheel(0, 100)
    reader.wait(f"window.__concord.focus[0] !== {at}")
    reader.picture("beside-prior")


def test_a_second_window_follows_and_never_writes(reader: ReadingRoom) -> None:
    _lay(reader, "Prior CT, 96 days before")
    with reader.page.expect_popup() as opened:
        reader.press("Shift+W")
    second = opened.value
    asked: list[str] = []
    second.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    second.set_viewport_size({"width": 1280, "height": 800})
    expect(second.get_by_role("status")).to_contain_text("Following", timeout=SLOW_MS)
    bright = (
        "c => c.width && c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
        ".filter((v, i) => i % 4 === 0 && v > 60).length"
    )
    for view in ("coronal", "sagittal", "beside"):
        canvas = second.get_by_test_id(f"second-{view}").locator("canvas")
        until(lambda canvas=canvas: canvas.evaluate(bright) > 500, f"{view} drawn", 60)
    line = second.get_by_test_id("second-coronal").locator("[data-axis=x]")
    place = line.evaluate("i => i.style.top")
    reader.page.bring_to_front()
    reader.press("PageUp")
    reader.press("PageUp")
    until(lambda: line.evaluate("i => i.style.top") != place, "the second window to follow", 30)
    reader.keep("second-window.png", second.screenshot())
    assert reader.hook("saveState") == "saved", "the second window took nothing from the first"
    assert not [one for one in asked if not one.startswith("GET ")]
    second.close()
    reader.press("Shift+P")
    expect(reader.page.get_by_test_id("beside")).to_have_count(0)
