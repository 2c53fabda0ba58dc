"""Two pages on one screen's terms: Concord's reading room, and stock OHIF on Orthanc.

Both run in the same Chromium: ours on the viewer's files as `frontend/vendor_ohif.mjs` leaves them,
the stock viewer on those of the npm package (`stock`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import Browser, Page, Request, ViewportSize, sync_playwright

CHROMIUM = "/usr/bin/chromium"
SIZE: ViewportSize = {"width": 1600, "height": 1000}
_FLAGS = (
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-web-security",  # The stock viewer's images come from Orthanc's own port.
)
# Notes when the first image with structure in it is on screen, and when a stroke's pointer left.
_WATCH = """
window.__seen = {first: null, strokes: []};
const look = (event) => {
  const seen = window.__seen;
  const canvas = event.target?.querySelector?.("canvas.cornerstone-canvas");
  if (seen.first !== null || !canvas || canvas.width < 64 || canvas.dataset.left) return;
  const [x, y] = [canvas.width / 2 - 32, canvas.height / 2 - 32];
  const pixels = canvas.getContext("2d")?.getImageData(x, y, 64, 64).data ?? [];
  const greys = new Set();
  for (let i = 0; i < pixels.length; i += 4) greys.add(pixels[i]);
  if (greys.size > 8) seen.first = performance.now();
};
window.addEventListener("CORNERSTONE_IMAGE_RENDERED", look, true);
window.addEventListener("mouseup", () => window.__seen.strokes.push({up: performance.now()}), true);
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) {
    const stroke = window.__seen.strokes.at(-1);
    if (stroke && !stroke.acknowledged && entry.name.endsWith("/changes")) {
      stroke.acknowledged = entry.responseEnd;
      stroke.parts = {
        "until sent": entry.startTime - stroke.up,
        "until answered": entry.responseEnd - entry.startTime,
      };
    }
  }
}).observe({type: "resource"});
"""
# Images of the series that are in the viewer's cache: masks lie there too, under other schemes.
_LOADED = """[...(window.cornerstone?.cache?._imageCache ?? [])]
  .filter(([id, image]) => id.startsWith("wadors:") && image.loaded).length"""


@dataclass(frozen=True)
class Opening:
    """A cold opening: seconds from the address to the first image, and until all is usable; and
    the sum of what the browser waited for the server's first bytes."""

    first: float
    usable: float
    waits: float
    requests: int


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless, with software GL (`make system`)."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """A browser that has never been here: no cookies but the session's, nothing cached."""

    def __init__(self, browser: Browser, origin: str, session: dict[str, str]) -> None:
        self.context = browser.new_context(
            base_url=origin, viewport=SIZE, bypass_csp=True, service_workers="block"
        )
        self.context.add_cookies(
            [{"name": name, "value": value, "url": origin} for name, value in session.items()]
        )
        self.context.add_init_script(_WATCH)
        self.page: Page = self.context.new_page()
        self._waits: list[float] = []
        self.page.on("requestfinished", self._finished)

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def _finished(self, request: Request) -> None:
        timing = request.timing
        if any(part in request.url for part in ("/dicom-web", "/api/")):
            self._waits.append(max(0.0, timing["responseStart"] - timing["requestStart"]))

    def open(self, path: str, images: int, ready: str = "true") -> Opening:
        """Open an address; all is usable when so many images are held and `ready` holds.

        Raises:
            TimeoutError: after two minutes.
        """
        self.page.goto(path, wait_until="commit")
        first = self.when("window.__seen.first", "the first image") / 1000
        done = f"({_LOADED}) >= {images} && ({ready}) ? performance.now() : null"
        usable = self.when(done, "all images") / 1000
        return Opening(first, usable, sum(self._waits) / 1000, len(self._waits))

    def when(self, expression: str, what: str) -> float:
        """The value of an expression as soon as it has one; raises `TimeoutError`."""
        for _ in range(1200):
            found = self.page.evaluate(expression)
            if found is not None and found is not False:
                return float(found)
            self.page.wait_for_timeout(25)
        held = self.page.evaluate(_LOADED)
        raise TimeoutError(f"{what} did not appear within two minutes ({held} images are held)")
