"""The reader's hands: list, jump, contact sheet, coverage, vessel test, keys and resume."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from fixtures.phantom_dicom import write_series
from fixtures.small import short_neck_phantom
from tests.browser.accessibility import keeps_nobody_out
from tests.journey.room import SLOW_MS, Person, ReadingRoom, browser
from tests.stack import Stack, until

pytestmark = [pytest.mark.browser, pytest.mark.deep, pytest.mark.timeout(420)]
SHEET = "document.querySelector('[data-testid=contact-sheet]')"
TILES = f"[...{SHEET}.shadowRoot.querySelectorAll('.tile')]"
PLANES = ("axial", "coronal", "sagittal")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A short neck in which the model found some nodes."""
    made = short_neck_phantom()
    folder = tmp_path_factory.mktemp("short-neck") / "dicom"
    write_series(made, folder, patient_id="PHANTOM-2")
    stack = Stack()
    try:
        stack.start().manage("receive", str(folder))
        yield stack
    finally:
        stack.close()


@pytest.fixture(scope="module")
def chrome(chromium: str) -> Iterator[Browser]:
    with browser(chromium) as running:
        yield running


@pytest.fixture
def reader(chrome: Browser, stack: Stack) -> Iterator[ReadingRoom]:
    """In front of the case, saved and ready."""
    reader = ReadingRoom(chrome, stack, "reader1")
    reader.sign_in()
    ready = reader.page.locator("tr[data-reading][data-ai='ready']")

    def found() -> bool:
        reader.page.reload()
        return ready.count() > 0

    until(found, "the AI's nodes", 180, reader.words)
    reader.open(ready.first)
    _writes(reader)
    yield reader
    assert reader.complaints == []
    reader.context.close()


def _writes(reader: ReadingRoom) -> None:
    """The one writer, whoever wrote before."""
    reader.wait("['saved', 'read_only'].includes(window.__concord.saveState)")
    if reader.hook("saveState") == "read_only":
        reader.page.get_by_test_id("continue-here").click()
    reader.wait("window.__concord.saveState === 'saved'")


def _opened_elsewhere(reader: ReadingRoom, chrome: Browser) -> ReadingRoom:
    """The same reader at another machine."""
    other = ReadingRoom(chrome, reader.stack, reader.name)
    other.sign_in()
    other.page.goto(reader.page.url)
    other.wait("window.__concord?.ready")
    return other


def _middle(reader: ReadingRoom, plane: str) -> tuple[float, float]:
    pane = reader.page.locator(f"[data-testid=coverage-{plane}]").locator("..")
    left, top, width, height = reader.box(pane)
    return left + width / 2, top + height / 2


def test_a_jump_centres_the_node_in_every_plane_and_draws_its_axes(reader: ReadingRoom) -> None:
    nodes = reader.nodes
    sides = [node["side"] for node in nodes]
    assert set(sides) <= {"R", "L", None}
    assert sides == sorted(sides, key=lambda side: "RL".find(side) if side else 9)
    expect(reader.page.get_by_test_id("list-heading").first).to_contain_text("Right")
    expect(reader.page.get_by_test_id("node-place").first).to_have_text("level not set")
    for node in nodes[:3]:
        reader.select(node["uuid"])
        measures = node["measures"]
        focus = reader.hook("focus")
        assert focus[0] == measures["slice_index"]
        for plane in PLANES:
            x, y = reader.hook(f"canvasPoint('{plane}', {focus[0]}, {focus[1]}, {focus[2]})")
            assert (x, y) == pytest.approx(_middle(reader, plane), abs=2)
        axes = reader.page.get_by_test_id("axes")
        expect(axes).to_contain_text(measures["lad_text"])
        expect(axes).to_contain_text(measures["sad_text"])
        expect(reader.page.get_by_test_id("axes-coronal").locator("line").first).to_be_attached()
        expect(reader.page.get_by_test_id("axes-sagittal")).to_contain_text(measures["sad_text"])


