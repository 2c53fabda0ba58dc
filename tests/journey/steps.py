"""`python -m tests.journey.steps [FOLDER]`: the README's pictures of a reading, made anew.

A phantom with a PET and a prior is received by a Concord of its own, read in Chromium, and settled
with a second reading. Nothing of a real patient is in them.
"""

from __future__ import annotations

import json
import sys
import tempfile
import uuid
from pathlib import Path

import numpy as np
import numpy.typing as npt
from playwright.sync_api import ViewportSize

from fixtures.phantom_dicom import truth_paths, write_series
from fixtures.phantom_pet import days_before, write_pet
from fixtures.small import short_neck_phantom
from tests.journey.room import ReadingRoom, browser
from tests.journey.settling import Settler
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
    _pulled(reader, camera)
    _clicked(reader, camera, truth)
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
    reader.press("?")
    reader.page.get_by_test_id("help-sheet").wait_for()
    camera.take("keys")
    reader.press("?")
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
    form = reader.page.get_by_test_id("submit-form")
    form.wait_for()
    camera.take("sign")
    reader.page.keyboard.type(reader.stack.users[reader.name])
    reader.press("Enter")
    reader.page.get_by_test_id("signed").wait_for()


def _pulled(reader: ReadingRoom, camera: Photographer) -> None:
    """A node's edge in the hand; it springs back."""
    slice_, row, column = reader.hook("focus")
    reader.page.keyboard.down("Shift")
    reader.page.mouse.move(*reader.point(slice_, row, column + 6))
    reader.page.mouse.down()
    reader.page.mouse.move(*reader.point(slice_, row, column + 10), steps=6)
    reader.page.get_by_test_id("reshape-badge").wait_for()
    camera.take("reshape")
    reader.press("Escape")
    reader.page.mouse.up()
    reader.page.keyboard.up("Shift")


def _clicked(reader: ReadingRoom, camera: Photographer, truth: Path) -> None:
    """A node the model missed, proposed after one click; dropped again."""
    (slice_, row, column), _ = missed(reader, truth)
    node = reader.hook("selected")
    reader.page.mouse.move(*reader.point(*reader.hook("focus")))
    reader.scroll_to(slice_)
    reader.press("6")
    reader.page.mouse.click(*reader.point(slice_, row, column))
    reader.wait("window.__concord.prompt.voxels > 0")
    camera.take("click")
    reader.press("Escape")
    reader.wait("window.__concord.prompt.clicks.length === 0")
    reader.press("Escape")
    reader.select(node)


def missed(room: ReadingRoom, truth: Path) -> tuple[list[int], npt.NDArray[np.bool_]]:
    """The middle of the largest true node that no node of the mask touches, and its voxels."""
    labels = np.load(truth.with_name(truth.name.replace(".json", ".npz")))["labels"]
    _, mask = room.server_mask()
    sizes = {n: int((labels == n).sum()) for n in np.unique(labels) if n}
    for number in sorted(sizes, key=lambda n: -sizes[n]):
        true = labels == number
        if not mask[true].any():
            inner = np.argwhere(true)
            centre = inner[np.abs(inner - inner.mean(axis=0)).sum(axis=1).argmin()]
            return [int(c) for c in centre], true
    raise AssertionError("the model missed nothing; choose a phantom with more nodes")


def second_reader(stack: Stack) -> None:
    """The other reading of the case: a node rejected, one drawn larger, the rest kept; signed."""
    http = stack.client("reader2")
    rows = http.get("/api/worklist").json()["results"]
    reading = next(row["reading"] for row in rows if row["case"]["label"] == "LN-0001")
    address = f"/api/readings/{reading}"

    def post(verb: str, **body: object) -> dict[str, str]:
        answer = http.post(f"{address}/{verb}", json=body)
        assert answer.is_success, answer.text
        return dict(answer.json()) if answer.content else {}

    lease = post("lease", client=str(uuid.uuid4()))["lease"]
    detail = http.get(address).json()
    nodes = sorted(detail["nodes"], key=lambda node: -node["measures"]["volume_mm3"])

    def change(**body: object) -> None:
        made = {"id": str(uuid.uuid4()), "base": http.get(address).json()["head"], **body}
        post("changes", lease=lease, changes=[made])

    for place, node in enumerate(nodes):
        decision = {"decision": "rejected", "reason": "vessel"} if place == 1 else {}
        change(kind="decision", node=node["uuid"], **{"decision": "accepted", **decision})
    z0, y0, x0, z1, y1, x1 = nodes[0]["measures"]["box_vox"]
    box = [y0 - 2, x0 - 2, (y0 + y1) // 2, (x0 + x1) // 2]
    runs = [[0, (box[2] - box[0]) * (box[3] - box[1]), 1]]
    sops = detail["grid"]["sop_uids"][(z0 + z1) // 2 - 1 : (z0 + z1) // 2 + 1]
    slices = [{"sop": sop, "box": box, "runs": runs} for sop in sops]
    change(kind="voxels", nodes=[nodes[0]["uuid"]], slices=slices)
    change(kind="impression", node=nodes[0]["uuid"], value="metastatic", confidence=80)
    for plane, size in zip(("axial", "coronal", "sagittal"), detail["grid"]["shape"], strict=True):
        post("seen", plane=plane, ranges=[[0, size - 1]], active_seconds=1.0)
    head = http.get(address).json()["head"]
    post("submit", lease=lease, head=head, password=stack.users["reader2"])


def settling_in_a_picture(room: Settler, camera: Photographer) -> None:
    """X and Y over each other, the difference hatched."""
    room.page.goto("/")
    room.enter(room.page.locator("tr[data-reading]").filter(has_text="LN-0001").first)
    rows = room.settle("discrepancies")
    room.choose(next(row["cluster"] for row in rows if row["state"] == "open"))
    room.press("o")
    room.wait("window.__concordStage.shownMs !== null")
    camera.take("settle")


def main(folder: Path = PICTURES) -> None:
    """Receive, read, photograph."""
    stack = Stack()
    try:
        with tempfile.TemporaryDirectory() as scratch, browser("/usr/bin/chromium") as chrome:
            ct, pet, prior = person(Path(scratch))
            stack.start().manage("use_protocol", "LN-CT-OPEN")
            stack.manage("receive", str(ct), str(pet))
            stack.manage("receive", str(prior))
            reader = Settler(chrome, stack, "reader1")
            camera = Photographer(reader, folder)
            reader.sign_in()
            reading_in_pictures(reader, camera, truth_paths(ct)[0])
            second_reader(stack)
            settled = "select 1 from reading_consensus"
            until(lambda: stack.query(settled), "the comparison", 90, stack.words)
            settling_in_a_picture(reader, camera)
    finally:
        stack.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
