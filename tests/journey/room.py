"""Hands and eyes in a real browser: only pointer and keyboard events, no fixed waits."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
from playwright.sync_api import Browser, FloatRect, Locator, Page, expect, sync_playwright

from backend.imaging.masks import unpack_mask
from tests.postgres import ROOT
from tests.stack import Stack, until

PICTURES = Path(os.environ.get("CONCORD_PICTURES", ROOT / "test-results" / "pictures"))
FLAGS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    # Software GL is for the images alone: pages and panels are drawn faster without it.
    "--disable-gpu-rasterization",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
SLOW_MS = 90_000
expect.set_options(timeout=SLOW_MS)


@contextmanager
def browser(chromium: str) -> Iterator[Browser]:
    """Debian's Chromium, headless, with software GL."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        try:
            yield running
        finally:
            running.close()


class Person:
    """Someone with a browser window of their own, signed in."""

    def __init__(self, browser: Browser, stack: Stack, name: str) -> None:
        self.stack = stack
        self.name = name
        self.context = browser.new_context(
            base_url=stack.url, viewport={"width": 1280, "height": 800}
        )
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(SLOW_MS)
        self.complaints: list[str] = []
        self.foreign: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(error.stack or str(error)))
        self.page.on("request", self._notice_request)

    def _notice_request(self, request: Any) -> None:
        if not request.url.startswith((self.stack.url, "blob:", "data:", "ws://127.0.0.1")):
            self.foreign.append(request.url)

    def sign_in(self, path: str = "/") -> None:
        """Through the page, with keyboard and pointer."""
        self.page.goto(f"/sign-in/?next={path}")
        self.type_into(self.page.get_by_label("User name"), self.name)
        self.type_into(self.page.get_by_label("Password"), self.stack.users[self.name])
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(f"{self.stack.url}{path}")

    def box(self, shown: Locator) -> tuple[float, float, float, float]:
        """Left, top, width and height on the page, once it is drawn."""
        found: list[FloatRect] = []

        def drawn() -> bool:
            # What is being drawn anew has no box for a moment.
            found[:] = filter(None, [shown.bounding_box()])
            return bool(found)

        until(drawn, f"{shown} to be drawn", SLOW_MS / 1000, self.stack.words)
        box = found[0]
        return box["x"], box["y"], box["width"], box["height"]

    def press(self, key: str) -> None:
        """A key, once the page's scripts listen."""
        self.page.wait_for_load_state()
        self.page.keyboard.press(key)

    def type_into(self, field: Any, text: str) -> None:
        """Click a field, clear it and type, key by key."""
        field.click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def sees(self, images: str) -> None:
        """Scroll down with the wheel until all of these images are drawn."""
        drawn = "all => all.every(i => i.complete && i.naturalWidth > 0)"
        self.page.mouse.move(400, 400)

        def all_drawn() -> bool:
            self.page.mouse.wheel(0, 600)
            return bool(self.page.locator(images).evaluate_all(drawn))

        def at_the_top() -> bool:
            self.page.keyboard.press("Home")
            return bool(self.page.evaluate("scrollY") == 0)

        until(all_drawn, f"{images} to be drawn", SLOW_MS / 1000, self.stack.words)
        # Turns of the wheel that are still on their way would undo a single press.
        until(at_the_top, "the top of the page", SLOW_MS / 1000, self.stack.words)

    def picture(self, name: str, *, whole: bool = False) -> None:
        """A screenshot to look at, of the window or of the whole page."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=whole)

    def keep(self, name: str, data: bytes) -> None:
        """A file to look at."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        (PICTURES / name).write_bytes(data)

    def http(self) -> httpx.Client:
        """The same session, for looking at the server's side."""
        cookies = {c["name"]: c["value"] for c in self.context.cookies()}
        return httpx.Client(base_url=self.stack.url, cookies=cookies, timeout=60)