def test_the_contact_sheet_triages_with_single_keys(reader: ReadingRoom) -> None:
    offered = [node["uuid"] for node in reader.nodes if node["origin"] == "ai"]
    reader.select(offered[0])
    reader.press("5")
    expect(reader.page.get_by_test_id("contact-sheet")).to_be_visible()
    reader.wait(f"{TILES}.length === {len(offered)}")
    reader.wait(f"{TILES}.every(tile => tile.dataset.ready === 'true')")
    greys = reader.page.evaluate(
        f"{TILES}.map(tile => [...tile.querySelectorAll('canvas')].map(canvas => new Set("
        "canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data).size))"
    )
    assert min(min(pair) for pair in greys) > 20, "a picture is empty"
    grid = f"{SHEET}.shadowRoot.querySelector('.tiles')"
    assert reader.page.evaluate(f"{grid}.scrollHeight <= {grid}.clientHeight")
    first = reader.hook("selected")
    reader.press("ArrowRight")
    second = reader.hook("selected")
    assert (first, second) == (offered[0], offered[1])
    reader.press("a")
    reader.wait(f"window.__concord.selected !== {json.dumps(second)}")
    third = reader.hook("selected")
    before = reader.hook("focus")
    reader.press("r")
    expect(reader.page.get_by_test_id("contact-sheet").get_by_test_id("reasons")).to_be_visible()
    reader.press("1")
    reader.wait(f"window.__concord.selected !== {json.dumps(third)}")
    assert reader.hook("focus") == before, "the planes moved under the sheet"
    found = {node["uuid"]: node for node in reader.nodes}
    assert found[second]["decision"] == "accepted"
    assert (found[third]["decision"], found[third]["reason"]) == ("rejected", "vessel")
    reader.press("Enter")
    expect(reader.page.get_by_test_id("contact-sheet")).to_have_count(0)
    chosen = found[reader.hook("selected")]
    assert reader.hook("focus")[0] == chosen["measures"]["slice_index"]
    for _ in range(2):
        reader.press("z")
    reader.saved()
    assert {node["decision"] for node in reader.detail()["nodes"]} == {"undecided"}


def test_the_bar_shows_what_the_server_recorded_and_leads_to_the_unseen(
    reader: ReadingRoom,
) -> None:
    slices = reader.detail()["grid"]["shape"][0]
    bar = reader.page.get_by_test_id("coverage-axial")
    expect(bar).to_have_attribute("data-total", str(slices))
    seen = {i for a, b in reader.hook("seen('axial')") for i in range(a, b + 1)}
    reader.press("u")
    at = reader.hook("focus")[0]
    assert at not in seen
    left, top, _, height = reader.box(bar.locator("svg"))
    reader.page.mouse.click(left + 16, top + height * 0.25)
    reader.wait(f"window.__concord.focus[0] !== {at}")
    assert reader.hook("focus")[0] == pytest.approx(slices * 0.75, abs=2)
    shown = reader.hook("seen('axial')")

    def recorded() -> bool:
        return bool(reader.detail()["seen"].get("axial") == shown)

    until(recorded, "the report of what was seen", 30, reader.words)
    reader.page.reload()
    reader.wait("window.__concord?.ready")
    count = sum(b - a + 1 for a, b in shown)
    until(
        lambda: int(bar.get_attribute("data-seen") or 0) >= count,
        "what the server recorded",
        30,
        reader.words,
    )


def test_while_space_is_held_the_planes_play_along_the_node_and_come_back(
    reader: ReadingRoom,
) -> None:
    reader.select(reader.nodes[0]["uuid"])
    before = {plane: reader.hook(f"camera('{plane}')") for plane in PLANES}
    seen = {plane: reader.hook(f"seen('{plane}')") for plane in PLANES}
    reader.page.keyboard.down("Space")
    normals = [before[plane]["viewPlaneNormal"] for plane in PLANES]
    reader.wait(
        f"{json.dumps(PLANES)}.every((plane, at) => JSON.stringify(window.__concord.camera(plane)"
        f".viewPlaneNormal) !== JSON.stringify({json.dumps(normals)}[at]))"
    )
    reader.page.keyboard.up("Space")
    for plane in PLANES:
        after = reader.hook(f"camera('{plane}')")
        for name in ("focalPoint", "position", "viewPlaneNormal", "viewUp", "parallelScale"):
            assert after[name] == pytest.approx(before[plane][name], abs=1e-3), (plane, name)
        assert reader.hook(f"seen('{plane}')") == seen[plane], "the test counted as looking"


def test_a_key_given_to_another_action_follows_the_reader_to_another_machine(
    reader: ReadingRoom, chrome: Browser
) -> None:
    reader.press("?")
    reader.page.get_by_test_id("key-doubt").click()
    reader.press("w")
    notice = reader.page.get_by_test_id("keys-notice")
    expect(notice).to_contain_text("Previous node")
    reader.press("j")
    expect(notice).to_contain_text("J is now")
    reader.press("Escape")
    other = _opened_elsewhere(reader, chrome)
    _writes(other)
    other.select(other.nodes[0]["uuid"])
    other.press("f")
    other.press("j")
    other.wait("window.__concord.nodes[0].doubt")
    other.press("j")
    other.wait("!window.__concord.nodes[0].doubt")
    other.press("?")
    other.page.get_by_test_id("reset-keys").click()
    expect(other.page.get_by_test_id("key-doubt")).to_contain_text("F")
    other.saved()
    other.context.close()


