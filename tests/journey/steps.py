"""`python -m tests.journey.steps [FOLDER]`: the README's pictures of a reading, made anew.

A phantom with a PET and a prior is received by a Concord of its own, and read in Chromium. Nothing
of a real patient is in them.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import ViewportSize

from fixtures.phantom_dicom import truth_paths, write_series
from fixtures.phantom_pet import days_before, write_pet
from fixtures.small import short_neck_phantom
from tests.journey.room import ReadingRoom, browser
from tests.postgres import ROOT
from tests.stack import Stack, until

PICTURES = ROOT / "frontend" / "pictures" / "steps"
SIZE: ViewportSize = {"width": 1600, "height": 900}
QUALITY = 72
SPACING_MM = (2.5, 0.8, 0.8)


class Photographer:
    """Keeps numbered pictures of a page."""

    def __init__(self, reader: ReadingRoom, folder: Path) -> None:
        self.reader, self.folder, self.number = reader, folder, 0
        folder.mkdir(parents=True, exist_ok=True)
        reader.page.set_viewport_size(SIZE)

    def take(self, name: str) -> None:
        """One more picture, of what stands there once two frames were drawn."""
        self.number += 1
        page = self.reader.page
        page.evaluate("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
        file = self.folder / f"{self.number}-{name}.jpg"
        page.screenshot(path=file, type="jpeg", quality=QUALITY)


def person(folder: Path) -> tuple[Path, Path, Path]:
    """CT, PET and prior CT of one phantom, as folders of DICOM."""
    made = short_neck_phantom()
    ct = write_series(made, folder / "ct", patient_id="PHANTOM-2")
    prior = write_series(
        made,
        folder / "prior",
        patient_id="PHANTOM-2",
        study_uid="2.25.77003",
        study_date=days_before(ct, 96),
        origin_mm=(-90.0, -105.0, -560.0),
    )
    return ct, write_pet(made, ct, folder / "pet"), prior


def hottest(truth: Path) -> tuple[int, int, int]:
    """The middle of the largest metastatic node of `person`'s CT as (slice, row, column)."""
    told = json.loads(truth.read_text())
    node = max((n for n in told["nodes"] if n["metastatic"]), key=lambda n: n["volume_mm3"])
    z, y, x = (int(mm / by) for mm, by in zip(node["centre_mm"], SPACING_MM, strict=True))
    return z, y, x


def reading_in_pictures(reader: ReadingRoom, camera: Photographer, truth: Path) -> None:
    """From the worklist to the form to sign; `truth` says where PET has something to show."""
    row = reader.page.locator("tr[data-reading][data-ai='ready']").filter(has_text="LN-0001")

    def found() -> bool:
        reader.page.reload()
        return row.count() > 0

    until(found, "the AI's nodes", 240, reader.words)
    camera.take("worklist")
    reader.open(row.first)
    reader.saved()
    reader.select(reader.nodes[3]["uuid"])
    camera.take("reading")
    tiles = "document.querySelector('[data-testid=contact-sheet]')?.shadowRoot"
    reader.press("5")
    reader.wait(f"[...({tiles}?.querySelectorAll('.tile') ?? [])].length > 3")
    reader.wait(f"[...{tiles}.querySelectorAll('.tile')].every(t => t.dataset.ready === 'true')")
    camera.take("contact-sheet")
    reader.press("5")
    reader.press("?")
    reader.page.get_by_test_id("help-sheet").wait_for()
    camera.take("keys")
    reader.press("?")
    reader.press("7")
    reader.press("7")
    reader.page.get_by_test_id("corner-slab").first.wait_for()
    camera.take("slab")
    reader.press("7")
    reader.press("7")
    reader.press("Shift+P")
    reader.wait("window.__concord.beside.loaded")
    reader.press("i")
    reader.page.get_by_test_id("corner-pet").first.wait_for()
    reader.page.mouse.move(*reader.point(*reader.hook("focus")))
    reader.scroll_to(hottest(truth)[0])
    camera.take("pet")
    reader.press("i")
    reader.press(";")
    reader.press("2")
    reader.wait("window.__concord.beside.loaded && window.__concord.beside.trying")
    camera.take("prior")
    reader.press("Shift+P")
    while undecided := sum(node["decision"] == "undecided" for node in reader.nodes):
        reader.press("a")
        count = "window.__concord.nodes.filter(n => n.decision === 'undecided').length"
        reader.wait(f"{count} < {undecided}")
    reader.saved()
    submit = reader.page.get_by_test_id("submit")

    def complete() -> bool:
        reader.press("u")
        return bool(submit.is_enabled())

    until(complete, "every check to be met", 120, reader.words)
    reader.saved()
    reader.press("Control+Enter")
    reader.page.get_by_test_id("submit-form").wait_for()
    camera.take("sign")


def main(folder: Path = PICTURES) -> None:
    """Receive, read, photograph."""
    stack = Stack()
    try:
        with tempfile.TemporaryDirectory() as scratch, browser("/usr/bin/chromium") as chrome:
            ct, pet, prior = person(Path(scratch))
            stack.start().manage("use_protocol", "LN-CT-OPEN")
            stack.manage("receive", str(ct), str(pet))
            stack.manage("receive", str(prior))
            reader = ReadingRoom(chrome, stack, "reader1")
            camera = Photographer(reader, folder)
            reader.sign_in()
            reading_in_pictures(reader, camera, truth_paths(ct)[0])
    finally:
        stack.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