class ReadingRoom(Person):
    """A reader in front of a case."""

    def open(self, row: Any) -> None:
        """Open the case of a worklist row and wait until it can be read."""
        row.get_by_role("link", name=re.compile("open|continue|read", re.I)).first.click()
        self.wait("window.__concord?.ready")

    def wait(self, expression: str) -> None:
        """Until the page says so. (Playwright's own wait needs eval, which the page forbids.)"""
        until(lambda: self.page.evaluate(expression), expression, SLOW_MS / 1000, self.words)

    def words(self) -> str:
        return f"\npage errors: {self.complaints}{self.stack.words()}"

    def hook(self, expression: str) -> Any:
        """Ask the viewer's read-only hook."""
        return self.page.evaluate(f"window.__concord.{expression}")

    @property
    def reading(self) -> str:
        found = re.search(r"reading=([0-9a-f-]{36})", self.page.url)
        assert found
        return found.group(1)

    @property
    def nodes(self) -> list[dict[str, Any]]:
        return list(self.hook("nodes"))

    def row(self, node: str) -> Any:
        return self.page.locator(f'[data-testid="node-row"][data-node="{node}"]')

    def select(self, node: str) -> None:
        """Click the node's row; the planes jump to it."""
        self.row(node).get_by_test_id("node-size").click()
        self.wait(f"window.__concord.selected === {json.dumps(node)}")

    def saved(self) -> None:
        """Wait until everything is acknowledged."""
        expect(self.page.get_by_test_id("save-state")).to_have_attribute(
            "data-state", "saved", timeout=SLOW_MS
        )
        self.wait("window.__concord.pending === 0")

    def point(self, slice_: int, row: float, column: float) -> tuple[float, float]:
        """Where a voxel of the axial plane lies on the page."""
        x, y = self.hook(f"canvasPoint('axial', {slice_}, {row}, {column})")
        return float(x), float(y)

    def drag(self, slice_: int, path: list[tuple[float, float]]) -> None:
        """Press, move along voxels (row, column) of a slice, release."""
        start, *rest = [self.point(slice_, row, column) for row, column in path]
        self.page.mouse.move(*start)
        self.page.mouse.down()
        for point in rest:
            self.page.mouse.move(*point, steps=4)
        self.page.mouse.up()

    def scroll_to(self, slice_: int) -> None:
        """The wheel over the axial plane, until that slice is shown."""
        while (at := self.hook("focus")[0]) != slice_:
            self.wheel(at, 1 if at < slice_ else -1)

    def wheel(self, at: int, towards: int) -> None:
        """One notch; which way is up is learnt from what it does."""
        sign = getattr(self, "_wheel_sign", 1)
        self.page.mouse.wheel(0, sign * towards * 100)
        self.wait(f"window.__concord.focus[0] !== {at}")
        if (self.hook("focus")[0] - at) * towards < 0:
            self._wheel_sign = -sign

    def detail(self) -> dict[str, Any]:
        """The reading as the server has it."""
        with self.http() as client:
            answer: dict[str, Any] = client.get(f"/api/readings/{self.reading}").json()
        return answer

    def server_mask(self) -> tuple[dict[str, int], npt.NDArray[np.uint16]]:
        """Node UUID → label, and the head's label map (slices, rows, columns), from the server."""
        with self.http() as client:
            head = client.get(f"/api/readings/{self.reading}").json()["head"]
            packed = unpack_mask(client.get(f"/api/masks/{head}/volume").content)
        return {node: number for number, node in dict(packed.labels).items()}, packed.to_volume()

    def free_place(self, mask: npt.NDArray[np.uint16], slice_: int) -> tuple[float, float]:
        """A voxel on the slice, on screen, far from every node."""
        focus = self.hook("focus")
        rows, columns = mask.shape[1:]
        for distance in range(24, 90, 6):
            for step_row, step_column in ((1, 0), (0, 1), (0, -1), (-1, 0), (1, 1), (-1, -1)):
                row, column = focus[1] + distance * step_row, focus[2] + distance * step_column
                if not (14 <= row < rows - 14 and 14 <= column < columns - 18):
                    continue
                x, y = self.point(slice_, row, column)
                around = mask[slice_, row - 12 : row + 12, column - 12 : column + 16]
                if not around.any() and 60 < x < 700 and 120 < y < 720:
                    return float(row), float(column)
        raise AssertionError("no free place on this slice")

    def look_through(self) -> None:
        """The wheel through the whole stack; the other planes were seen on the way."""
        self.press("Escape")
        box = self.point(*self.hook("focus"))
        self.page.mouse.move(*box)
        last = self.detail()["grid"]["shape"][0] - 1
        self.scroll_to(0)
        self.scroll_to(last)
        expect(self.page.get_by_test_id("submit")).to_be_enabled(timeout=SLOW_MS)
