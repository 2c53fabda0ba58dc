"""The upload page in a real browser: 300 files, a lost network, a closed page, an ended session."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from playwright.sync_api import Browser, Request, expect

from fixtures.phantom import generate
from fixtures.phantom_dicom import write_series
from tests.archive.made import ct_series, encoded, written
from tests.browser.accessibility import keeps_nobody_out
from tests.journey.room import Person, browser
from tests.stack import Stack, until

pytestmark = [pytest.mark.browser, pytest.mark.deep]
SLICES = 300


@pytest.fixture(scope="module")
def chrome(chromium: str) -> Iterator[Browser]:
    with browser(chromium) as running:
        yield running


@pytest.fixture(scope="module")
def alone() -> Iterator[Stack]:
    """Web and work, without an inference worker."""
    stack = Stack()
    stack.as_is("upload", "upload page")
    try:
        yield stack.start(worker=False)
    finally:
        stack.close()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 slices of the phantom and two bad files among them: a text, and a slice cut off."""
    made = generate(
        41, (1.0, 1.5, 1.5), (300.0, 190.0, 200.0), contrast=True, slice_mm=1.0, node_count=6
    )
    root = tmp_path_factory.mktemp("upload")
    folder = write_series(made, root / "CT neck", patient_id="PHANTOM-U")
    slices = sorted(folder.glob("*.dcm"))
    assert len(slices) == SLICES
    (folder / "0037 readme <b>of the CD.txt").write_text("Made by nobody in particular.\n" * 40)
    whole = slices[150].read_bytes()
    (folder / "0064 cut off.dcm").write_bytes(whole[: len(whole) // 2])
    return folder


class Coordinator(Person):
    """A coordinator on the archive's page."""

    def __init__(self, browser: Browser, stack: Stack) -> None:
        super().__init__(browser, stack, "coordinator")
        self.sent: list[Request] = []
        self.page.on("request", lambda request: self.sent.append(request))
        self.wire = self.context.new_cdp_session(self.page)

    def drop(self, *paths: Path) -> None:
        """Drag from the desktop onto the page, as the browser gets it from the system."""
        left, top, *_ = self.box(self.page.locator("#drop"))
        data = {"items": [], "files": [str(p) for p in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.wire.send(
                "Input.dispatchDragEvent",
                {"type": kind, "x": left + 40, "y": top + 8, "data": data},
            )

    def cut(self) -> None:
        """No way to the server at all."""
        self.slow(-1, offline=True)

    def slow(self, bytes_per_second: int, *, offline: bool = False) -> None:
        """A slow way to the server."""
        self.wire.send("Network.enable")
        self.wire.send(
            "Network.emulateNetworkConditions",
            {
                "offline": offline,
                "latency": 0,
                "downloadThroughput": -1,
                "uploadThroughput": bytes_per_second,
            },
        )

    def part(self, name: str) -> Any:
        return self.page.locator(f'#upload [data-part="{name}"]')

    @property
    def done(self) -> int:
        return int(self.part("files-done").inner_text().replace(",", ""))

    def until_done(self, count: int) -> None:
        until(lambda: self.done >= count, f"{count} files to be done", 240, self.said)

    def ends(self, seconds: float = 240) -> None:
        form = self.page.locator("form#upload")
        expect(form).to_have_attribute("data-phase", "ended", timeout=seconds * 1000)

    def said(self) -> str:
        return f"\n{self.part('state').inner_text()}\n{self.complaints}{self.stack.words()}"

    def posts(self, pattern: str) -> list[str]:
        """Addresses of the requests sent, that match."""
        self.page.title()  # Events are told only while the page is asked something.
        found = [r.url for r in self.sent if r.method == "POST"]
        return [url for url in found if re.search(pattern, urlsplit(url).path)]


@pytest.fixture
def coordinator(chrome: Browser, alone: Stack) -> Iterator[Coordinator]:
    person = Coordinator(chrome, alone)
    person.sign_in("/archive/")
    yield person
    assert person.complaints == []
    assert person.foreign == []
    person.context.close()


def receipt(stack: Stack) -> tuple[Any, ...]:
    """Stored, already here, kept aside, and whether it ended; of the last batch."""
    return stack.query(
        "select stored, already_here, kept_aside, closed_at is not null from archive_receipt"
        " where door = 'upload' order by started_at desc limit 1"
    )[0]


def fresh(folder: Path, count: int, size: int = 12) -> tuple[Path, str]:
    """A new series in a folder, and its UID; `size` pixels a side beyond the usual ones."""
    slices = ct_series(count)
    if size > 12:
        noise = np.random.default_rng(5).integers(0, 900, (size, size), dtype=np.int16)
        for ds in slices:
            ds.Rows = ds.Columns = size
            ds.PixelData = noise.tobytes()
    return written(folder, slices), slices[0].SeriesInstanceUID


def test_300_files_and_two_bad_ones_among_them(
    coordinator: Coordinator, alone: Stack, study: Path
) -> None:
    page = coordinator.page
    page.set_viewport_size({"width": 1280, "height": 720})
    coordinator.picture("upload-before")
    coordinator.slow(4 << 20)
    coordinator.drop(study)
    coordinator.until_done(110)
    expect(coordinator.part("problems").locator("li")).to_have_count(2)
    for width, height in ((1280, 720), (1920, 1080)):
        page.set_viewport_size({"width": width, "height": height})
        coordinator.picture(f"upload-300-in-flight-{width}x{height}")
    assert coordinator.done < SLICES
    assert page.locator('#upload li[data-state="sending"]').count() >= 1
    coordinator.slow(-1)
    coordinator.ends()
    for width, height in ((1280, 720), (1920, 1080)):
        page.set_viewport_size({"width": width, "height": height})
        coordinator.picture(f"upload-300-done-{width}x{height}", whole=True)
    assert receipt(alone) == (SLICES, 0, 2, True)
    problems = coordinator.part("problems").locator("li")
    expect(problems).to_have_count(2)
    text = coordinator.part("problems").inner_text()
    assert "0037 readme <b>of the CD.txt" in text
    assert "is not a DICOM file" in text
    assert "is cut off" in text
    row = coordinator.part("verdict").locator("tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("volume")
    expect(row).to_contain_text(str(SLICES))
    expect(coordinator.part("announced")).to_contain_text("1 series is a volume")
    row.get_by_role("link").first.click()
    expect(page).to_have_url(re.compile(r"/cases/[0-9a-f-]{36}/$"))


def test_a_pause_a_lost_network_and_a_closed_page_lose_nothing_and_send_nothing_twice(
    coordinator: Coordinator, alone: Stack, tmp_path: Path
) -> None:
    page = coordinator.page
    folder, uid = fresh(tmp_path / "break", 90, 128)
    coordinator.slow(600_000)
    page.locator("#folder").set_input_files(folder)
    coordinator.until_done(12)
    # By keyboard alone.
    page.get_by_role("button", name="Pause").focus()
    page.keyboard.press("Enter")
    expect(coordinator.part("state")).to_contain_text("Paused")
    coordinator.picture("upload-paused")
    paused_at = coordinator.done
    assert paused_at < 90
    page.get_by_role("button", name="Resume").press("Enter")
    coordinator.until_done(paused_at + 8)
    coordinator.cut()
    expect(coordinator.part("state")).to_contain_text("Trying again", timeout=60_000)
    coordinator.picture("upload-network-lost")
    coordinator.slow(600_000)
    cut_at = coordinator.done
    coordinator.until_done(cut_at + 8)
    # The page is left in the middle, although it asked not to.
    asked: list[str] = []

    def answer(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", answer)
    page.reload()
    assert asked == ["beforeunload"]
    notice = page.locator("#unfinished")
    expect(notice).to_contain_text("did not end")
    coordinator.picture("upload-goes-on")
    here = int(re.search(r"(\d+) files of 90", notice.inner_text()).group(1))  # type: ignore[union-attr]
    assert cut_at <= here < 90
    before = len(coordinator.posts(r"^/archive/upload$"))
    page.locator("#folder").set_input_files(folder)
    coordinator.ends()
    expect(notice).to_be_hidden()
    assert len(coordinator.posts(r"^/archive/upload$")) - before <= 90 - here
    assert receipt(alone) == (90, 0, 0, True)
    rows = alone.query(
        "select count(*), count(distinct i.sop_uid) from archive_instance i"
        " join archive_series s on s.id = i.series_id where s.uid = %s",
        uid,
    )
    assert rows == [(90, 90)]
    assert alone.manage("verify_store").returncode == 0


def test_a_large_zip_goes_in_pieces_and_after_a_cut_only_the_rest_is_sent(
    coordinator: Coordinator, alone: Stack, tmp_path: Path
) -> None:
    slices = ct_series(15)
    plane = np.random.default_rng(3).integers(0, 4000, (1448, 1448), dtype=np.int16)
    packed = tmp_path / "study.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for ds in slices:
            ds.Rows = ds.Columns = 1448
            ds.PixelData = plane.tobytes()
            archive.writestr(f"neck/{ds.InstanceNumber}.dcm", encoded(ds))
    size = packed.stat().st_size
    assert size > 60_000_000
    coordinator.slow(12 << 20)
    coordinator.page.locator("#files").set_input_files(packed)

    def pieces() -> list[int]:
        addresses = coordinator.posts(r"^/archive/upload/files/[0-9a-f-]{36}$")
        return [int(parse_qs(urlsplit(url).query)["offset"][0]) for url in addresses]

    until(lambda: len(pieces()) > 5, "some pieces", 60, coordinator.said)
    coordinator.cut()
    expect(coordinator.part("state")).to_contain_text("Trying again", timeout=60_000)
    cut_after = len(pieces())
    coordinator.slow(-1)
    coordinator.ends()
    assert receipt(alone) == (15, 0, 0, True)
    offsets = pieces()
    # Nothing that was acknowledged is sent again: the offsets never go back.
    assert offsets == sorted(offsets)
    assert offsets[cut_after] >= offsets[cut_after - 1] > 0
    assert len(set(offsets)) == -(-size // (4 << 20))
    assert not list((alone.state / "spool").glob("*.part"))


def test_an_ended_session_goes_on_after_signing_in_in_another_tab(
    coordinator: Coordinator, alone: Stack, tmp_path: Path
) -> None:
    folder, _ = fresh(tmp_path / "session", 60, 128)
    coordinator.slow(600_000)
    coordinator.page.locator("#folder").set_input_files(folder)
    coordinator.until_done(8)
    coordinator.context.clear_cookies(name="concord_session")
    expect(coordinator.part("state")).to_contain_text("You are signed out", timeout=60_000)
    coordinator.picture("upload-signed-out")
    with coordinator.context.expect_page() as opened:
        coordinator.page.get_by_role("link", name="Sign in again").click()
    tab = opened.value
    tab.get_by_label("User name").fill(coordinator.name)
    tab.get_by_label("Password").fill(alone.users[coordinator.name])
    tab.get_by_role("button", name="Sign in").click()
    tab.wait_for_url("**/archive/")
    coordinator.slow(-1)
    coordinator.ends()
    assert receipt(alone) == (60, 0, 0, True)


def test_a_file_over_the_limit_is_refused_before_any_of_it_is_sent(
    coordinator: Coordinator, alone: Stack, tmp_path: Path
) -> None:
    huge = tmp_path / "huge.zip"
    with huge.open("wb") as file:
        file.truncate(5 << 30)
    good, _ = fresh(tmp_path / "good", 3)
    coordinator.drop(huge, good)
    coordinator.ends()
    text = coordinator.part("problems").inner_text()
    assert "5120 MiB, more than the 4096 MiB allowed" in text
    assert coordinator.posts("begin") == []
    assert coordinator.posts("files/") == []
    assert len(coordinator.posts(r"^/archive/upload$")) == 3
    assert receipt(alone)[:3] == (3, 0, 0)


def test_names_are_shown_as_they_are_and_do_nothing(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    folder = tmp_path / "<img src=x onerror=alert(1)>"
    folder.mkdir()
    long = "long " * 48 + ".dcm"
    for name in ("<script>alert(2)<_script>.dcm", long, "..dcm", "ünïcode ❤.dcm"):
        (folder / name).write_bytes(b"no image")
    shown: list[str] = []
    coordinator.page.on("dialog", lambda dialog: (shown.append(dialog.message), dialog.accept()))
    coordinator.drop(folder)
    coordinator.ends()
    text = coordinator.part("problems").inner_text()
    assert "<script>alert(2)<_script>.dcm" in text
    assert "ünïcode ❤.dcm" in text
    coordinator.picture("upload-odd-names")
    assert shown == []
    width = coordinator.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert width <= 0


def test_stopping_keeps_what_came_and_says_what_did_not(
    coordinator: Coordinator, alone: Stack, tmp_path: Path
) -> None:
    folder, _ = fresh(tmp_path / "stop", 60, 128)
    coordinator.page.on("dialog", lambda dialog: dialog.accept())
    coordinator.slow(600_000)
    coordinator.page.locator("#folder").set_input_files(folder)
    coordinator.until_done(8)
    coordinator.page.get_by_role("button", name="Stop").click()
    coordinator.ends()
    stored, _, kept, closed = receipt(alone)
    assert 8 <= stored < 60
    assert (kept, closed) == (0, True)
    expect(coordinator.part("problems-title")).to_have_text(f"{60 - stored} files not taken")


def test_where_files_come_from_is_chosen_and_what_that_does_is_said(
    coordinator: Coordinator, alone: Stack, tmp_path: Path
) -> None:
    alone.manage("sources", "--deidentify", "upload", "North hospital", "--reason", "patients")
    page = coordinator.page
    page.goto("/archive/sources/")
    keeps_nobody_out(page)
    page.goto("/archive/")
    keeps_nobody_out(page)
    chosen = page.get_by_label("From")
    told = page.locator("#upload .from")
    assert chosen.input_value() == "upload page"
    expect(told.get_by_text("Nothing is removed")).to_be_visible()
    expect(told.get_by_text("de-identified", exact=True)).to_be_hidden()
    chosen.focus()
    page.keyboard.type("North")
    expect(told.get_by_text("de-identified", exact=True)).to_be_visible()
    expect(told.get_by_text("Nothing is removed")).to_be_hidden()
    page.set_viewport_size({"width": 1280, "height": 720})
    coordinator.picture("upload-source-chosen")
    folder, _ = fresh(tmp_path / "north", 40, 128)
    coordinator.slow(600_000)
    page.locator("#folder").set_input_files(folder)
    coordinator.until_done(4)
    expect(chosen).to_be_disabled()
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    # What was begun goes on as it was begun, whatever is chosen by then.
    expect(page.locator("#unfinished")).to_contain_text("from “North hospital”")
    assert chosen.input_value() == "upload page"
    coordinator.slow(-1)
    page.locator("#folder").set_input_files(folder)
    coordinator.ends()
    assert chosen.input_value() == "North hospital"
    expect(chosen).to_be_enabled()
    rows = alone.query(
        "select r.source, r.deidentified, r.stored, min(s.patient_id) from archive_receipt r"
        " join archive_instance i on i.receipt_id = r.id"
        " join archive_series e on e.id = i.series_id join archive_study s on s.id = e.study_id"
        " where r.source = 'North hospital' group by 1, 2, 3"
    )
    assert [row[:3] for row in rows] == [("North hospital", True, 40)]
    assert rows[0][3].startswith("SUBJ-")


def test_three_studies_at_once_stand_by_their_folders(
    coordinator: Coordinator, alone: Stack, tmp_path: Path
) -> None:
    root = tmp_path / "three patients"
    for number in range(3):
        fresh(root / f"study {number}", 12)
    gap = ct_series(6)
    del gap[3]
    written(root / "study 3", gap)
    coordinator.drop(*sorted(root.iterdir()))
    coordinator.ends()
    page = coordinator.page
    expect(page.locator("#upload .folder")).to_have_count(4)
    expect(coordinator.part("verdict").locator("tr")).to_have_count(4)
    expect(coordinator.part("verdict")).to_contain_text("1 slice is missing")
    expect(coordinator.part("state")).to_contain_text("3 series are volumes, 1 quarantined")
    page.set_viewport_size({"width": 1280, "height": 720})
    coordinator.picture("upload-three-studies", whole=True)
    assert receipt(alone)[:3] == (41, 0, 0)
