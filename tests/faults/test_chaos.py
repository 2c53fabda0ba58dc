"""A reader works while the line is cut, the server killed, the tab reloaded and the session ended.

At the end what the browser shows, the server's mask and a replay of all patches are the same, and
no change that was answered is missing. What happens is drawn from a seed, which is printed.
"""

from __future__ import annotations

import os
import random
import re
import secrets
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Error, Response

from fixtures.phantom_dicom import write_series
from fixtures.small import small_phantom
from tests.journey.room import ReadingRoom, browser
from tests.stack import Stack, until

SHORT_SEED = 20261121
FAULTS = ("line cut", "server killed", "tab reloaded", "session ended")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """No inference worker: the reader adds every node."""
    stack = Stack()
    try:
        yield stack.start(worker=False)
    finally:
        stack.close()


class Chaos:
    """One reader, one case, and everything that goes wrong."""

    def __init__(self, reader: ReadingRoom, stack: Stack, seed: int) -> None:
        self.reader, self.stack = reader, stack
        self.chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.answered: set[str] = set()
        self.reading = reader.reading
        self.happened: list[str] = []
        reader.page.on("response", self._hear)

    def _hear(self, response: Response) -> None:
        if response.status == 200 and response.url.endswith("/changes"):
            sent = response.request.post_data_json
            self.answered.update(change["id"] for change in sent["changes"])

    # What a reader does

    def edit(self) -> None:
        """One thing with the hands; some change nothing, as in life."""
        what: Callable[[], None] = self.chance.choices(
            (self.begin_node, self.paint, self.erase, self.decide, self.undo, self.redo, self.move),
            (4, 5, 2, 4, 3, 1, 2),
        )[0]
        self.happened.append(what.__name__)
        what()

    def begin_node(self) -> None:
        self.reader.press("n")
        self._stroke()

    def paint(self) -> None:
        self.reader.press("b")
        self._stroke()

    def erase(self) -> None:
        self.reader.press("e")
        self._stroke()

    def decide(self) -> None:
        for key in self.chance.choice(("f", "1", "2", "3", "4", "r1", "r8")):
            self.reader.press(key)

    def undo(self) -> None:
        for _ in range(self.chance.randint(1, 3)):
            self.reader.press("z")

    def redo(self) -> None:
        self.reader.press("Shift+Z")

    def move(self) -> None:
        self.reader.press(self.chance.choice("swd"))

    def _stroke(self) -> None:
        slice_ = self.reader.hook("focus")[0]
        row, column = self.chance.randint(20, 42), self.chance.randint(20, 40)
        end = (row + self.chance.randint(-3, 3), column + self.chance.randint(1, 4))
        self.reader.drag(slice_, [(row, column), end])

    # What goes wrong, with work going on meanwhile

    def fault(self, name: str) -> None:
        self.happened.append(name)
        edits = self.chance.randint(1, 5)
        if name == "line cut":
            self.reader.context.set_offline(True)
            self._edits(edits)
            self.reader.context.set_offline(False)
        elif name == "server killed":
            self.stack.kill(self.stack.web)
            self._edits(edits)
            self.stack.start_web()
        elif name == "tab reloaded":
            self.edit()  # Its change is on its way when the page goes.
            self._reload()
        else:
            self.stack.query("delete from django_session")
            self._edits(edits)
            if self.chance.random() < 0.3:
                self._reload()
        self.recover()

    def _edits(self, count: int) -> None:
        for _ in range(count):
            self.edit()

    def _reload(self) -> None:
        try:
            self.reader.page.reload()
        except Error as error:  # A reload that leads to the sign-in page may count as broken off.
            self.happened.append(str(error).splitlines()[0])

    def recover(self) -> None:
        """What a reader does then: sign in where asked, go on here."""
        reader = self.reader

        def working() -> bool:
            page = reader.page
            if "/sign-in/" in page.url:
                reader.type_into(page.get_by_label("User name"), reader.name)
                reader.type_into(page.get_by_label("Password"), self.stack.users[reader.name])
                page.get_by_role("button", name="Sign in").click()
                page.wait_for_url(re.compile("reading="))
            card = page.get_by_test_id("sign-in-again")
            if card.is_visible():
                reader.picture("sign-in-again")
                reader.type_into(card.get_by_label("Password"), self.stack.users[reader.name])
                card.get_by_role("button", name="Sign in").click()
                card.wait_for(state="hidden")
            here = page.get_by_test_id("continue-here")
            if here.is_visible():
                here.click()
            state = page.evaluate("window.__concord?.ready && window.__concord.saveState")
            return state in ("saved", "saving", "offline")

        until(working, "the reader to be able to go on", 90, self.words)

    def words(self) -> str:
        self.reader.picture("chaos-stopped")
        here = self.reader.page.evaluate(
            "[location.pathname, window.__concord?.ready, window.__concord?.saveState]"
        )
        return f"\n{here}\n{self.happened[-30:]}{self.reader.words()}"

    # What must be true

    def changes(self) -> list[tuple[str, dict[str, Any]]]:
        """Client UUID and body of each change the server has, in order."""
        return [
            (str(client), body)
            for client, body in self.stack.query(
                "select client_id, body from reading_change where reading_id = %s"
                " order by position",
                self.reading,
            )
        ]

    def check(self) -> None:
        """Browser, server and replay are one; nothing that was answered is missing."""
        reader = self.reader
        self.recover()
        reader.saved()
        changes = self.changes()
        ids = [client for client, _ in changes]
        assert len(ids) == len(set(ids))
        assert self.answered <= set(ids), "an answered change is missing"
        detail = reader.detail()
        assert reader.hook("head") == detail["head"]
        labels, mask = reader.server_mask()
        grid = detail["grid"]
        replayed = replay([body for _, body in changes], grid["sop_uids"], grid["shape"])
        names = {number: node for node, number in labels.items()}
        for number, node in names.items():
            np.testing.assert_array_equal(mask == number, replayed == node, node)
        assert set(np.unique(replayed)) - {""} <= set(labels)
        shown = np.array(
            reader.page.evaluate(
                "([z, y, x]) => { const c = window.__concord; const all = [];"
                "for (let s = 0; s < z; s++) for (let r = 0; r < y; r++)"
                "for (let i = 0; i < x; i++) all.push(c.shownAt(s, r, i)); return all; }",
                grid["shape"],
            )
        ).reshape(grid["shape"])
        for number, node in names.items():
            dense = reader.hook(f"denseOf('{node}')")
            np.testing.assert_array_equal(mask == number, shown == dense, node)
        assert not shown[mask == 0].any()
        assert reader.complaints == []


