"""The settling screen's images: X beside Y and over each other, previews, and a shape redrawn."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from fixtures.phantom_dicom import write_series
from fixtures.small import small_phantom
from tests.browser.accessibility import keeps_nobody_out
from tests.journey.room import Person, ReadingRoom, browser
from tests.reading.test_comparison_live import SHAPE, Reader
from tests.stack import Stack, until

pytestmark = [pytest.mark.browser, pytest.mark.deep, pytest.mark.timeout(300)]

AXIAL_X, AXIAL_Y = "concord-axial-x", "concord-axial-y"
CORONAL_X, SAGITTAL = "concord-coronal-x", "concord-settle-sagittal"
# Half-open boxes of rows and columns; all slices from and to as given.
BOTH_X, BOTH_Y = (10, 10, 22, 22), (10, 10, 22, 27)
ONLY_X = (50, 20, 60, 30)
ALIKE = (30, 30, 42, 42)


class Settling(ReadingRoom):
    """A reader in front of two readings."""

    def enter(self, url: str) -> None:
        """Open the screen and wait for images and outlines."""
        self.page.goto(url)
        self.wait("window.__concordStage?.ready")
        self.shown()

    def stage(self, expression: str) -> Any:
        """Ask the stage's read-only hook."""
        return self.page.evaluate(f"window.__concordStage.{expression}")

    def shown(self) -> None:
        """Until every plane was drawn after the last jump."""
        self.wait("window.__concordStage.shownMs !== null")

    def inks(self, viewport: str) -> set[str]:
        """What is drawn strongly over a viewport."""
        drawn = self.stage(f"inks({json.dumps(viewport)})")
        return {ink["kind"] for ink in drawn if ink["strength"] != "faint"}

    def has_inks(self, viewport: str, *kinds: str) -> None:
        """Wait until exactly these are drawn over a viewport."""
        until(
            lambda: self.inks(viewport) == set(kinds),
            f"{kinds} over {viewport}",
            20,
            lambda: f"{self.inks(viewport)}{self.words()}",
        )

    def select(self, node: str) -> None:
        """By its number, through the list."""
        row = f'[data-testid="settle-row"][data-cluster="{node}"]'
        self.page.locator(row).click()
        self.wait(f"window.__concordStage.selected === {node}")
        self.shown()

    def point(self, slice_: int, row: float, column: float) -> tuple[float, float]:
        x, y = self.stage(f"canvasPoint('axial', {slice_}, {row}, {column})")
        return float(x), float(y)

    def voxels(self) -> dict[str, int]:
        """SOP instance UID → voxels of the shape in the hand."""
        shape = self.stage("shape")
        return {
            part["sop"]: sum(length for _, length, _ in part["runs"])
            for part in (shape["slices"] if shape else [])
        }


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """No inference worker: the readers drew everything."""
    stack = Stack()
    try:
        yield stack.start(worker=False)
    finally:
        stack.close()


@pytest.fixture(scope="module")
def chrome(chromium: str) -> Iterator[Browser]:
    with browser(chromium) as running:
        yield running


@dataclass
class Compared:
    """Two readings that were compared, and the readers over HTTP."""

    readers: list[Reader]
    url: str
    detail: dict[str, Any]

    def cluster(self, *kinds: str) -> dict[str, Any]:
        """The first that is to be settled and of such a kind."""
        return next(
            cluster
            for cluster in self.detail["clusters"]
            if cluster["outcome"] == "open" and cluster["kind"] in kinds
        )

    @property
    def different(self) -> dict[str, Any]:
        return self.cluster("1-1")

    @property
    def lonely(self) -> dict[str, Any]:
        return self.cluster("only-x", "only-y")

    def act(self, reader: int, verb: str, cluster: dict[str, Any], **body: Any) -> dict[str, Any]:
        """One step of settling, over HTTP."""
        http = self.readers[reader].http
        now = http.get(f"/api/consensus/{self.detail['id']}").json()["discrepancies"]
        found = next(d for d in now if d["cluster"] == cluster["number"])
        answer = http.post(
            f"/api/discrepancies/{found['id']}/{verb}",
            json={"client": str(uuid.uuid4()), "seen": found["version"], **body},
        )
        assert answer.is_success, answer.text
        after: dict[str, Any] = answer.json()["discrepancy"]
        return after


