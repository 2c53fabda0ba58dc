"""From case to case in a warm viewer: how soon the next image is there, and what stays behind."""

from __future__ import annotations

import statistics
from typing import Any

from playwright.sync_api import Page

from backend.archive.benchmarks.measuring import Row
from backend.reading.benchmarks.pages import Visit

FIRST_IMAGE_TARGET_S = 1.0
GROWTH_TARGET_MB = 50.0
_MOST_LOOKS, _AT_REST_BYTES = 30, 1_000_000
_KEY = "Shift+N"
# Canvases of the case that is left draw on for a moment: they are none of the next one's.
_LEAVE = """() => {
  for (const canvas of document.querySelectorAll("canvas")) canvas.dataset.left = "yes";
  window.__seen.first = null;
  window.__seen.left = performance.now();
}"""
_FIRST = "window.__seen.first && window.__seen.first - window.__seen.left"
_HERE = "window.__concord?.ready && window.__concord.next"
_HELD = "window.__concord?.ready && window.__concord.nextHeld"


def go_on(visit: Visit, once: str = _HELD) -> float:
    """To the next case, once that holds; milliseconds from the key to its first image."""
    page = visit.page
    visit.when(f"({once}) ? true : null", "the case after this one")
    page.evaluate(_LEAVE)
    page.keyboard.press(_KEY)
    return visit.when(_FIRST, "the next case's first image")


def next_rows(visit: Visit, *, goings: int, openings: int) -> list[Row]:
    """Rows for a visit that stands in a case of a worklist with two or more."""
    times = [go_on(visit) / 1000 for _ in range(goings)]
    before = _at_rest(visit)
    for _ in range(openings):
        go_on(visit, _HERE)
    after = _at_rest(visit)
    grown = {kind: round((after[kind] - before[kind]) / 1e6, 1) for kind in after}
    median = statistics.median(times)
    return [
        _row(
            '"next" with the viewer warm, that case prefetched → first image',
            median,
            "s",
            f"<= {FIRST_IMAGE_TARGET_S:g} s",
            median <= FIRST_IMAGE_TARGET_S,
        )
        | {"slowest": round(max(times), 3), "runs": goings},
        _row(
            f"{openings} cases opened and left without idle time: growth",
            max(grown.values()),
            "MB",
            f"<= {GROWTH_TARGET_MB:g} MB",
            max(grown.values()) <= GROWTH_TARGET_MB,
        )
        | {"grown_mb": grown, "before": before, "after": after},
    ]


def _at_rest(visit: Visit) -> dict[str, int]:
    """Memory once the case is there whole, and what is fetched ahead of the next one too."""
    visit.when(f"({_HERE}) ? true : null", "the case, and the next")
    found = memory(visit.page)
    for _ in range(_MOST_LOOKS):
        visit.page.wait_for_timeout(500)
        before, found = found, memory(visit.page)
        if all(abs(found[kind] - before[kind]) < _AT_REST_BYTES for kind in found):
            break
    return found


def memory(page: Page) -> dict[str, int]:
    """Bytes of JS heap, of array buffers and of the viewer's image cache, after a collection."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.enable")
    session.send("HeapProfiler.collectGarbage")
    heap = session.send("Runtime.getHeapUsage")
    session.detach()
    return {
        "js_heap": int(heap["usedSize"]),
        "array_buffers": int(heap["backingStorageSize"]),
        "image_cache": int(page.evaluate("window.cornerstone.cache.getCacheSize()")),
    }


def _row(what: str, ours: float, unit: str, target: str, met: bool) -> dict[str, Any]:
    return {
        "what": what,
        "ours": round(ours, 3),
        "unit": unit,
        "peer": None,
        "peer_name": None,
        "peer_runs": 0,
        "ratio": None,
        "target": target,
        "met": met,
    }
