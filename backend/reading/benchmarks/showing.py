"""From a run's end on the server to its mask on the screen of a reader who has the case open.

A real Chromium with the images loaded; the case has no mask yet, its run was cancelled and is
queued again when the reader is there. The end is the server's own time of it, the screen's the
moment of the first image drawn while the label map on it holds a node: both on one machine's clock.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page

from backend.archive.benchmarks.client import p95
from backend.archive.benchmarks.measuring import Row
from backend.reading.benchmarks.installation import Installation
from backend.reading.benchmarks.pages import Visit, chromium

TARGET_MS = 700.0
READER = "reader1"
_READY = "window.__concord?.ready === true"
# Notes when an image is drawn while some node of the mask is there.
_WATCH_FOR_NODES = """() => {
  const { __concord: room } = window;
  // The images alone would fill what a browser keeps of what was asked.
  performance.clearResourceTimings();
  performance.setResourceTimingBufferSize(1000);
  window.__shown = room.head && room.nodes.length ? -1 : null;
  const there = (node) => {
    if (!node.measures) return false;
    const [row, column] = [1, 2].map((axis) => Math.round(node.measures.centroid_vox[axis]));
    return room.shownAt(Math.round(node.measures.centroid_vox[0]), row, column) > 0;
  };
  window.addEventListener("CORNERSTONE_IMAGE_RENDERED", () => {
    if (window.__shown === null && room.nodes.some(there))
      window.__shown = performance.timeOrigin + performance.now();
  }, true);
}"""

# What the viewer asked of the server after that moment and before the mask was drawn.
_ASKED = """(finished) => {
  const asked = performance.getEntriesByType("resource")
    .filter(({ name, startTime, responseEnd }) => name.includes("/api/")
      && performance.timeOrigin + startTime >= finished
      && performance.timeOrigin + responseEnd <= window.__shown);
  if (!asked.length) return null;
  const first = Math.min(...asked.map((each) => each.startTime));
  const last = Math.max(...asked.map((each) => each.responseEnd));
  const voxels = asked.filter(({ name }) => name.endsWith("/volume")).at(-1);
  return {
    "until it was asked for": performance.timeOrigin + first - finished,
    "until it had come": last - first,
    "of which the voxels": voxels ? voxels.responseEnd - voxels.startTime : 0,
    "until it was drawn": window.__shown - performance.timeOrigin - last,
  };
}"""


@dataclass(frozen=True)
class Showing:
    """Milliseconds from a run's end to the screen, and what they went into where that is known."""

    milliseconds: float
    parts: dict[str, float]


def shown_row(there: Installation, cases: int, slices: int) -> Row:
    """The row of so many cases whose runs a warm worker does, one by one."""
    found = measured(there, cases, slices)
    times = [one.milliseconds for one in found]
    slowest = p95(times)
    return {
        "what": f"mask ready → shown in an open viewer, p95 of {len(times)}",
        "ours": round(slowest, 1),
        "unit": "ms",
        "peer": None,
        "target": f"<= {TARGET_MS:g} ms",
        "met": slowest <= TARGET_MS,
        "median": round(statistics.median(times), 1),
        "each": [round(time) for time in times],
        "parts_ms": [{name: round(ms) for name, ms in one.parts.items()} for one in found],
    }


def measured(there: Installation, cases: int, slices: int) -> list[Showing]:
    """What each case took; all of them have a cancelled run and no mask."""
    users = json.loads((there.server.state / "demo-users.json").read_text())
    found = []
    origin = f"http://127.0.0.1:{there.server.port}"
    runs = {row["case"]: row["id"] for row in there.runs() if row["state"] == "cancelled"}
    with chromium() as browser, Visit(browser, origin, {}) as visit:
        page = visit.page
        _sign_in(page, READER, users[READER])
        rows = page.request.get("/api/worklist").json()["results"]
        waiting = [
            (row["url"], runs[row["case"]["id"]]) for row in rows if row["case"]["id"] in runs
        ]
        for address, run in waiting[:cases]:
            visit.open(address, slices, _READY)
            page.evaluate(_WATCH_FOR_NODES)
            there.retry(run)
            (ended,) = there.ended([run])
            shown, finished = visit.when("window.__shown", "the mask"), 1000 * ended["finished"]
            found.append(Showing(shown - finished, page.evaluate(_ASKED, finished) or {}))
    return found


def _sign_in(page: Page, name: str, password: str) -> None:
    page.goto("/sign-in/")
    page.fill("[name=username]", name)
    page.fill("[name=password]", password)
    page.press("[name=password]", "Enter")
    page.wait_for_url(lambda address: "sign-in" not in address)


def not_run(why: str) -> Row:
    """The row where there is no browser."""
    found: dict[str, Any] = {"what": "mask ready → shown in an open viewer", "ours": None}
    return {
        **found, "unit": "ms", "peer": None, "target": f"<= {TARGET_MS:g} ms", "met": None,
        "why": f"not run: {why}",
    }  # fmt: skip
