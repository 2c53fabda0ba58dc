"""What cannot be read as it came, opened in the viewer as the series that was made of it."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from playwright.sync_api import Browser
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from fixtures.phantom_dicom import write_series
from fixtures.small import small_phantom
from tests.archive.made import written
from tests.archive.made_frames import enhanced, localizer
from tests.journey.room import ReadingRoom, browser
from tests.stack import Stack, until

pytestmark = [pytest.mark.browser, pytest.mark.deep]
SHAPE, SPACING = (40, 112, 112), (2.5, 1.2, 1.2)
Slices = list[Dataset]


@pytest.fixture(scope="module")
def chrome(chromium: str) -> Iterator[Browser]:
    with browser(chromium) as running:
        yield running


@pytest.fixture(scope="module")
def house() -> Iterator[Stack]:
    """Everything, with protocols that read a tilted stack sheared straight."""
    stack = Stack()
    stack.query(
        "update reading_protocol set definition ="
        " jsonb_set(definition, '{series,gantry_tilt}', '\"resample\"') where active"
    )
    try:
        yield stack.start()
    finally:
        stack.close()


def in_frames(slices: Slices) -> Slices:
    """One enhanced image of all slices."""
    return [enhanced(slices)]


def askew(slices: Slices) -> Slices:
    """Imaged with the gantry tilted by 12°, the couch moving along z."""
    angle = math.radians(12.0)
    for one in slices:
        one.ImageOrientationPatient = [1, 0, 0, 0, round(math.cos(angle), 6), -0.207912]
        one.GantryDetectorTilt = 12.0
    return slices


def with_localizers(slices: Slices) -> Slices:
    """Two localizers in the series of the slices."""
    return [localizer(slices[0]), *slices, localizer(slices[0], index=801)]


@pytest.mark.parametrize(
    ("kind", "made_of", "words"),
    [
        ("frames", in_frames, "frames"),
        ("tilt", askew, "tilted"),
        ("stack", with_localizers, "localizer"),
    ],
)
@pytest.mark.timeout(600)
def test_a_derived_series_is_seen_in_all_planes(
    house: Stack,
    chrome: Browser,
    tmp_path: Path,
    kind: str,
    made_of: Callable[[Slices], Slices],
    words: str,
) -> None:
    phantom = small_phantom(seed=50 + len(kind), shape=SHAPE, spacing_mm=SPACING)
    folder = write_series(phantom, tmp_path / "phantom", patient_id=f"DERIVED-{kind}")
    slices = [pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))]
    sent = made_of(slices)
    for one in sent:
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    house.manage("receive", "--as-is", str(written(tmp_path / "sent", sent)))

    def reading() -> str:
        found = house.query(
            "select r.id::text from reading_reading r join reading_case c on c.id = r.case_id"
            " join archive_series s on s.id = c.series_id"
            " join archive_series o on o.id = s.derived_from_id"
            " where r.slot = 'R1' and s.derivation = %s and o.uid = %s",
            kind,
            sent[0].SeriesInstanceUID,
        )
        return str(found[0][0]) if found else ""

    until(lambda: reading() != "", "a case of the derived series", 120, house.words)
    state, reason = house.query(
        "select volume_state, volume_reason from archive_series where uid = %s",
        sent[0].SeriesInstanceUID,
    )[0]
    assert state == "set_aside"
    assert words in reason.lower()

    reader = ReadingRoom(chrome, house, "reader1")
    refused: list[str] = []
    said: list[str] = []
    reader.page.on(
        "response", lambda r: refused.append(f"{r.status} {r.url}") if r.status >= 400 else None
    )
    reader.page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    reader.sign_in()
    row = reader.page.locator(f"tr[data-reading='{reading()}']")
    until(lambda: row.get_attribute("data-ai") == "ready", "the run to end", 240, reader.words)
    reader.open(row)
    canvases = reader.page.locator("canvas.cornerstone-canvas")
    until(lambda: canvases.count() >= 3, "three planes", 90, reader.words)
    for plane in range(3):
        until(
            lambda plane=plane: grey_levels(canvases.nth(plane).screenshot()) > 20,
            f"an image in plane {plane}",
            90,
            reader.words,
        )
    middle = reader.hook("focus")[0]
    before = canvases.nth(0).screenshot()
    x, y = reader.point(*reader.hook("focus"))
    reader.page.mouse.move(x, y)
    reader.scroll_to(middle + 4 if middle < SHAPE[0] // 2 else middle - 4)
    until(lambda: canvases.nth(0).screenshot() != before, "another slice", 60, reader.words)
    reader.picture(f"derived-{kind}")
    # One step is one slice of the images, also after the view was put back.
    reader.page.get_by_role("button", name="Reset the view").click()
    reader.page.mouse.move(*reader.point(*reader.hook("focus")))
    at = reader.hook("focus")[0]
    for step in (1, 2, 3):
        reader.wheel(reader.hook("focus")[0], 1)
        assert reader.hook("focus")[0] == at + step
    grid = reader.detail()["grid"]
    assert grid["shape"][0] == SHAPE[0]
    assert reader.complaints == []
    assert reader.foreign == []
    assert refused == []
    assert said == []
    reader.context.close()


def grey_levels(picture: bytes) -> int:
    return len(np.unique(np.asarray(Image.open(io.BytesIO(picture)).convert("L"))))