def replay(bodies: list[dict[str, Any]], sops: list[str], shape: list[int]) -> npt.NDArray[np.str_]:
    """Node UUID (or "") of each voxel after these changes, by nothing but their words."""
    found = np.full(shape, "", dtype="<U36")
    for body in bodies:
        patch = body["inverse"] if body["kind"] == "undo" else body
        if patch["kind"] != "voxels":
            continue
        names = ["", *patch["nodes"]]
        for part in patch["slices"]:
            top, left, bottom, right = part["box"]
            box = found[sops.index(part["sop"]), top:bottom, left:right]
            flat = box.ravel()
            for offset, length, index in part["runs"]:
                flat[offset : offset + length] = names[index]
            box[...] = flat.reshape(box.shape)
    return found


@pytest.fixture
def reader(stack: Stack, chromium: str, tmp_path: Path) -> Iterator[ReadingRoom]:
    """In front of a case without nodes."""
    series = write_series(small_phantom(), tmp_path / "ct", patient_id="CHAOS")
    stack.manage("receive", "--as-is", str(series))
    with browser(chromium) as running:
        reader = ReadingRoom(running, stack, "reader1")
        reader.sign_in()
        rows = reader.page.locator("tr[data-reading][data-state='assigned']")
        until(rows.count, "the new case", 30, reader.words)
        reader.open(rows.first)
        reader.wait("window.__concord.saveState === 'saved'")
        yield reader


def _work_through(reader: ReadingRoom, stack: Stack, seed: int, edits: int, each: int) -> None:
    sys.stdout.write(f"CONCORD_CHAOS_SEED={seed}\n")
    chaos = Chaos(reader, stack, seed)
    faults = [name for name in FAULTS for _ in range(each)]
    chaos.chance.shuffle(faults)
    for name in faults:
        for _ in range(max(1, edits // len(faults) - 3)):
            chaos.edit()
        chaos.fault(name)
    while len(chaos.changes()) < edits:
        chaos.edit()
    chaos.check()


@pytest.mark.browser
@pytest.mark.timeout(400)
def test_nothing_is_lost_while_everything_goes_wrong(reader: ReadingRoom, stack: Stack) -> None:
    _work_through(reader, stack, SHORT_SEED, edits=40, each=2)


@pytest.mark.browser
@pytest.mark.long
@pytest.mark.timeout(3600)
def test_nothing_is_lost_in_five_hundred_edits_and_eighty_faults(
    reader: ReadingRoom, stack: Stack
) -> None:
    seed = int(os.environ.get("CONCORD_CHAOS_SEED") or secrets.randbelow(2**32))
    _work_through(reader, stack, seed, edits=500, each=20)