def _compared(stack: Stack, study: Path) -> Compared:
    """A case whose readers differ in one node's size, and in one that only one has."""
    known = len(stack.query("select 1 from reading_case"))
    write_series(small_phantom(7 + known, SHAPE), study, patient_id=f"SETTLE-{known}")
    stack.manage("receive", str(study))
    until(lambda: len(stack.query("select 1 from reading_case")) > known, "a case", 30, stack.words)
    readers = [Reader(stack, "reader1"), Reader(stack, "reader2")]
    for reader, box in zip(readers, (BOTH_X, BOTH_Y), strict=True):
        reader.paint(box, range(4, 10))
        reader.paint(ALIKE, range(12, 18))
    readers[0].paint(ONLY_X, range(6, 11))
    for reader in readers:
        reader.look_through()
        reader.submit()

    def settle() -> Any:
        rows = readers[0].http.get("/api/worklist").json()["results"]
        return next(r["settle"] for r in rows if r["reading"] == readers[0].reading)

    row = until(settle, "the consensus", 60, stack.words)
    detail = readers[0].http.get(f"/api/consensus/{row['consensus']}").json()
    return Compared(readers, row["url"], detail)


@pytest.fixture(scope="module")
def compared(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """Only looked at, never settled."""
    return _compared(stack, tmp_path_factory.mktemp("settling") / "study")


@pytest.fixture
def settling(chrome: Browser, stack: Stack) -> Iterator[Settling]:
    """The first reader, signed in."""
    room = Settling(chrome, stack, "reader1")
    room.sign_in()
    yield room
    assert room.complaints == []
    assert room.foreign == []
    room.context.close()


@pytest.fixture
def room(settling: Settling, compared: Compared) -> Settling:
    """In front of the two readings."""
    settling.enter(compared.url)
    return settling


def test_x_and_y_stand_side_by_side_and_move_as_one(room: Settling, compared: Compared) -> None:
    cluster = compared.different
    room.select(str(cluster["number"]))
    room.has_inks(AXIAL_X, "x")
    room.has_inks(AXIAL_Y, "y")
    assert room.stage(f"legend('{AXIAL_X}')") == "X"
    assert room.stage(f"legend('{AXIAL_Y}')") == "Y"
    z0, r0, c0, z1, r1, c1 = cluster["box"]
    at = room.stage(f"sliceIn('{AXIAL_X}')")
    assert z0 <= at < z1
    slices = compared.detail["grid"]["shape"][0]
    for viewport in (AXIAL_X, AXIAL_Y):
        assert room.stage(f"placeIn('{viewport}')") == f"slice {slices - at}/{slices}"
    assert room.stage("loading") == {"complete": True, "percent": 100, "lost": 0}
    # The middle of the cluster lies in the middle of its plane.
    middle = room.point(at, (r0 + r1 - 1) / 2, (c0 + c1 - 1) / 2)
    left, top, width, height = room.box(room.page.locator(f'[data-viewportid="{AXIAL_X}"]').first)
    assert middle[0] == pytest.approx(left + width / 2, abs=3)
    assert middle[1] == pytest.approx(top + height / 2, abs=3)

    room.page.mouse.move(*middle)
    room.page.mouse.wheel(0, 100)
    room.wait(f"window.__concordStage.sliceIn('{AXIAL_X}') !== {at}")
    room.wait(
        f"window.__concordStage.sliceIn('{AXIAL_Y}') === window.__concordStage.sliceIn('{AXIAL_X}')"
    )
    zoom = room.stage(f"zoomOf('{AXIAL_X}')")
    on_y = (middle[0] + width, middle[1])
    room.page.mouse.move(*on_y)
    room.page.mouse.down(button="right")
    room.page.mouse.move(on_y[0], on_y[1] + 60, steps=4)
    room.page.mouse.up(button="right")
    room.wait(f"window.__concordStage.zoomOf('{AXIAL_X}') !== {zoom}")
    assert room.stage(f"zoomOf('{AXIAL_X}')") == pytest.approx(room.stage(f"zoomOf('{AXIAL_Y}')"))

    window = room.stage(f"windowOf('{AXIAL_X}')")
    room.page.mouse.move(*on_y)
    room.page.mouse.down()
    room.page.mouse.move(on_y[0] + 40, on_y[1] + 30, steps=4)
    room.page.mouse.up()
    until(
        lambda: (
            window != room.stage(f"windowOf('{AXIAL_X}')") == room.stage(f"windowOf('{AXIAL_Y}')")
        ),
        "X to be windowed as Y is",
        20,
        room.words,
    )
    room.press("q")

    room.page.mouse.dblclick(*middle)
    assert len(room.stage("shownIds")) == 4
    text = room.page.locator("body").inner_text()
    for name in ("Rita", "Rolf", "R1", "R2"):
        assert name not in text, "the settling screen names a reader"
    keeps_nobody_out(room.page)


def test_only_voxels_of_clusters_are_there_each_on_its_own_side(
    room: Settling, compared: Compared
) -> None:
    different, lonely = compared.different, compared.lonely
    wide, narrow = ([8, 15, 25], [8, 15, 15])
    number = different["number"]
    sides = {side: room.stage(f"has('{side}', {number}, {wide})") for side in "xy"}
    assert sorted(sides.values()) == [False, True]
    assert all(room.stage(f"has('{side}', {number}, {narrow})") for side in "xy")
    number = lonely["number"]
    held = {side: room.stage(f"has('{side}', {number}, [8, 55, 25])") for side in "xy"}
    assert held == {"x": lonely["x"] is not None, "y": lonely["y"] is not None}
    room.select(str(number))
    other = AXIAL_Y if held["x"] else AXIAL_X
    room.has_inks(other)
    assert "has nothing here" in room.stage(f"legend('{other}')")


def test_overlaid_the_difference_is_hatched_and_a_resolution_is_previewed(
    room: Settling, compared: Compared
) -> None:
    room.select(str(compared.different["number"]))
    room.page.get_by_test_id("tool-overlay").click()
    room.wait("window.__concordStage.shownIds.length === 3")
    number = compared.different["number"]
    wider = "only-x" if room.stage(f"has('x', {number}, [8, 15, 25])") else "only-y"
    for viewport in (AXIAL_X, CORONAL_X):
        room.has_inks(viewport, "x", "y", wider)
    room.has_inks(SAGITTAL, "x", "y")
    legend = room.stage(f"legend('{AXIAL_X}')")
    assert legend.startswith("XY")
    assert wider.replace("-", " ").upper() in legend.upper()
    room.picture("settling-overlay")
    room.press("4")
    room.has_inks(AXIAL_X, "x", "y", wider, "preview")
    assert "X and Y together" in room.stage(f"legend('{AXIAL_X}')")
    room.press("Escape")
    room.has_inks(AXIAL_X, "x", "y", wider)

    room.press("o")
    room.wait("window.__concordStage.shownIds.length === 4")
    room.press("m")
    for viewport in (AXIAL_X, CORONAL_X):
        room.has_inks(viewport, "drawn-1", "drawn-2")
    legend = room.stage(f"legend('{AXIAL_X}')")
    assert "1 of 2 drew it" in legend
    assert "both drew it" in legend
    assert "only X" not in legend
    for width, height in ((1280, 720), (1920, 1080)):
        room.page.set_viewport_size({"width": width, "height": height})
        room.wait(f"innerWidth === {width}")
        room.has_inks(AXIAL_X, "drawn-1", "drawn-2")
        room.picture(f"settling-map-{width}x{height}")
    room.press("m")
    room.wait("window.__concordStage.shownIds.length === 4 && !window.__concordStage.mapped")


def test_a_readers_own_key_takes_x_on_every_machine(room: Settling, compared: Compared) -> None:
    room.select(str(compared.different["number"]))
    row = room.page.get_by_test_id("key-takeX")
    room.press("?")
    row.click()
    expect(row).to_have_attribute("aria-pressed", "true")
    room.picture("settling-keys")
    keeps_nobody_out(room.page)
    room.press("2")
    expect(room.page.get_by_test_id("keys-notice")).to_contain_text("Take Y")
    room.press("j")
    expect(room.page.get_by_test_id("keys-notice")).to_contain_text("J is now “Take X”")
    with room.http() as client:
        assert client.get("/api/me/keys").json() == {"keys": {"settle.takeX": ["j"]}}
    room.press("Escape")
    room.enter(compared.url)
    room.select(str(compared.different["number"]))
    expect(room.page.get_by_test_id("verb-takeX")).to_contain_text("J")
    room.press("1")
    room.press("j")
    expect(room.page.get_by_test_id("say")).to_have_attribute("data-resolution", "X")
    room.press("Escape")
    room.press("?")
    room.page.get_by_test_id("reset-keys").click()
    expect(room.page.get_by_test_id("keys-notice")).to_contain_text("as they came")
    with room.http() as client:
        assert client.get("/api/me/keys").json() == {"keys": {}}


def test_a_shape_is_redrawn_within_a_margin_and_taken_back(
    room: Settling, compared: Compared
) -> None:
    cluster = compared.different
    room.select(str(cluster["number"]))
    room.press("r")
    room.wait("window.__concordStage.tool === 'brush'")
    room.press("1")
    room.has_inks(AXIAL_X, "x", "redraw", "limit")
    before = room.voxels()
    at = room.stage(f"sliceIn('{AXIAL_X}')")
    row, column = 23, 16
    room.drag(at, [(row, column), (row, column + 4)])
    sop = compared.detail["grid"]["sop_uids"][at]
    until(lambda: room.voxels()[sop] > before[sop], "the stroke", 20, room.words)
    after = room.voxels()
    assert {s: n for s, n in after.items() if s != sop} == {
        s: n for s, n in before.items() if s != sop
    }
    assert set(before) == set(compared.detail["grid"]["sop_uids"][4:10])
    room.picture("settling-redraw")

    # With the brush in the hand the wheel scrolls.
    room.page.mouse.move(*room.point(at, row, column))
    room.page.mouse.wheel(0, 100)
    room.wait(f"window.__concordStage.sliceIn('{AXIAL_X}') !== {at}")
    # Far from the cluster there is nothing to paint.
    now = room.stage(f"sliceIn('{AXIAL_X}')")
    room.drag(now, [(46, 20), (46, 24)])
    assert room.voxels() == after
    room.press("z")
    until(lambda: room.voxels() == before, "the undo", 20, room.words)
    for _ in range(2):
        room.press("Escape")
    room.wait("window.__concordStage.tool === 'window'")
    assert room.stage("shape") is None


def test_what_was_proposed_and_what_was_agreed_is_shown(
    settling: Settling, stack: Stack, tmp_path: Path
) -> None:
    """The other's redrawn shape as a preview; then the agreed nodes alone."""
    compared = _compared(stack, tmp_path / "study")
    different, lonely = compared.different, compared.lonely
    sop = compared.detail["grid"]["sop_uids"][7]
    why = "The border to the vessel is seen here."
    proposed = compared.act(
        1,
        "propose",
        different,
        resolution="redrawn",
        rationale=why,
        shape={"slices": [{"sop": sop, "box": [12, 12, 20, 20], "runs": [[0, 64, 1]]}]},
    )
    settling.enter(compared.url)
    settling.select(str(different["number"]))
    settling.has_inks(AXIAL_X, "x", "preview")
    assert "redrawn" in settling.stage(f"legend('{AXIAL_X}')")
    settling.picture("settling-proposed")
    keeps_nobody_out(settling.page)

    compared.act(0, "agree", different, step=proposed["proposal"]["step"])
    proposed = compared.act(1, "propose", lonely, resolution="absent", rationale=why)
    compared.act(0, "agree", lonely, step=proposed["proposal"]["step"])
    settling.enter(compared.url)
    settling.wait("window.__concordStage.phase === 'agreed'")
    assert len(settling.stage("shownIds")) == 3
    settling.has_inks(AXIAL_X, "agreed")
    number = different["number"]
    assert settling.stage(f"has('agreed', {number}, [7, 12, 19])")
    assert not settling.stage(f"has('agreed', {number}, [7, 11, 15])")
    assert not settling.stage(f"has('agreed', {lonely['number']}, [8, 55, 25])")
    assert settling.stage(f"legend('{AXIAL_X}')").startswith("agreed")
    settling.picture("settling-agreed")
    keeps_nobody_out(settling.page)


def test_evidence_and_timeline_keep_nobody_out(
    chrome: Browser, stack: Stack, compared: Compared
) -> None:
    abstractor = Person(chrome, stack, "abstractor")
    abstractor.sign_in("/evidence/")
    keeps_nobody_out(abstractor.page)
    abstractor.page.get_by_role("link", name="Open").first.click()
    kinds = abstractor.page.get_by_role("navigation", name="Kind").get_by_role("link")
    for place in range(kinds.count()):
        kinds.nth(place).click()
        expect(kinds.nth(place)).to_have_attribute("aria-current", "true")
        keeps_nobody_out(abstractor.page)
    abstractor.picture("evidence-form", whole=True)
    auditor = Person(chrome, stack, "auditor")
    auditor.sign_in("/cases/")
    auditor.page.locator("#cases a").first.click()
    timeline = auditor.page.get_by_role("link", name="Timeline").first
    expect(timeline).to_be_visible()
    keeps_nobody_out(auditor.page)
    timeline.click()
    expect(auditor.page.locator("#verdict[data-holds]")).to_be_visible()
    keeps_nobody_out(auditor.page)
    auditor.picture("timeline", whole=True)
    for person in (abstractor, auditor):
        assert person.complaints == person.foreign == []
        person.context.close()