def test_a_reading_opens_on_another_machine_exactly_as_it_was_left(
    reader: ReadingRoom, chrome: Browser
) -> None:
    reader.select(reader.nodes[2]["uuid"])
    reader.press("t")
    reader.page.get_by_test_id("order").select_option("size")
    x, y = _middle(reader, "axial")
    reader.page.mouse.move(x, y)
    reader.page.mouse.down()
    reader.page.mouse.move(x + 30, y + 20, steps=3)
    reader.page.mouse.up()
    expect(reader.page.get_by_test_id("corner-window").first).to_contain_text("W ")
    expect(reader.page.get_by_test_id("tool-bone")).to_have_attribute("aria-pressed", "false")
    reader.page.mouse.move(x, y)
    reader.page.mouse.down(button="right")
    reader.page.mouse.move(x, y + 60, steps=3)
    reader.page.mouse.up(button="right")
    reader.page.mouse.down(button="middle")
    reader.page.mouse.move(x + 40, y + 60, steps=3)
    reader.page.mouse.up(button="middle")
    reader.page.mouse.wheel(0, 100)
    reader.page.get_by_test_id("tool-pan").click()
    left = {plane: reader.hook(f"camera('{plane}')") for plane in PLANES}
    names = ("selected", "window", "voi", "tool", "order", "focus")
    expected = [reader.hook(name) for name in names]
    assert expected[2] != [2000, 400]

    def kept() -> bool:
        resume: dict[str, Any] = reader.detail()["resume"]
        axial = resume.get("views", {}).get("concord-axial", {})
        at = axial.get("at", [0, 0, 0])
        return resume.get("tool") == "pan" and at == pytest.approx(
            left["axial"]["focalPoint"], abs=0.02
        )

    until(kept, "the place to be kept", 30, reader.words)
    other = _opened_elsewhere(reader, chrome)
    assert [other.hook(name) for name in names] == expected
    for plane in PLANES:
        now = other.hook(f"camera('{plane}')")
        assert now["focalPoint"] == pytest.approx(left[plane]["focalPoint"], abs=0.02)
        assert now["parallelScale"] == pytest.approx(left[plane]["parallelScale"], abs=0.02)
    other.context.close()
    reader.press("Escape")
    reader.page.get_by_test_id("tool-reset").click()
    reader.page.get_by_test_id("order").select_option("place")


def test_side_and_level_are_said_with_two_keys_and_taken_back(reader: ReadingRoom) -> None:
    node = reader.nodes[0]
    reader.select(node["uuid"])
    reader.press("l")
    expect(reader.page.get_by_test_id("place-choice")).to_contain_text("midline")
    reader.press("5")
    row = reader.row(node["uuid"])
    expect(row.get_by_test_id("node-place")).to_contain_text("III")
    reader.saved()
    assert {n["uuid"]: n["level"] for n in reader.detail()["nodes"]}[node["uuid"]] == "III"
    reader.press("z")
    expect(row.get_by_test_id("node-place")).to_contain_text("level not set", timeout=SLOW_MS)
    reader.saved()


