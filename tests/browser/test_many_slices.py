"""A series of 800 slices: taking another brush never makes the reader wait."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from fixtures.phantom_dicom import write_series
from fixtures.small import SmallNode, small_phantom
from tests.journey.room import ReadingRoom, browser
from tests.stack import Stack, until

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.timeout(500)]
SLICES = 800
SWITCH_MS = 200
# What the key itself takes, and from there until the frame after the next one was drawn: frames of
# software GL on a busy machine are no fault of the switch, so those of no switch lie beside them.
SWITCH = """async (key) => {
  const begun = performance.now();
  window.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  const handled = performance.now() - begun;
  await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)));
  return [handled, performance.now() - begun];
}"""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """No inference worker: the reader adds every node."""
    stack = Stack()
    try:
        yield stack.start(worker=False)
    finally:
        stack.close()


def test_brush_and_eraser_change_at_once(stack: Stack, chromium: str, tmp_path: Path) -> None:
    phantom = small_phantom(
        shape=(SLICES, 96, 96),
        spacing_mm=(1.0, 1.0, 1.0),
        nodes=[SmallNode((0.5, 0.5, 0.4), (6.0, 6.0, 6.0))],
    )
    stack.manage("receive", str(write_series(phantom, tmp_path / "ct", patient_id="MANY")))
    with browser(chromium) as running:
        reader = ReadingRoom(running, stack, "reader1")
        reader.sign_in()
        rows = reader.page.locator("tr[data-reading][data-state='assigned']")
        until(rows.count, "the new case", 90, reader.words)
        reader.open(rows.first)
        reader.wait("window.__concord.saveState === 'saved'")
        slice_, row, column = reader.hook("focus")
        reader.press("n")
        reader.drag(slice_, [(row, column - 2), (row, column + 2)])
        reader.saved()
        waits = []
        for key, tool in (("b", "window"), ("b", "brush"), ("e", "eraser"), ("b", "brush")) * 4:
            waits.append(reader.page.evaluate(SWITCH, key))
            assert reader.hook("tool") == tool
        reader.drag(slice_, [(row + 6, column - 2), (row + 6, column + 2)])
        reader.saved()
        idle = [reader.page.evaluate(SWITCH, "F9") for _ in range(8)]
        told = {"switch": waits, "idle": idle, "stroke": reader.hook("waits")}
        reader.keep("many-slices-ms.json", json.dumps(told).encode())
        assert median(handled for handled, _ in waits) <= SWITCH_MS
        assert reader.complaints == []