def test_an_incidental_finding_is_told_to_the_coordinator(
    reader: ReadingRoom, chrome: Browser
) -> None:
    at = reader.hook("focus")[0]
    reader.press("Shift+I")
    words = reader.page.get_by_test_id("incidental-words")
    expect(words).to_be_focused()
    # The hand goes on moving over the images, and no letter of the words is taken for a key.
    decisions = [node["decision"] for node in reader.nodes]
    for written in ("A nodule, ", "apex of the ", "right lung"):
        reader.page.mouse.move(*_middle(reader, "sagittal"))
        reader.page.keyboard.type(written)
        left, top, width, height = reader.box(words)
        reader.page.mouse.move(left + width / 2, top + height / 2)
    reader.page.mouse.move(*_middle(reader, "axial"))
    expect(words).to_be_focused()
    expect(words).to_have_value("A nodule, apex of the right lung")
    assert [node["decision"] for node in reader.nodes] == decisions
    reader.press("Escape")
    expect(reader.page.get_by_test_id("incidental-sheet")).to_be_hidden()
    untold = reader.page.get_by_test_id("untold")
    expect(untold).to_have_text("A finding is not told")
    reader.press("Shift+I")
    expect(words).to_have_value("A nodule, apex of the right lung")
    keeps_nobody_out(reader.page)
    reader.picture("incidental")
    expect(words).to_be_focused()
    reader.context.clear_cookies(name="concord_session")
    reader.press("Control+Enter")
    card = reader.page.get_by_test_id("sign-in-again")
    expect(card).to_be_visible()
    expect(card).to_contain_text("What you wrote stays here")
    reader.type_into(card.get_by_label("Password"), reader.stack.users[reader.name])
    reader.press("Enter")
    expect(card).to_be_hidden()
    expect(reader.page.get_by_test_id("incidental-told")).to_contain_text("apex of the right")
    expect(words).to_have_value("")
    expect(untold).to_have_count(0)
    # Pressed on the images, the hand takes the keys along.
    reader.page.mouse.click(*_middle(reader, "axial"))
    expect(words).not_to_be_focused()
    reader.press("Escape")
    assert reader.hook("saveState") == "saved"
    coordinator = Person(chrome, reader.stack, "coordinator")
    coordinator.sign_in("/cases/")
    coordinator.page.locator("[data-incidentals='1']").click()
    panel = coordinator.page.locator("#incidental")
    slices = reader.detail()["grid"]["shape"][0]
    expect(panel).to_contain_text(f"axial slice {slices - at} of {slices}")
    keeps_nobody_out(coordinator.page)
    coordinator.type_into(panel.get_by_label("What is done about it"), "The ward knows")
    coordinator.press("Enter")
    expect(panel).to_contain_text("taken up")
    coordinator.picture("incidental-taken-up")
    assert coordinator.complaints == []
    coordinator.context.close()


def test_nothing_in_the_reading_room_keeps_anybody_out(reader: ReadingRoom) -> None:
    keeps_nobody_out(reader.page)
    reader.press("5")
    reader.wait(f"{TILES}.length > 0")
    keeps_nobody_out(reader.page)
    reader.press("Escape")
    reader.press("?")
    expect(reader.page.get_by_test_id("help-sheet")).to_be_visible()
    keeps_nobody_out(reader.page)
    reader.press("?")
    reader.select(reader.nodes[0]["uuid"])
    for key, shown in (("r", "reasons"), ("l", "place-choice"), ("Shift+C", "by-hand")):
        reader.press(key)
        expect(reader.page.get_by_test_id(shown)).to_be_visible()
        keeps_nobody_out(reader.page)
        reader.press("Escape")
    reader.page.goto("/")
    reader.page.locator("tr[data-reading]").first.wait_for()
    keeps_nobody_out(reader.page)


def test_a_whole_case_is_read_and_signed_with_the_keyboard_alone(
    chrome: Browser, stack: Stack
) -> None:
    reader = ReadingRoom(chrome, stack, "reader2")
    reader.page.goto("/sign-in/?next=/")
    reader.page.get_by_label("User name").focus()
    reader.page.keyboard.type(reader.name)
    reader.press("Tab")
    reader.page.keyboard.type(stack.users[reader.name])
    reader.press("Enter")
    row = reader.page.locator("tr[data-reading][data-ai='ready']").first
    row.wait_for(timeout=180_000)
    focused = "document.activeElement.closest('tr[data-reading]') !== null"
    for _ in range(40):
        if reader.page.evaluate(focused):
            break
        reader.press("Tab")
    with reader.page.expect_navigation(url="**/viewer/**"):
        reader.press("Enter")
    reader.wait("window.__concord?.ready")
    _writes(reader)
    reader.press("5")
    reader.wait(f"{TILES}.length > 0")
    reader.press("r")
    reader.press("8")
    while undecided := sum(node["decision"] == "undecided" for node in reader.nodes):
        reader.press("a")
        reader.wait(
            f"window.__concord.nodes.filter(n => n.decision === 'undecided').length < {undecided}"
        )
    reader.press("Enter")
    reader.press("1")
    submit = reader.page.get_by_test_id("submit")

    def complete() -> bool:
        reader.press("u")
        return submit.is_enabled()

    until(complete, "every check to be met", 90, reader.words)
    reader.saved()
    reader.press("Control+Enter")
    expect(reader.page.get_by_test_id("submit-form")).to_be_visible()
    reader.page.keyboard.type(stack.users[reader.name])
    reader.press("Enter")
    expect(reader.page.get_by_test_id("signed")).to_be_visible(timeout=SLOW_MS)
    detail = reader.detail()
    assert detail["state"] == "submitted"
    assert [n["reason"] for n in detail["nodes"]].count("too_small") == 1
    assert [bool(n["impression"]) for n in detail["nodes"]].count(True) == 1
    assert reader.complaints == []
